"""Checks one GeoJSON feature (RFC 7946) and encodes it canonically.

Canonical means that equal features are equal bytes: sorted keys, no white space, UTF-8, coordinates as floats. The feed
compares bytes to find out whether a feature changed, so only what `parse_feature` returned may be stored. Every
published feature passes here; each microsecond counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from streaming.core.datetimes import microseconds
from streaming.core.errors import StreamError
from streaming.core.geometry import GeometryError, OutsideWorld, check_geometry, is_empty
from streaming.core.json_decoding import decode_json
from streaming.core.json_values import MAX_DEPTH, NotJson, as_json, check_depth, check_integers, why_not_json
from streaming.core.wrapping import wrap_geometry

from .large_documents import wrong_type
from .source_crs import names_crs, own_crs

MAX_BYTES = 1 << 20
MAX_ID = 256

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_encode = msgspec.json.Encoder(order="sorted").encode
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class FeatureRules:
    """How the features of a layer are read: what they may have, and what is made of it."""

    wrap_longitude: bool = False
    """Longitudes beyond 180 degrees are brought back into the world; else they are refused."""
    time_property: str | None = None
    """A feature whose property of this name is no time is taken with a warning."""


DEFAULT_RULES = FeatureRules()


def parse_feature(raw: bytes | dict[str, Any], max_bytes: int = MAX_BYTES, rules: FeatureRules = DEFAULT_RULES) -> tuple[str, bytes]:
    """The key (JSON text of the id) and the canonical bytes of a feature. StreamError invalid_feature, invalid_crs or too_large.

    A missing `properties` becomes null, an empty geometry too; coordinates of another CRS, if the member `crs` names one, become
    degrees. Other foreign members are kept. A dict is copied, never changed.
    """
    return read_feature(raw, max_bytes, rules)[:2]


def read_feature(raw: bytes | dict[str, Any], max_bytes: int, rules: FeatureRules) -> tuple[str, bytes, str | None]:
    """The same, and a warning: what can be stored, but will not be found by everything that might be meant to find it."""
    try:
        feature = _plain_feature(raw) if isinstance(raw, dict) else decode_feature(raw, max_bytes)
        if (not isinstance(raw, bytes) or b'"crs"' in raw) and names_crs(feature):
            feature = own_crs(feature)
        key = _checked_key(feature, rules)
        value = _encode(feature)
        check_integers(feature, value, "feature")
    except (GeometryError, NotJson) as error:
        raise StreamError("invalid_feature", str(error)) from None
    except UnicodeEncodeError:
        raise StreamError("invalid_feature", "a text holds half a surrogate pair (half an emoji), which UTF-8 cannot express") from None
    if len(value) > max_bytes:
        raise _too_large(len(value), max_bytes)
    return key, value, _warning(feature, rules.time_property) if rules.time_property else None


def feature_id(key: str) -> str | int:
    """The id of a key, of the type it was published with."""
    value: str | int = msgspec.json.decode(key)
    return value


def deletion(key: str) -> bytes:
    """The GeoJSON that is sent for a deleted feature."""
    return f'{{"geometry":null,"id":{key},"properties":{{}},"type":"Feature"}}'.encode()


def decode_feature(raw: bytes, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The object of a feature's text, which need not be a valid feature. StreamError invalid_feature or too_large."""
    if len(raw) > max_bytes:
        raise _too_large(len(raw), max_bytes)
    try:
        feature = decode_json(raw)
    except _UNREADABLE as error:
        raise StreamError("invalid_feature", why_not_json(raw, error)) from None
    if type(feature) is not dict:
        raise StreamError("invalid_feature", "a feature is a JSON object")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        try:
            _check_members_depth(feature)
        except NotJson as error:
            raise StreamError("invalid_feature", str(error)) from None
    return feature


def _plain_feature(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: as_json(member, key) for key, member in raw.items()}


def _check_members_depth(feature: dict[str, Any]) -> None:
    """Bound the nesting of the members that `check_geometry` does not check."""
    for name, member in feature.items():
        if isinstance(member, dict) and name == "geometry" and member.get("type") != "GeometryCollection":
            member = {key: inner for key, inner in member.items() if key != "coordinates"}
        if isinstance(member, dict | list):
            check_depth(member, name)


def _warning(feature: dict[str, Any], time_property: str) -> str | None:
    time = (feature["properties"] or {}).get(time_property)
    if time is None or microseconds(time) is not None:
        return None
    return f"properties.{time_property}: {time!r:.40} is no time, so no condition on times finds the feature"


def _checked_key(feature: dict[str, Any], rules: FeatureRules) -> str:
    if feature.get("type") != "Feature":
        raise StreamError("invalid_feature", wrong_type(feature.get("type")))
    if "geometry" not in feature:
        raise StreamError("invalid_feature", "geometry: missing (null says that the feature has no place)")
    if feature["geometry"] is not None:
        _check_geometry(feature, rules)
    if type(feature.setdefault("properties", None)) not in (dict, type(None)):
        raise StreamError("invalid_feature", "properties: must be an object or null")
    if "bbox" in feature:
        _check_bbox(feature["bbox"])
    return key_of(feature.get("id"))


def _check_geometry(feature: dict[str, Any], rules: FeatureRules) -> None:
    geometry = feature["geometry"]
    try:
        check_geometry(geometry)
    except OutsideWorld:
        if not rules.wrap_longitude:
            raise
        feature["geometry"] = wrapped = wrap_geometry(geometry)
        check_geometry(wrapped)
        feature.pop("bbox", None)
    except GeometryError:
        if not is_empty(geometry):
            raise
        feature["geometry"] = None


def key_of(identity: Any) -> str:
    """The key under which a feature of this id is stored: the JSON text of the id. StreamError invalid_feature."""
    if type(identity) is str:
        if not 0 < len(identity) <= MAX_ID:
            raise StreamError("invalid_feature", f"id: must have 1 to {MAX_ID} characters")
        if not identity.isprintable() and _CONTROL.search(identity):
            raise StreamError("invalid_feature", "id: must not contain control characters")
    elif type(identity) is not int:
        raise StreamError("invalid_feature", f"id: a feature needs an id, a text or an integer, not {identity!r:.40}")
    elif not -(1 << 63) <= identity < 1 << 63:
        raise StreamError("invalid_feature", "id: an integer id must fit into 64 bits")
    return _encode(identity).decode()


def candidate_keys(text: str) -> list[str]:
    """The keys that an id given as plain text may have, the likeliest first. StreamError invalid_feature.

    `7` may be a string or an integer; in double quotes it is a string only.
    """
    if len(text) > 2 and text[0] == text[-1] == '"':
        try:
            return [key_of(msgspec.json.decode(text.encode(), type=str))]
        except (msgspec.DecodeError, StreamError):
            pass
    keys = [key_of(text)]
    if _INTEGER.fullmatch(text) and -(1 << 63) <= int(text) < 1 << 63:
        keys.append(key_of(int(text)))
    return keys


def _check_bbox(bbox: Any) -> None:
    if type(bbox) is not list or len(bbox) not in (4, 6) or any(type(number) not in (int, float) for number in bbox):
        raise StreamError("invalid_feature", "bbox: must be a list of 4 or 6 numbers")


def _too_large(size: int, limit: int) -> StreamError:
    return StreamError("too_large", f"the feature has {size} bytes, more than the {limit} allowed")
