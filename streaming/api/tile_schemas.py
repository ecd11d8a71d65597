"""Operations on tilesets and tiles in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from streaming.tiles.sources.base import MIME

from .queries import COUNTED
from .schemas import LIST_AGGREGATES
from .serializers import (
    ErrorSerializer,
    InvalidSerializer,
    PaintedSerializer,
    PushedSerializer,
    TilesetInfoSerializer,
    TilesetSerializer,
)

_REFUSALS = {401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer, 422: ErrorSerializer}
_TILESET = OpenApiParameter("tileset", str, OpenApiParameter.PATH, description="The tileset's name.")
_PLACE = [OpenApiParameter(name, int, OpenApiParameter.PATH) for name in ("z", "x", "y")]
_FORMAT = OpenApiParameter("ending", str, OpenApiParameter.PATH, enum=["png", "webp", "jpg", "jpeg", "avif", "mvt", "pbf"])

LIST_TILESETS: dict[str, Any] = {"summary": "All tilesets", "tags": ["tiles"], "responses": TilesetInfoSerializer(many=True)}
GET_TILESET: dict[str, Any] = {
    "summary": "One tileset",
    "tags": ["tiles"],
    "parameters": [_TILESET],
    "responses": {200: TilesetInfoSerializer, **_REFUSALS},
}
CREATE_TILESET: dict[str, Any] = {
    "summary": "Create a tileset",
    "tags": ["tiles"],
    "request": TilesetSerializer,
    "responses": {201: TilesetInfoSerializer, 400: InvalidSerializer, 401: ErrorSerializer, 403: ErrorSerializer},
}
UPDATE_TILESET: dict[str, Any] = {
    "summary": "Change a tileset's settings",
    "tags": ["tiles"],
    "parameters": [_TILESET],
    "request": TilesetSerializer,
    "responses": {200: TilesetInfoSerializer, 400: InvalidSerializer, 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer},
}
DELETE_TILESET: dict[str, Any] = {
    "summary": "Remove a tileset, with pushed tiles and painted images",
    "tags": ["tiles"],
    "parameters": [_TILESET],
    "responses": {204: OpenApiResponse(description="Done."), 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer},
}
GET_TILEJSON: dict[str, Any] = {
    "summary": "A tileset as TileJSON 3.0",
    "tags": ["tiles"],
    "parameters": [_TILESET],
    "responses": {200: OpenApiResponse({"type": "object"}, "TileJSON"), **_REFUSALS},
}
_VERSION = OpenApiParameter(
    "version",
    str,
    OpenApiParameter.QUERY,
    description="That of a notice of changed tiles: the answer is as new, whichever process gives it.",
)
GET_TILE: dict[str, Any] = {
    "summary": "One tile",
    "tags": ["tiles"],
    "parameters": [_TILESET, *_PLACE, _FORMAT, _VERSION],
    "responses": {
        **{(200, mime): {"type": "string", "format": "binary"} for mime in sorted(MIME.values())},
        204: OpenApiResponse(None, "an empty vector tile"),
        304: OpenApiResponse(None, "unchanged"),
        **_REFUSALS,
    },
}

_WRITE_REFUSALS = {
    **_REFUSALS,
    409: OpenApiResponse(ErrorSerializer, "The tileset is of another kind."),
    503: OpenApiResponse(ErrorSerializer, "Redis does not answer; nothing was stored."),
}
_TOO_MUCH = {
    413: OpenApiResponse(ErrorSerializer, "The body is larger than may be."),
    507: OpenApiResponse(ErrorSerializer, "The tileset holds as many as it may."),
}
_PUSHED_PLACE = [
    *_PLACE[:2],
    OpenApiParameter("y", str, OpenApiParameter.PATH, description="The row; the ending of the tileset's format may follow: `5.png`."),
]
_BINARY = {"type": "string", "format": "binary"}
PUT_TILE: dict[str, Any] = {
    "operation_id": "tile_push",
    "summary": "Push a tile",
    "description": "Of the tileset's format, whole, and of its `tile_size` or twice that. Vector tiles may be gzip.",
    "tags": ["tiles"],
    "parameters": [_TILESET, *_PUSHED_PLACE],
    "request": dict.fromkeys([*sorted(MIME.values()), "application/octet-stream"], _BINARY),
    "responses": {
        200: OpenApiResponse(PushedSerializer, "It was there before."),
        201: OpenApiResponse(PushedSerializer, "It is new."),
        **_WRITE_REFUSALS,
        **_TOO_MUCH,
    },
}
DELETE_TILE: dict[str, Any] = {
    "operation_id": "tile_remove",
    "summary": "Remove a pushed tile",
    "tags": ["tiles"],
    "parameters": [_TILESET, *_PUSHED_PLACE],
    "responses": {204: OpenApiResponse(description="Done."), **_WRITE_REFUSALS},
}
_IMAGE = OpenApiParameter("image", str, OpenApiParameter.PATH, description="The image's name.")
LIST_IMAGERY: dict[str, Any] = {
    "operation_id": "imagery_list",
    "summary": "The images painted over a raster tileset, from the lowest to the highest",
    "tags": ["tiles"],
    "parameters": [_TILESET],
    "responses": {200: PaintedSerializer(many=True), **_REFUSALS, 409: _WRITE_REFUSALS[409]},
}
PAINT_IMAGERY: dict[str, Any] = {
    "operation_id": "imagery_paint",
    "summary": "Paint a GeoTIFF over a raster tileset",
    "description": "Those who look at the tiles it touches get them anew. An opaque image takes the place of older ones it hides.",
    "tags": ["tiles"],
    "parameters": [
        _TILESET,
        OpenApiParameter("name", str, OpenApiParameter.QUERY, description="The image's name; it replaces the one of this name."),
    ],
    "request": {
        **dict.fromkeys(["image/tiff", "application/octet-stream"], _BINARY),
        "multipart/form-data": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": _BINARY, "side_file": {"type": "array", "items": _BINARY}},
        },
    },
    "responses": {201: PaintedSerializer, 400: ErrorSerializer, 415: ErrorSerializer, **_WRITE_REFUSALS, **_TOO_MUCH},
}
CLEAR_IMAGERY: dict[str, Any] = {
    "operation_id": "imagery_clear",
    "summary": "Take all painted images away",
    "tags": ["tiles"],
    "parameters": [_TILESET],
    "responses": {204: OpenApiResponse(description="Done."), **_WRITE_REFUSALS},
}
DELETE_IMAGE: dict[str, Any] = {
    "operation_id": "image_remove",
    "summary": "Take a painted image away",
    "tags": ["tiles"],
    "parameters": [_TILESET, _IMAGE],
    "responses": {204: OpenApiResponse(description="Done."), **_WRITE_REFUSALS},
}
GET_AGGREGATE_TILE: dict[str, Any] = {
    "summary": "Features counted in cells, as a vector tile",
    "description": "The cells near the tile, in a layer of the layer's name, with the properties `count` and, for each of `properties`, "
    "`name.count`, `name.sum`, `name.min`, `name.max` and `name.mean`.",
    "tags": ["tiles"],
    "parameters": [
        OpenApiParameter("layer", str, OpenApiParameter.PATH, description="The layer's name."),
        *_PLACE,
        OpenApiParameter("ending", str, OpenApiParameter.PATH, enum=["mvt", "pbf"]),
        *(each for each in LIST_AGGREGATES["parameters"] if getattr(each, "name", "") in COUNTED),
    ],
    "responses": {
        (200, MIME["mvt"]): {"type": "string", "format": "binary"},
        204: OpenApiResponse(None, "an empty tile"),
        304: OpenApiResponse(None, "unchanged"),
        400: InvalidSerializer,
        429: ErrorSerializer,
        **_REFUSALS,
    },
}
