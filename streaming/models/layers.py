"""Feature layers: configuration."""

from __future__ import annotations

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models

NAME = RegexValidator(r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z", "Letters, digits, '_', '.' and '-', beginning with a letter or digit.")
"""The names of layers and tilesets."""


class Layer(models.Model):
    """A feature layer: who may read it and how much it keeps. Its features are in the feed `layer:<name>`."""

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[NAME],
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
    wrap_longitude = models.BooleanField(
        default=False,
        help_text="Longitudes beyond 180 degrees go on around the world: positions move, lines and polygons are split at the antimeridian. "
        "Otherwise such features are refused.",
    )
    log_length = models.PositiveIntegerField(
        default=10_000, validators=[MinValueValidator(1)], help_text="Changes kept, so that clients can resume."
    )
    ttl_seconds = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(1.0)], help_text="A feature that is silent for so long is deleted as expired."
    )
    max_features = models.PositiveIntegerField(default=200_000, help_text="More are refused. 0: any number.")
    group = models.CharField(
        max_length=100, blank=True, default="", help_text="Maps list layers of the same group together, under this name."
    )
    order = models.IntegerField(default=0, help_text="Maps list layers with smaller numbers first, and draw them above the others.")
    style = models.JSONField(
        null=True,
        blank=True,
        default=None,
        help_text="How maps draw it (JSON); empty: by what its features are like. Best edited on the map.",
    )
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("order", "name")

    def __str__(self) -> str:
        return self.title or self.name
