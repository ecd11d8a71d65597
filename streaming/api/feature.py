"""/api/layers/{layer}/features/{id}: one feature.

An id is a string or an integer, a URL is text. `7` is the feature whose id is the string "7" if there is one, else the
integer 7; a new one gets the string. In double quotes (`%227%22`) it is always the string.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.items import Item
from streaming.engine.conf import conf
from streaming.engine.responses import geojson, refusal
from streaming.features.geojson import candidate_keys, key_of, parse_feature
from streaming.features.layers import catalogue, layer_feed

from . import schemas
from .base import ApiView
from .errors import UnsupportedMediaType
from .features import DOCUMENTS, writable_layer
from .openapi import extend_schema
from .permissions import CHANGE_LAYER, require_readable
from .queries import read_presentation
from .request_body import media_type, read_body


class FeatureView(ApiView):
    """One feature of a layer."""

    needs = {"PUT": CHANGE_LAYER, "DELETE": CHANGE_LAYER}

    @extend_schema(**schemas.GET_FEATURE)
    def get(self, request: Request, layer: str, feature_id: str) -> HttpResponse:
        """The feature as it is now."""
        feed = layer_feed(require_readable(catalogue.get_sync(layer), request.user))
        presentation = read_presentation(request.GET)
        for key in _candidate_keys(feature_id):
            value = feed.get_sync(key)
            if value is not None:
                return geojson(presentation.geojson(Item(key, value, 0)))
        raise _unknown(feature_id)

    @extend_schema(**schemas.PUT_FEATURE)
    def put(self, request: Request, layer: str, feature_id: str) -> HttpResponse:
        """Add or replace the feature."""
        kind = media_type(request)
        if kind not in DOCUMENTS:
            raise UnsupportedMediaType("Content-Type", kind, DOCUMENTS, "Accept")
        feed = layer_feed(writable_layer(layer, request.user))
        feature = _decode_feature(read_body(request, conf.MAX_FEATURE_BYTES))
        try:
            key, value = parse_feature(_with_id_of_url(feature, feature_id, feed), conf.MAX_FEATURE_BYTES)
        except StreamError as error:
            return refusal(error, 422 if error.code == "invalid_feature" else None)
        outcome = feed.put_sync([(key, value)]).outcomes[0]
        if outcome == "refused":
            raise StreamError("layer_full", "the layer holds as many features as it may")
        return geojson(value, 201 if outcome == "added" else 200)

    @extend_schema(**schemas.DELETE_FEATURE)
    def delete(self, request: Request, layer: str, feature_id: str) -> HttpResponse:
        """Remove the feature."""
        feed = layer_feed(catalogue.get_sync(layer))
        for key in _candidate_keys(feature_id):
            if feed.delete_sync([key]).count("deleted"):
                return HttpResponse(status=204)
        raise _unknown(feature_id)


def _candidate_keys(text: str) -> list[str]:
    """The keys that an id in a URL may have. `StreamError("unknown_feature")` if it cannot be an id."""
    try:
        return candidate_keys(text)
    except StreamError as error:
        raise _unknown(text) from error


def _decode_feature(body: bytes) -> dict[str, Any]:
    try:
        feature = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise StreamError("invalid_feature", f"not JSON: {error}") from None
    if not isinstance(feature, dict):
        raise StreamError("invalid_feature", "a feature is a JSON object")
    return feature


def _with_id_of_url(feature: dict[str, Any], text: str, feed: Feed) -> dict[str, Any]:
    """The feature with the id of the URL."""
    keys = _candidate_keys(text)
    if "id" not in feature:
        key = next((key for key in keys if feed.get_sync(key) is not None), keys[0])
        return {**feature, "id": msgspec.json.decode(key)}
    if key_of(feature["id"]) not in keys:
        raise StreamError("invalid_feature", f"id: the body says {feature['id']!r:.100}, the URL {text[:100]!r}")
    return feature


def _unknown(text: str) -> StreamError:
    return StreamError("unknown_feature", f"the layer has no feature {text[:100]!r}")
