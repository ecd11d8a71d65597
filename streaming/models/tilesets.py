"""Tilesets: configuration."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

from .layers import NAME


class Tileset(models.Model):
    """Tiles and where they come from. They are rendered or read when somebody asks."""

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[NAME],
        help_text="How clients ask for it, e.g. <code>relief</code>.",
    )
    title = models.CharField(max_length=200, blank=True, help_text="What people see.")
    kind = models.CharField(
        max_length=20,
        choices=[
            ("raster", "raster: GeoTIFF files"),
            ("mbtiles", "MBTiles file"),
            ("pmtiles", "PMTiles file"),
            ("directory", "directory of z/x/y files"),
            ("layer", "feature layer, as vector tiles"),
            ("pushed", "pushed: tiles that programs send"),
        ],
    )
    source = models.TextField(
        blank=True,
        default="",
        help_text="The path, in the data folder or one of <code>GEOSTREAM_TILE_ROOTS</code>; for a mosaic one a line, later ones on top. "
        "For a feature layer its name. For pushed tiles nothing.",
    )
    format = models.CharField(
        max_length=10,
        blank=True,
        choices=[("png", "PNG"), ("webp", "WebP"), ("jpg", "JPEG"), ("avif", "AVIF"), ("mvt", "vector tiles")],
        help_text="For rasters and pushed tiles; empty: PNG. Vector tiles can only be pushed.",
    )
    min_zoom = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MaxValueValidator(30)], help_text="Empty: the source's.")
    max_zoom = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MaxValueValidator(30)], help_text="Empty: the source's.")
    tile_size = models.PositiveSmallIntegerField(default=256, choices=[(256, "256 pixels"), (512, "512 pixels")])
    attribution = models.CharField(max_length=500, blank=True, help_text="Whose data it is, as maps show it.")
    rescale = models.CharField(
        max_length=200,
        blank=True,
        help_text="For rasters that are not of bytes: <code>low,high</code>, what becomes black and white, once or for each band, with "
        "spaces between. Empty: what most of the values lie between.",
    )
    colormap = models.CharField(max_length=50, blank=True, help_text="For rasters of one band, e.g. <code>viridis</code>.")
    public = models.BooleanField(default=True, help_text="Anybody may read it.")
    permission = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="Permission needed to read it when it is not public; empty: <code>streaming.view_tileset</code>.",
    )
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.title or self.name

    def clean(self) -> None:
        """Refuse settings that contradict each other. `check_tileset` (streaming/tiles/tilesets.py) also reads the source."""
        if self.min_zoom is not None and self.max_zoom is not None and self.min_zoom > self.max_zoom:
            raise ValidationError({"max_zoom": "The highest zoom is below the lowest."})
        if self.kind and bool(self.source.strip()) == (self.kind == "pushed"):
            raise ValidationError({"source": "This field is required." if self.kind != "pushed" else "Pushed tiles have no source."})
