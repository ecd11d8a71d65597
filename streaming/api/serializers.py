"""Serializers of the API: they check what is written to layers and tilesets, and describe the answers in the OpenAPI
document.

Answers themselves are encoded by msgspec (`streaming.engine.responses`).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from streaming.core.errors import ERRORS
from streaming.features.layer_styles import EXAMPLE, check_style
from streaming.models import Layer, Tileset
from streaming.tiles.source_kinds import KIND_NAMES
from streaming.tiles.sources.base import MIME
from streaming.tiles.tilesets import check_tileset

SHOWN_LAYER_SETTINGS = ("title", "public", "time_property", "group", "order", "style")
"""Settings of a layer that everybody sees who may read it."""
LAYER_SETTINGS = ("permission", "log_length", "ttl_seconds", "max_features", "wrap_longitude")
"""Settings of a layer that are shown only to users who may change them."""
TILESET_SETTINGS = ("permission", "source", "rescale", "colormap")
"""Settings of a tileset that are shown only to users who may change them."""


class ErrorSerializer(serializers.Serializer[Any]):
    """A refusal."""

    code = serializers.CharField(help_text=f"Stable; one of {', '.join(ERRORS)}, or not_found, method_not_allowed, unsupported_media_type.")
    message = serializers.CharField(help_text="For people: what is wrong and what to do about it.")


class FieldErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with one field."""

    field = serializers.CharField()
    message = serializers.CharField()


class InvalidSerializer(ErrorSerializer):
    """A refusal with a reason for each field."""

    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]


class RefusedFeatureSerializer(ErrorSerializer):
    """Why one feature was refused."""

    index = serializers.IntegerField(help_text="Its place in the input, from 0.")
    version = serializers.CharField(
        required=False, allow_null=True, help_text="Of precondition_failed: the version that is stored, null if there is no such feature."
    )


class CountsSerializer(serializers.Serializer[Any]):
    """What became of the features."""

    added = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    refused = serializers.IntegerField()
    errors = RefusedFeatureSerializer(many=True, help_text="Of the first hundred refused.")  # type: ignore[assignment]
    warnings = RefusedFeatureSerializer(
        many=True, required=False, help_text="Of the first hundred features that were taken, but will not be found by their time."
    )


class AllRefusedSerializer(CountsSerializer, ErrorSerializer):
    """Nothing was stored; code and message are those of the first feature."""


class LinkSerializer(serializers.Serializer[Any]):
    """A link."""

    rel = serializers.CharField()
    type = serializers.CharField()
    href = serializers.CharField(help_text="A URL; that of tiles is a template with {z}, {x} and {y}.")


@extend_schema_field(
    {
        "type": "object",
        "nullable": True,
        "required": ["version"],
        "properties": {"version": {"type": "integer", "enum": [1]}},
        "description": "How maps draw the layer: `GET /api/layer-style.schema.json` is the JSON Schema. null: as its features suggest.",
        "example": EXAMPLE,
    }
)
class StyleField(serializers.JSONField):
    """The style of a layer."""

    def to_internal_value(self, data: Any) -> Any:
        """The style. `StreamError` invalid_style or too_large."""
        check_style(data)
        return data


class LayerSerializer(serializers.ModelSerializer[Layer]):
    """What can be set of a layer. Its name is chosen once: the features are stored under it."""

    style = StyleField(required=False, allow_null=True)  # type: ignore[assignment]  # the framework's own name for something else

    class Meta:
        model = Layer
        fields = ("name", *SHOWN_LAYER_SETTINGS, *LAYER_SETTINGS)

    def validate_name(self, name: str) -> str:
        """Refuse another name than the layer has."""
        if self.instance is not None and name != self.instance.name:
            raise serializers.ValidationError("a layer keeps its name")
        return name


class LayerInfoSerializer(serializers.ModelSerializer[Layer]):
    """A layer. The settings behind `count` are shown to users who may change them."""

    time_property = serializers.CharField(allow_null=True)
    style = StyleField(allow_null=True)  # type: ignore[assignment]  # the framework's own name for something else
    count = serializers.IntegerField(allow_null=True, help_text="Features in it now; null while Redis does not answer.")
    aggregates = serializers.ListField(child=serializers.CharField(), help_text="By what its features can be had in cells.")
    links = LinkSerializer(many=True)

    class Meta:
        model = Layer
        fields = ("name", *SHOWN_LAYER_SETTINGS, "count", "aggregates", *LAYER_SETTINGS, "links")
        extra_kwargs = {name: {"required": False} for name in LAYER_SETTINGS}


class TilesetSerializer(serializers.ModelSerializer[Tileset]):
    """What can be set of a tileset. Its name is chosen once: clients know it by it."""

    warnings: Sequence[str] = ()
    """What is strange about the source that was read."""

    class Meta:
        model = Tileset
        fields = ("name", "title", "kind", "format", "min_zoom", "max_zoom", "tile_size", "attribution", "public", *TILESET_SETTINGS)

    def validate_name(self, name: str) -> str:
        """Refuse another name than the tileset has."""
        if self.instance is not None and name != self.instance.name:
            raise serializers.ValidationError("a tileset keeps its name")
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a source that cannot be drawn, by drawing it."""
        row = Tileset() if self.instance is None else copy(self.instance)
        for name, value in attrs.items():
            setattr(row, name, value)
        try:
            self.warnings = check_tileset(row)
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
        return attrs


class TilesetInfoSerializer(serializers.Serializer[Any]):
    """A tileset."""

    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(KIND_NAMES)
    public = serializers.BooleanField()
    format = serializers.ChoiceField(
        sorted(MIME), required=False, help_text="This and what follows, to the attribution, are missing where there is an `error`."
    )
    min_zoom = serializers.IntegerField(required=False)
    max_zoom = serializers.IntegerField(required=False)
    tile_size = serializers.IntegerField(
        required=False, help_text="Pixels along each side: of rasters 256 or 512, of vector tiles 512, else as the tiles are."
    )
    bounds = serializers.ListField(required=False, child=serializers.FloatField(), help_text="west, south, east, north in degrees")
    attribution = serializers.CharField(allow_blank=True, required=False)
    error = ErrorSerializer(required=False, help_text="Why the source cannot be read.")
    permission = serializers.CharField(required=False, help_text="This and the next three are shown to users who may change them.")
    source = serializers.CharField(required=False)  # type: ignore[assignment]  # the framework's own name for something else
    rescale = serializers.CharField(required=False)
    colormap = serializers.CharField(required=False)
    warnings = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="In the answer to a change: what is strange about the source."
    )
    links = LinkSerializer(many=True)


class PushedSerializer(serializers.Serializer[Any]):
    """What became of a pushed tile."""

    tile = serializers.ListField(child=serializers.IntegerField(), help_text="x, y, zoom")
    version = serializers.CharField(help_text="The hash of its bytes, and its ETag.")
    outcome = serializers.ChoiceField(["added", "updated", "unchanged"])


class PaintedSerializer(serializers.Serializer[Any]):
    """A painted image."""

    image = serializers.CharField()
    bounds = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="west, south, east, north in degrees; null if the file is damaged"
    )
    bytes = serializers.IntegerField()
    painted = serializers.DateTimeField()
    version = serializers.CharField(help_text="The hash of its bytes.")
    tiles = serializers.IntegerField(help_text="How many tiles of the tileset's zooms it touches.")
