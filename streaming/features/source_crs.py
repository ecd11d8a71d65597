"""Coordinates of published GeoJSON in another coordinate reference system than WGS 84, and their way into it.

RFC 7946 knows degrees only, but many programs write the member `crs` of GeoJSON's first version (2008) with whatever coordinates they
have. Coordinates are easting, northing or longitude, latitude, whatever the order of the CRS's axes, as all these programs write them.
Positions of many features are projected at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streaming.core.coordinates import DEPTHS, Position, flatten, nest
from streaming.core.errors import StreamError
from streaming.core.json_decoding import JsonDecoder
from streaming.core.projection import WGS84, epsg_code, transformer_from, transformer_to

_URN = re.compile(r"urn:(?:x-)?ogc:def:crs:(EPSG|OGC|ESRI):(?:[^:]*:)?([^:]+)", re.IGNORECASE)
_DEGREES = frozenset({"wgs84", "wgs 84", "ogc:crs84h", "crs84h"})  # other names of longitude and latitude, one with heights
_decode = JsonDecoder[dict[str, Any]](dict[str, Any]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_WAY_BACK = 1e-3  # of a coordinate: more than ways there and back differ, and less than any error that matters here
_FAR = 1e300  # more than any coordinate, and no infinity
Floats = NDArray[np.float64]
Feature = dict[str, Any]
Record = bytes | Feature | StreamError


def code_of_crs(crs: Any) -> int:
    """The EPSG code of a member `crs`; 4326 if it is null. StreamError invalid_crs if it is none that is known."""
    if crs is None:
        return WGS84
    kind, properties = (crs.get("type"), crs.get("properties")) if isinstance(crs, dict) else (None, None)
    name = properties.get("name" if kind == "name" else "code") if isinstance(properties, dict) else None
    if kind not in ("name", "EPSG") or not isinstance(name, str | int):
        raise StreamError("invalid_crs", f"crs: {msgspec.json.encode(crs)[:80].decode(errors='replace')} names no CRS by an EPSG code")
    return source_code(name)


def source_code(name: str | int) -> int:
    """The EPSG code of a name, which must be of a CRS that can be projected to WGS 84. StreamError invalid_crs."""
    urn = _URN.fullmatch(name.strip()) if isinstance(name, str) else None
    short = name if urn is None else f"{'EPSG' if urn[1].upper() == 'ESRI' else urn[1]}:{urn[2]}"
    code = WGS84 if str(short).strip().lower() in _DEGREES else epsg_code(short)
    if code != WGS84:
        transformer_from(code)
    return code


@dataclass(frozen=True, slots=True)
class SourceCrs:
    """The CRS of features. One that was given by who publishes them holds whatever the features themselves say."""

    code: int = WGS84
    given: bool = False

    @classmethod
    def of(cls, name: str | None) -> SourceCrs:
        """What who publishes has given, if anything. StreamError invalid_crs."""
        return cls() if name is None else cls(source_code(name), given=True)

    def within(self, crs: Any) -> SourceCrs:
        """That of a document with this member `crs`. StreamError invalid_crs."""
        return self if self.given or crs is None else SourceCrs(code_of_crs(crs))

    def in_wgs84(self, records: Iterable[Record]) -> list[Record]:
        """Features, as texts or decoded, in degrees. What is no feature stays as it is, to be refused with its own reason."""
        records = list(records)
        if self == SourceCrs():
            return records
        features = [record if isinstance(record, dict) else _decoded(record) for record in records]
        made = _projected([feature for feature in features if feature is not None], self.code, self.given)
        return [record if feature is None else _like(record, next(made)) for record, feature in zip(records, features, strict=True)]

    def texts_in_wgs84(self, records: Iterable[bytes | StreamError]) -> list[bytes | StreamError]:
        """The same of texts, which stay texts."""
        return [record for record in self.in_wgs84(records) if not isinstance(record, dict)]


def own_crs(feature: Feature) -> Feature:
    """A decoded feature in degrees, whatever its own member `crs`, or that of its geometry, says; without that. StreamError."""
    geometry = feature.get("geometry")
    holder = feature if "crs" in feature else geometry
    crs = holder.get("crs") if isinstance(holder, dict) else None
    (made,) = _projected([_without_crs(feature)], code_of_crs(crs), True)
    if isinstance(made, StreamError):
        raise made
    return made


def names_crs(feature: Feature) -> bool:
    """Whether a feature, or its geometry, has a member `crs`."""
    geometry = feature.get("geometry")
    return "crs" in feature or (isinstance(geometry, dict) and "crs" in geometry)


def _like(record: Record, made: Feature | StreamError) -> Record:
    return msgspec.json.encode(made) if isinstance(record, bytes) and isinstance(made, dict) else made


def _decoded(record: Any) -> Feature | None:
    if not isinstance(record, bytes):
        return None
    try:
        return _decode(record)
    except (*_UNREADABLE, msgspec.ValidationError):
        return None


def _projected(features: Sequence[Feature], code: int, override: bool) -> Iterator[Feature | StreamError]:
    """The features in degrees, in order; the refusal of one that lies where the CRS does not reach."""
    mine = [_without_crs(feature) if override else feature for feature in features]
    positions = [[] if not override and names_crs(feature) else _positions(feature.get("geometry")) for feature in mine]
    places = iter(_to_degrees([position for some in positions for position in some], code))
    for feature, some in zip(mine, positions, strict=True):
        found = [next(places) for _ in some]
        if not all(isfinite(position[0]) and isfinite(position[1]) for position in found):
            yield StreamError("invalid_feature", f"geometry: a position is where EPSG:{code} does not reach")
        elif found and code != WGS84:
            yield {
                **{name: member for name, member in feature.items() if name != "bbox"},
                "geometry": _replaced(feature["geometry"], iter(found)),
            }
        else:
            yield feature


def _to_degrees(positions: list[Position], code: int) -> list[Position]:
    if code == WGS84 or not positions:
        return positions
    plane = np.array([position[:2] for position in positions], dtype=np.float64)
    x, y = transformer_from(code).transform(plane[:, 0], plane[:, 1])
    x[_lost(plane, x, y, code)] = np.inf
    return [[*place, *position[2:]] for place, position in zip(zip(x.tolist(), y.tolist(), strict=True), positions, strict=True)]


def _lost(plane: Floats, x: Floats, y: Floats, code: int) -> NDArray[np.bool_]:
    """Which places do not lead back: far outside of its area a projection gives any place at all, without an error."""
    with np.errstate(invalid="ignore"):
        back = np.stack(transformer_to(code).transform(np.clip(x, -180.0, 180.0), y), axis=1)
        near = np.abs(back - plane) <= _WAY_BACK * np.maximum(1.0, np.abs(plane))
    return np.logical_not(near[:, 0] & near[:, 1])


def _positions(geometry: Any) -> list[Position]:
    """The positions of a geometry; none of one that is malformed, which is refused later."""
    if not isinstance(geometry, dict):
        return []
    members = geometry.get("geometries")
    if isinstance(members, list):
        return [position for member in members for position in _positions(member)]
    depth = DEPTHS.get(str(geometry.get("type")))
    try:
        positions = [] if depth is None else flatten(geometry.get("coordinates"), depth)
    except TypeError:
        return []
    return positions if all(map(_is_position, positions)) else []


def _is_position(position: Any) -> bool:
    return (
        isinstance(position, list | tuple)
        and len(position) > 1
        and all(type(number) in (int, float) and -_FAR < number < _FAR for number in position[:2])
    )


def _replaced(geometry: Any, places: Iterator[Position]) -> Any:
    """The geometry with the places that were found for its positions, without its bbox."""
    if not isinstance(geometry, dict) or not _positions(geometry):
        return geometry
    made = {name: member for name, member in geometry.items() if name != "bbox"}
    if isinstance(made.get("geometries"), list):
        made["geometries"] = [_replaced(member, places) for member in made["geometries"]]
    else:
        made["coordinates"] = nest(places, made["coordinates"], DEPTHS[made["type"]])
    return made


def _without_crs(feature: Feature) -> Feature:
    if not names_crs(feature):
        return feature
    bare = {name: member for name, member in feature.items() if name != "crs"}
    if isinstance(bare.get("geometry"), dict):
        bare["geometry"] = {name: member for name, member in bare["geometry"].items() if name != "crs"}
    return bare
