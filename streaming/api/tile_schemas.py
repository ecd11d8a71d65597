"""What the OpenAPI document says of tilesets and tiles."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from streaming.tiles.opening import KINDS
from streaming.tiles.sources.base import MIME

from .schemas import ErrorSerializer, LinkSerializer


class TilesetInfoSerializer(serializers.Serializer[Any]):
    """A tileset."""

    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    public = serializers.BooleanField()
    format = serializers.ChoiceField(sorted(MIME))
    min_zoom = serializers.IntegerField()
    max_zoom = serializers.IntegerField()
    tile_size = serializers.IntegerField(help_text="256 or 512 pixels")
    bounds = serializers.ListField(child=serializers.FloatField(), help_text="west, south, east, north in degrees")
    attribution = serializers.CharField(allow_blank=True)
    links = LinkSerializer(many=True)


_REFUSALS = {401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer, 422: ErrorSerializer}
_TILESET = OpenApiParameter("tileset", str, OpenApiParameter.PATH, description="The tileset's name.")
_PLACE = [OpenApiParameter(name, int, OpenApiParameter.PATH) for name in ("z", "x", "y")]
_FORMAT = OpenApiParameter("ending", str, OpenApiParameter.PATH, enum=["png", "webp", "jpg", "jpeg", "mvt", "pbf"])

LIST_TILESETS: dict[str, Any] = {"summary": "All tilesets", "tags": ["tiles"], "responses": TilesetInfoSerializer(many=True)}
GET_TILESET: dict[str, Any] = {
    "summary": "One tileset",
    "tags": ["tiles"],
    "parameters": [_TILESET],
    "responses": {200: TilesetInfoSerializer, **_REFUSALS},
}
GET_TILEJSON: dict[str, Any] = {
    "summary": "A tileset as TileJSON 3.0",
    "tags": ["tiles"],
    "parameters": [_TILESET],
    "responses": {200: OpenApiResponse({"type": "object"}, "TileJSON"), **_REFUSALS},
}
GET_TILE: dict[str, Any] = {
    "summary": "One tile",
    "tags": ["tiles"],
    "parameters": [_TILESET, *_PLACE, _FORMAT],
    "responses": {
        **{(200, mime): {"type": "string", "format": "binary"} for mime in sorted(MIME.values())},
        204: OpenApiResponse(None, "an empty vector tile"),
        304: OpenApiResponse(None, "unchanged"),
        **_REFUSALS,
    },
}
