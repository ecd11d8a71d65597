"""What the database keeps: layers and tilesets, which are configuration, and who is connected, which is written behind for the admin.

No message ever waits for these tables. Connections, subscriptions and presence belong to a node (a server process) and go with it.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from .core.errors import StreamError


class Layer(models.Model):
    """A feature layer: who may read it and how much it keeps. Its features are in the feed `layer:<name>`."""

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[
            RegexValidator(r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z", "Letters, digits, '_', '.' and '-', beginning with a letter or digit.")
        ],
        help_text="How clients ask for it, e.g. <code>flights</code>.",
    )
    title = models.CharField(max_length=200, blank=True, help_text="What people see.")
    public = models.BooleanField(default=True, help_text="Anybody may read it.")
    permission = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="Permission needed to read it when it is not public; empty: <code>streaming.view_layer</code>.",
    )
    time_property = models.CharField(
        max_length=100, blank=True, default="", help_text="Property that holds a feature's time; empty: when it arrived."
    )
    log_length = models.PositiveIntegerField(
        default=10_000, validators=[MinValueValidator(1)], help_text="Changes kept, so that clients can resume."
    )
    ttl_seconds = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(1.0)], help_text="A feature that is silent for so long is deleted as expired."
    )
    max_features = models.PositiveIntegerField(default=200_000, help_text="More are refused. 0: any number.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.title or self.name


class Tileset(models.Model):
    """Tiles and where they come from. They are rendered or read when somebody asks."""

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[
            RegexValidator(r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z", "Letters, digits, '_', '.' and '-', beginning with a letter or digit.")
        ],
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
        choices=[("png", "PNG"), ("webp", "WebP"), ("jpg", "JPEG"), ("mvt", "vector tiles")],
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
        """Refuse a source that cannot be read, by reading it."""
        from streaming.tiles.source_factory import open_source

        from .tiles.tilesets import settings_of

        if self.min_zoom is not None and self.max_zoom is not None and self.min_zoom > self.max_zoom:
            raise ValidationError({"max_zoom": "The highest zoom is below the lowest."})
        if self.kind and bool(self.source.strip()) == (self.kind == "pushed"):
            raise ValidationError({"source": "This field is required." if self.kind != "pushed" else "Pushed tiles have no source."})
        if self.kind:
            try:
                open_source(settings_of(self)).close()
            except StreamError as error:
                raise ValidationError({"source": error.message}, code=error.code) from error


class Node(models.Model):
    """One server process."""

    id = models.CharField(primary_key=True, max_length=32)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    started = models.DateTimeField()
    seen = models.DateTimeField()

    class Meta:
        ordering = ("host", "pid")

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Connection(models.Model):
    """One open WebSocket, as of about a second ago."""

    id = models.CharField(primary_key=True, max_length=64)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="connections")
    dialect = models.CharField(max_length=20)
    user = models.CharField(max_length=150, blank=True)
    address = models.CharField(max_length=64)
    since = models.DateTimeField()
    received = models.BigIntegerField(default=0)
    sent = models.BigIntegerField(default=0)
    queue_messages = models.IntegerField("queue", default=0)
    queue_bytes = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("-since",)

    def __str__(self) -> str:
        return f"{self.dialect} {self.user or 'anonymous'} {self.address}"


class Subscription(models.Model):
    """One subscription of an open WebSocket."""

    id = models.CharField(primary_key=True, max_length=400)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="subscriptions")
    subscription_id = models.CharField(max_length=255)
    kind = models.CharField(max_length=20)
    feed = models.CharField(max_length=255)
    filter = models.JSONField(default=dict)
    since = models.DateTimeField()
    waiting = models.IntegerField(default=0, help_text="Messages waiting for the client.")
    lag = models.BigIntegerField(default=0, help_text="Changes of the feed this process has not pulled yet.")
    dropped = models.BigIntegerField(default=0, help_text="Events dropped because the client was slow.")

    class Meta:
        ordering = ("feed", "since")

    def __str__(self) -> str:
        return f"{self.subscription_id} ({self.feed})"


class Presence(models.Model):
    """One member of a topic, as of about a second ago."""

    id = models.CharField(primary_key=True, max_length=600)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="presences")
    connection_id = models.CharField("connection", max_length=64, blank=True)
    topic = models.CharField(max_length=255)
    key = models.CharField(max_length=255, blank=True)
    meta = models.JSONField(default=dict)
    since = models.DateTimeField()

    class Meta:
        ordering = ("topic", "since")
        permissions = [
            ("join_topics", "Can get tokens for topics"),
            ("issue_tokens", "Can get tokens for others and for patterns of topics"),
            ("operate_topics", "Can kick and disconnect members and broadcast to topics"),
        ]

    def __str__(self) -> str:
        return f"{self.key} on {self.topic}"
