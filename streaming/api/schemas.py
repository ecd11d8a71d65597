"""Operations on layers, features and events in the OpenAPI document. The views are short because this is here."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

from streaming.engine.responses import GEOJSON
from streaming.features.events import CLIENT_EVENT_TYPES

from .queries import DEFAULT_LIMIT, MAX_LIMIT
from .serializers import (
    AllRefusedSerializer,
    CountsSerializer,
    ErrorSerializer,
    InvalidSerializer,
    LayerInfoSerializer,
    LayerSerializer,
)

_FEATURE: dict[str, Any] = {
    "type": "object",
    "required": ["type", "id", "geometry"],
    "properties": {
        "type": {"type": "string", "enum": ["Feature"]},
        "id": {"oneOf": [{"type": "string", "minLength": 1, "maxLength": 256}, {"type": "integer"}]},
        "geometry": {"type": "object", "nullable": True, "description": "RFC 7946, degrees, longitude first."},
        "properties": {"type": "object", "nullable": True},
        "if_version": {
            "type": "string",
            "nullable": True,
            "description": "Only to replace this version (its ETag); null: only if it is new. Never stored.",
        },
    },
}
_COLLECTION: dict[str, Any] = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {"type": {"type": "string", "enum": ["FeatureCollection"]}, "features": {"type": "array", "items": _FEATURE}},
}
_LINK = {"type": "object", "properties": {name: {"type": "string"} for name in ("rel", "type", "href")}}
_PAGE: dict[str, Any] = {
    **_COLLECTION,
    "properties": {
        **_COLLECTION["properties"],
        "numberMatched": {"type": "integer"},
        "numberReturned": {"type": "integer"},
        "timeStamp": {"type": "string", "format": "date-time"},
        "links": {
            "type": "array",
            "items": _LINK,
        },
    },
}
_DOCUMENT = {"oneOf": [_FEATURE, _COLLECTION, {"type": "array", "items": _FEATURE}]}
_PATCH = {
    "type": "object",
    "properties": {"geometry": _FEATURE["properties"]["geometry"], "properties": {"type": "object", "nullable": True}},
}
_TEXT = {"type": "string", "format": "binary"}
_EXAMPLE = {
    "type": "Feature",
    "id": "AFR123",
    "geometry": {"type": "Point", "coordinates": [2.55, 49.01]},
    "properties": {"callsign": "AFR123", "speed_kmh": 820},
}


def _query(name: str, description: str, kind: Any = str) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description)


_LAYER = OpenApiParameter("layer", str, OpenApiParameter.PATH, description="The layer's name.")
_ID = OpenApiParameter(
    "feature_id",
    str,
    OpenApiParameter.PATH,
    description='The feature\'s id. `7` is the feature with the string "7" for an id if there is one, else with the integer 7; '
    "in double quotes (`%227%22`) it is always the string. A feature made by PUT without an `id` in its body gets the string.",
)
_ENCODING = OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip"], description="The body may be gzip.")
IF_NONE_MATCH = OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="Entity tags that you have: 304 for those.")
_CONDITIONS = [
    OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description="Only if the feature is of this version (its ETag), or `*`."),
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="`*`: only if there is no such feature yet."),
]
_LAYER_CONDITIONS = [
    OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description="Only if the settings are of this version (the layer's ETag)."),
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="Only if they are not of this version."),
]
TAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[200, 201], description="The entity tag, to be sent back in a condition."
)
_CURRENT = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[412], description="That of what is stored, if there is such a feature."
)
NOT_MODIFIED = OpenApiResponse(description="You have it already.")
_FAILED = OpenApiResponse(ErrorSerializer, "It is not of the version that was named; the ETag says which one is stored.")
_SHOWN = [
    _query("crs", "CRS of the answer: `3857`, `EPSG:3857` or an OGC URI; axis order is easting, northing. Filters stay in degrees."),
    _query("properties", "Comma-separated names of the properties to send."),
]
_SOURCE_CRS = _query("crs", "CRS of the coordinates in the body, whatever a member `crs` says; without both they are degrees.")
CAN_FAIL = {
    401: OpenApiResponse(ErrorSerializer, "A token is needed, or this one is not valid any more."),
    403: OpenApiResponse(ErrorSerializer, "The user may not do this."),
    404: OpenApiResponse(ErrorSerializer, "There is no such layer or feature."),
    503: OpenApiResponse(ErrorSerializer, "Redis does not answer; nothing was stored. Retry-After says when to try again."),
}
BAD_REQUEST = {400: OpenApiResponse(InvalidSerializer, "Something in the request cannot be understood.")}
_TRACE = _query("trace", "Staff only: the answer says, in a member `trace`, where the time went until the clients had it.", bool)
_NO_BODY = OpenApiResponse(description="Done.")

LIST_LAYERS: dict[str, Any] = {
    "tags": ["layers"],
    "operation_id": "layers_list",
    "summary": "The layers you may read",
    "parameters": [IF_NONE_MATCH, TAG],
    "responses": {200: LayerInfoSerializer(many=True), 304: NOT_MODIFIED},
}
CREATE_LAYER: dict[str, Any] = {
    "tags": ["layers"],
    "operation_id": "layer_create",
    "summary": "Create a layer",
    "parameters": [TAG],
    "request": LayerSerializer,
    "responses": {201: LayerInfoSerializer, **BAD_REQUEST, 401: CAN_FAIL[401], 403: CAN_FAIL[403]},
}
GET_LAYER: dict[str, Any] = {
    "tags": ["layers"],
    "operation_id": "layer_get",
    "summary": "A layer",
    "parameters": [_LAYER, IF_NONE_MATCH, TAG],
    "responses": {200: LayerInfoSerializer, 304: NOT_MODIFIED, 401: CAN_FAIL[401], 403: CAN_FAIL[403], 404: CAN_FAIL[404]},
}
UPDATE_LAYER: dict[str, Any] = {
    "tags": ["layers"],
    "operation_id": "layer_update",
    "summary": "Change a layer's settings",
    "parameters": [_LAYER, *_LAYER_CONDITIONS, TAG, _CURRENT],
    "request": LayerSerializer,
    "responses": {200: LayerInfoSerializer, **BAD_REQUEST, 401: CAN_FAIL[401], 403: CAN_FAIL[403], 404: CAN_FAIL[404], 412: _FAILED},
}
DELETE_LAYER: dict[str, Any] = {
    "tags": ["layers"],
    "operation_id": "layer_delete",
    "summary": "Remove a layer and its features",
    "parameters": [_LAYER, *_LAYER_CONDITIONS, _CURRENT],
    "responses": {204: _NO_BODY, **BAD_REQUEST, **CAN_FAIL, 412: _FAILED},
}
LIST_FEATURES: dict[str, Any] = {
    "tags": ["features"],
    "operation_id": "features_list",
    "summary": "Features, filtered, page by page",
    "description": "Everything that was stored before the request. The order is stable; follow the link `next` for the next page. "
    "Conditions are joined by *and*. Unknown parameters are refused.",
    "parameters": [
        _LAYER,
        _query("bbox", "`west,south,east,north` in degrees; west > east crosses the antimeridian."),
        _query("center", "`longitude,latitude` of a circle in degrees, together with `radius_m`."),
        _query("radius_m", "The circle's radius in metres, along the surface of the Earth.", float),
        _query("datetime", "An instant or interval (`2018-08-01T05:00:00Z/..`), judged on the layer's time property or on arrival."),
        _query("filter", "A CQL2 expression, for example `speed_kmh > 500 and callsign LIKE 'AFR%'`."),
        OpenApiParameter("filter-lang", str, OpenApiParameter.QUERY, enum=["cql2-text", "cql2-json"], default="cql2-text"),
        *_SHOWN,
        _query("versions", "With its version in each feature, as `if_version`: published like that, it replaces no other version.", bool),
        OpenApiParameter(
            "limit", int, OpenApiParameter.QUERY, default=DEFAULT_LIMIT, description=f"Features of a page, at most {MAX_LIMIT:,}."
        ),
        _query("after", "Where the page begins; from a link `next`."),
    ],
    "responses": {(200, GEOJSON): _PAGE, **BAD_REQUEST, **CAN_FAIL},
}
GET_DICTIONARY: dict[str, Any] = {
    "tags": ["features"],
    "operation_id": "dictionary_get",
    "summary": "A zstd dictionary of a layer",
    "description": "Small messages to subscribers over the WebSocket, who are told its address, are compressed with it. "
    "What is at an address never changes.",
    "parameters": [_LAYER, OpenApiParameter("name", str, OpenApiParameter.PATH, description="The hash of its bytes.")],
    "responses": {(200, "application/octet-stream"): {"type": "string", "format": "binary"}, **CAN_FAIL},
}
LIST_AGGREGATES: dict[str, Any] = {
    "tags": ["features"],
    "operation_id": "aggregates_list",
    "summary": "Features counted in cells, page by page",
    "description": "The cells in which the layer has features, as Features with the properties `count` and, for each of `properties`, "
    "`count`, `sum`, `min`, `max` and `mean` of its numbers. `bbox` selects cells, all other conditions the features that are counted.",
    "parameters": [
        _LAYER,
        OpenApiParameter("by", str, OpenApiParameter.QUERY, enum=["h3", "grid"], default="h3"),
        _query("zoom", "The zoom of the map that the cells are for, from which their resolution follows.", float),
        _query("resolution", "Instead of `zoom`: of H3 0 to 15, of the grid the zoom of its squares.", int),
        _query("properties", "Comma-separated names of the properties whose numbers are summed up."),
        *(each for each in LIST_FEATURES["parameters"] if getattr(each, "name", "") not in ("layer", "properties", "versions")),
    ],
    "responses": {
        (200, GEOJSON): _PAGE,
        **BAD_REQUEST,
        **CAN_FAIL,
        422: OpenApiResponse(ErrorSerializer, "There would be too many cells: ask for larger ones."),
        429: OpenApiResponse(ErrorSerializer, "The process has as many aggregates as it may."),
    },
}
POST_FEATURES: dict[str, Any] = {
    "tags": ["features"],
    "operation_id": "features_publish",
    "summary": "Add and update features",
    "description": "A Feature, a FeatureCollection, or a stream of Features, of any length, one a line (NDJSON) or "
    "as GeoJSON text sequence (RFC 8142). "
    "A feature that equals the stored one is `unchanged` and sent to nobody. A feature that is refused keeps no other out. "
    "A layer that does not exist is created if you have `streaming.add_layer`.",
    "parameters": [_LAYER, _ENCODING, _SOURCE_CRS, _TRACE],
    "request": {
        GEOJSON: _DOCUMENT,
        "application/json": _DOCUMENT,
        "application/vnd.geo+json": _DOCUMENT,
        "application/geo+json-seq": _TEXT,
        "application/x-ndjson": _TEXT,
        "application/jsonl": _TEXT,
        "application/jsonlines": _TEXT,
    },
    "responses": {
        200: CountsSerializer,
        400: OpenApiResponse(ErrorSerializer, "The body is no GeoJSON document, or its compression is broken."),
        413: OpenApiResponse(ErrorSerializer, "The document is larger than GEOSTREAM_MAX_BODY_BYTES; send lines instead."),
        415: OpenApiResponse(ErrorSerializer, "The Content-Type or Content-Encoding is unknown; the answer says which are accepted."),
        422: OpenApiResponse(AllRefusedSerializer, "Every feature was refused."),
        **CAN_FAIL,
    },
    "examples": [OpenApiExample("A flight", _EXAMPLE, request_only=True, media_type=GEOJSON)],
}
GET_FEATURE: dict[str, Any] = {
    "tags": ["features"],
    "operation_id": "feature_get",
    "summary": "A feature",
    "parameters": [_LAYER, _ID, *_SHOWN, IF_NONE_MATCH, TAG],
    "responses": {(200, GEOJSON): _FEATURE, 304: NOT_MODIFIED, **BAD_REQUEST, **CAN_FAIL},
}
PUT_FEATURE: dict[str, Any] = {
    "tags": ["features"],
    "operation_id": "feature_put",
    "summary": "Add or replace a feature",
    "parameters": [_LAYER, _ID, _ENCODING, _SOURCE_CRS, _TRACE, *_CONDITIONS, TAG],
    "request": {GEOJSON: _FEATURE, "application/json": _FEATURE, "application/vnd.geo+json": _FEATURE},
    "responses": {
        (200, GEOJSON): OpenApiResponse(_FEATURE, "It was there before."),
        (201, GEOJSON): OpenApiResponse(_FEATURE, "It is new."),
        **BAD_REQUEST,
        412: _FAILED,
        413: ErrorSerializer,
        415: ErrorSerializer,
        422: OpenApiResponse(ErrorSerializer, "It is not valid GeoJSON."),
        507: OpenApiResponse(ErrorSerializer, "The layer is full."),
        **CAN_FAIL,
    },
}
PATCH_FEATURE: dict[str, Any] = {
    "tags": ["features"],
    "operation_id": "feature_patch",
    "summary": "Change some members of a feature",
    "description": "A JSON Merge Patch (RFC 7396): what is not in it stays, null removes a member, lists are replaced as a whole. "
    "The change is made on what is stored at that moment.",
    "parameters": [_LAYER, _ID, _ENCODING, _TRACE, *_CONDITIONS, TAG],
    "request": {"application/merge-patch+json": _PATCH, "application/json": _PATCH, GEOJSON: _PATCH},
    "responses": {
        (200, GEOJSON): OpenApiResponse(_FEATURE, "The whole feature as it is now."),
        **BAD_REQUEST,
        412: _FAILED,
        413: ErrorSerializer,
        415: ErrorSerializer,
        422: OpenApiResponse(ErrorSerializer, "What would come out is not valid GeoJSON."),
        **CAN_FAIL,
    },
    "examples": [
        OpenApiExample("Another speed", {"properties": {"speed_kmh": 790}}, request_only=True, media_type="application/merge-patch+json")
    ],
}
DELETE_FEATURE: dict[str, Any] = {
    "tags": ["features"],
    "operation_id": "feature_delete",
    "summary": "Remove a feature",
    "parameters": [_LAYER, _ID, _TRACE, *_CONDITIONS, TAG],
    "responses": {204: _NO_BODY, **BAD_REQUEST, 412: _FAILED, **CAN_FAIL},
}
POST_EVENT: dict[str, Any] = {
    "tags": ["events"],
    "operation_id": "event_publish",
    "summary": "Publish an event",
    "description": "Repeated with the same Idempotency-Key it is answered as the first time, and not published again.",
    "parameters": [
        OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="1 to 255 characters, another one for each event."),
        _TRACE,
    ],
    "request": inline_serializer(
        "Event", {"event_type": serializers.ChoiceField(CLIENT_EVENT_TYPES), "payload": serializers.JSONField(help_text="Any JSON.")}
    ),
    "responses": {
        201: inline_serializer("Cursor", {"cursor": serializers.CharField()}),
        **BAD_REQUEST,
        413: OpenApiResponse(ErrorSerializer, "The event is too large."),
        422: OpenApiResponse(ErrorSerializer, "The Idempotency-Key was used for another event."),
        401: CAN_FAIL[401],
        403: CAN_FAIL[403],
        503: CAN_FAIL[503],
    },
}
