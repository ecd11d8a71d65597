"""/api/layers/{layer}/features/{id}: one feature.

An id is a string or an integer, a URL is text. `7` is the feature whose id is the string "7" if there is one, else the
integer 7; a new one gets the string. In double quotes (`%227%22`) it is always the string.

What changes a feature may name the version that it was made from (`preconditions`). Comparing and storing is one step
in Redis.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.core.feed import PutResult, version_of
from streaming.core.items import Item
from streaming.core.json_decoding import decode_json
from streaming.core.merge_patch import merged
from streaming.engine.conf import conf
from streaming.engine.responses import geojson, refusal
from streaming.features.geojson import FeatureRules, candidate_keys, decode_feature, key_of, parse_feature
from streaming.features.layer_creation import NewLayer
from streaming.features.layers import catalogue, layer_feed, layer_rules
from streaming.features.source_crs import SourceCrs
from streaming.features.splitting import without_preamble
from streaming.features.versions import condition_of, take_condition

from . import schemas
from .base import ApiView
from .errors import UnsupportedMediaType
from .features import DOCUMENTS, writable_store
from .openapi import extend_schema
from .permissions import CHANGE_LAYER
from .preconditions import allows, conflict_answer, feature_tag, unless_known, write_condition
from .queries import read_presentation, read_source_crs
from .request_body import media_type, read_body
from .tracing import traced

PATCHES = ("application/merge-patch+json", *DOCUMENTS)
PATCH_ATTEMPTS = 20
"""Others may change a feature between our reading and our storing it; so often it is read again."""


class FeatureView(ApiView):
    """One feature of a layer."""

    compresses = True
    publishes = True
    needs = {"PUT": CHANGE_LAYER, "PATCH": CHANGE_LAYER, "DELETE": CHANGE_LAYER}

    @extend_schema(**schemas.GET_FEATURE)
    def get(self, request: Request, layer: str, feature_id: str) -> HttpResponse:
        """The feature as it is now."""
        feed = layer_feed(catalogue.get_readable_sync(layer, request.user))
        presentation = read_presentation(request.GET)
        key, value = _stored(feed, feature_id)
        tag = feature_tag(value, presentation)
        return unless_known(geojson(presentation.geojson(Item(key, value, 0))), request, tag)

    @extend_schema(**schemas.PUT_FEATURE)
    @traced("layer:{layer}")
    def put(self, request: Request, layer: str, feature_id: str) -> HttpResponse:
        """Add or replace the feature."""
        body = _body(request, DOCUMENTS)
        crs = read_source_crs(request.GET)
        store = writable_store(layer, request.user)
        try:
            feature, condition = _conditional(request, decode_feature(without_preamble(body), conf.MAX_FEATURE_BYTES))
            feature = _in_degrees(_with_id_of_url(feature, feature_id, store), crs)
            key, value = parse_feature(feature, conf.MAX_FEATURE_BYTES, layer_rules(layer))
        except StreamError as error:
            return refusal(error, 422 if error.code == "invalid_feature" else None)
        if isinstance(store, NewLayer) and condition and not condition.startswith("!"):
            return conflict_answer("")  # nothing is there to be replaced, and no layer is made for it
        return _answer(store.put_sync([(key, value, condition)]), value)

    @extend_schema(**schemas.PATCH_FEATURE)
    @traced("layer:{layer}")
    def patch(self, request: Request, layer: str, feature_id: str) -> HttpResponse:
        """Change some of its members (RFC 7396)."""
        feed = layer_feed(catalogue.get_sync(layer))
        body = _body(request, PATCHES)
        rules = layer_rules(layer)
        key, value = _stored(feed, feature_id)
        patch, condition = _conditional(request, decode_feature(body, conf.MAX_FEATURE_BYTES))
        for _ in range(PATCH_ATTEMPTS):
            current = version_of(value)
            if not allows(condition, current):
                return conflict_answer(current)
            try:
                patched = _patched(value, patch, key, rules)
            except StreamError as error:
                return refusal(error, 422 if error.code == "invalid_feature" else None)
            put = feed.put_sync([(key, patched, condition_of([current]))])
            overtaken = condition and put.outcomes[0] == "unchanged" and patched != value  # somebody else has just made the same change
            if not put.conflicts and not overtaken:
                return _answer(put, patched)
            key, value = _stored(feed, feature_id)
        return conflict_answer(version_of(value))

    @extend_schema(**schemas.DELETE_FEATURE)
    @traced("layer:{layer}")
    def delete(self, request: Request, layer: str, feature_id: str) -> HttpResponse:
        """Remove the feature."""
        feed = layer_feed(catalogue.get_sync(layer))
        condition = write_condition(request)
        for key in _candidate_keys(feature_id):
            deleted = feed.delete_sync([key], condition=condition)
            if deleted.conflicts:
                return conflict_answer(deleted.conflicts[0])
            if deleted.count("deleted"):
                return HttpResponse(status=204)
        raise _unknown(feature_id)


def _body(request: Request, kinds: tuple[str, ...]) -> bytes:
    kind = media_type(request)
    if kind not in kinds:
        raise UnsupportedMediaType("Content-Type", kind, kinds, "Accept-Patch" if request.method == "PATCH" else "Accept")
    return read_body(request, conf.MAX_FEATURE_BYTES)


def _in_degrees(feature: dict[str, Any], crs: SourceCrs) -> dict[str, Any]:
    (made,) = crs.in_wgs84([feature])
    if isinstance(made, StreamError):
        raise made
    return made  # type: ignore[return-value]  # a dict stays one


def _conditional(request: Request, feature: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The feature of the body without its `if_version`, and the condition: that of the headers, else that one."""
    bare, condition = take_condition(feature)
    return bare, write_condition(request) or condition  # type: ignore[return-value]  # a dict stays one


def _answer(put: PutResult, value: bytes) -> HttpResponse:
    if put.conflicts:
        return conflict_answer(put.conflicts[0])
    if put.outcomes[0] == "refused":
        raise StreamError("layer_full", "the layer holds as many features as it may")
    response = geojson(value, 201 if put.outcomes[0] == "added" else 200)
    response["ETag"] = feature_tag(value)
    return response


def _stored(feed: Any, text: str) -> tuple[str, bytes]:
    """The key and the value of a feature. `StreamError("unknown_feature")`."""
    for key in _candidate_keys(text):
        value = feed.get_sync(key)
        if value is not None:
            return key, value
    raise _unknown(text)


def _patched(value: bytes, patch: dict[str, Any], key: str, rules: FeatureRules) -> bytes:
    feature = {"geometry": None, **merged(decode_json(value), patch)}  # null says that it has no place
    patched_key, patched = parse_feature(feature, conf.MAX_FEATURE_BYTES, rules)
    if patched_key != key:
        raise StreamError("invalid_feature", f"id: a feature keeps its id, {key:.100}")
    return patched


def _candidate_keys(text: str) -> list[str]:
    """The keys that an id in a URL may have. `StreamError("unknown_feature")` if it cannot be an id."""
    try:
        return candidate_keys(text)
    except StreamError as error:
        raise _unknown(text) from error


def _with_id_of_url(feature: dict[str, Any], text: str, store: Any) -> dict[str, Any]:
    """The feature with the id of the URL."""
    keys = _candidate_keys(text)
    if "id" not in feature:
        key = next((key for key in keys if store.get_sync(key) is not None), keys[0])
        return {**feature, "id": msgspec.json.decode(key)}
    if key_of(feature["id"]) not in keys:
        raise StreamError("invalid_feature", f"id: the body says {feature['id']!r:.100}, the URL {text[:100]!r}")
    return feature


def _unknown(text: str) -> StreamError:
    return StreamError("unknown_feature", f"the layer has no feature {text[:100]!r}")
