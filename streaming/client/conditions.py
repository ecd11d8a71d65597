"""The conditions of subscriptions: as arguments in Python, and as fields of messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, Required, TypedDict

import msgspec

from ..dialects.geo.messages import MERGE_PATCH, Message, type_of
from .errors import RequestRefused
from .position import Cursor
from .tiles import DELTAS, applicable_deltas, has_pixels


class HasGeoInterface(Protocol):
    """An object of shapely, geopandas or any other library that follows https://gist.github.com/sgillies/2217756."""

    @property
    def __geo_interface__(self) -> Mapping[str, Any]: ...


BBox = Sequence[float]
Geometry = Mapping[str, Any] | HasGeoInterface
Instant = str | datetime | None
Interval = str | datetime | tuple[Instant, Instant]
Filters = Mapping[str, str] | Iterable[tuple[str, str]]
Zooms = int | range | tuple[int, int]
"""One zoom, or those from a first one up to, but without, a last one: `range(4, 9)` or `(4, 9)`."""


class Aggregate(TypedDict, total=False):
    """Cells instead of features: `by`, and either a resolution or the zoom of the map that they are for."""

    by: Required[Literal["h3", "grid"]]  # the hexagons of H3, or the squares of map tiles
    resolution: int  # of H3 0 to 15; of the grid the zoom of the squares, 0 to 30
    zoom: float  # of a map with tiles of 256 pixels; the server chooses the resolution
    properties: Sequence[str]  # whose numbers are summed up in each cell


class Conditions(TypedDict, total=False):
    """What a feature has to fulfil (all of it), and how it is shown. None removes a condition; a naive datetime is UTC."""

    bbox: BBox | None  # (west, south, east, north) in degrees; west > east crosses the antimeridian
    geometry: Geometry | None  # a Polygon or MultiPolygon, in degrees
    center: Sequence[float] | None  # (longitude, latitude) of a circle, in degrees, together with radius_m
    radius_m: float | None  # its radius in metres, along the surface of the Earth
    filters: Filters | None  # properties and the text they must equal
    datetime: Interval | None  # an OGC interval, an instant, or (start, end) with None for an open end
    filter: str | Mapping[str, Any] | None  # CQL2: text as str, CQL2-JSON as a mapping
    crs: int | str | None  # of the coordinates sent: 3857, "EPSG:3857", an OGC CRS URI
    properties: Sequence[str] | None  # the ones to send; all if None
    max_rate: float | None  # at most so many updates a second and feature
    aggregate: Aggregate | None  # cells instead of features; the box then selects cells, and all else the features counted
    min_distance: float | None  # metres a feature has to move to be sent again within 10 seconds


class FeatureOptions(Conditions, total=False):
    """Conditions, and how a feature subscription starts."""

    snapshot: bool  # send what matches now (the default)
    cursor: Cursor | None  # go on from here, with a cursor of an earlier subscription
    batch: bool  # changes of one moment in one message (the default)
    delta: bool  # of an update only what has changed is sent, where that is shorter (the default is False)


class EventOptions(TypedDict, total=False):
    """Conditions on an event's payload, and where an event subscription starts."""

    filters: Filters | None
    filter: str | Mapping[str, Any] | None
    bbox: BBox | None  # degrees: events whose payload has a bbox that touches it
    cursor: Cursor | None


class TileConditions(TypedDict, total=False):
    """Which tiles are in view."""

    bbox: BBox
    zooms: Zooms


class TileOptions(TypedDict, total=False):
    """Of what the tiles are, and how they come."""

    tileset: str | Sequence[str] | None  # a name or several; the site's default if None
    tile_size: int | None  # 256 or 512; what the tileset has if None
    delta: bool | Sequence[str]  # True (the default): deltas that pay; False: whole tiles; or names of delta encodings


def to_wire(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a message for what was given; what was not given is absent, None stays None."""
    wire = dict(given)
    for name, convert in _CONVERSIONS.items():
        if wire.get(name) is not None:
            wire[name] = convert(wire[name])
    if "filter" in wire:
        wire["filter_lang"] = None if wire["filter"] is None else "cql2-text" if isinstance(wire["filter"], str) else "cql2-json"
    return wire


def features_to_wire(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same for features."""
    wire = to_wire({"batch": True, **given})
    if "delta" in wire:
        wire["delta"] = [MERGE_PATCH] if wire["delta"] else None
    return wire


def tiles_to_wire(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same for tiles. Raises RequestRefused for zooms that are none and for deltas that cannot be applied here."""
    wire = to_wire(given)
    if "zooms" in wire:
        wire["zoom_range"] = _zoom_range(wire.pop("zooms"))
    if "delta" in wire:
        wire["delta"] = _deltas(wire["delta"])
    if not isinstance(wire.get("tileset"), str | None):
        wire["tileset"] = list(wire["tileset"])
    return wire


def zooms_of(zoom_range: Mapping[str, int]) -> range:
    """The zooms of a range on the wire."""
    return range(zoom_range["start"], zoom_range["end"])


def build(kind: type[Message], members: Mapping[str, Any]) -> Message:
    """A message, checked before it is sent. Raises RequestRefused (`bad_request`)."""
    try:
        return msgspec.convert({"type": type_of(kind), **members}, kind)
    except msgspec.ValidationError as error:
        raise RequestRefused("bad_request", str(error)) from error


def _box(bbox: BBox) -> tuple[float, ...]:
    return tuple(float(edge) for edge in bbox)


def _position(center: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(number) for number in center)


def _geometry(geometry: Geometry) -> dict[str, Any]:
    return dict(geometry if isinstance(geometry, Mapping) else geometry.__geo_interface__)


def _pairs(filters: Filters) -> list[tuple[str, str]]:
    pairs = filters.items() if isinstance(filters, Mapping) else filters
    return [(key, value) for key, value in pairs]


def _interval(interval: Interval) -> str:
    if isinstance(interval, tuple):
        return "/".join(map(_instant, interval))
    return _instant(interval)


def _instant(instant: Instant) -> str:
    if instant is None:
        return ".."
    if isinstance(instant, str):
        return instant
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _zoom_range(zooms: Zooms) -> dict[str, int]:
    match zooms:
        case int():
            return {"start": zooms, "end": zooms + 1}
        case range(start=start, stop=end, step=1) | tuple((int(start), int(end))):
            return {"start": start, "end": end}
    raise RequestRefused("bad_request", f"zooms: a number, range(start, end) or (start, end), not {zooms!r}")


def _deltas(delta: bool | Sequence[str]) -> list[str] | None:
    applicable = applicable_deltas()
    names = [name for name in DELTAS if name in applicable] if delta is True else list(delta or ())
    if refused := [name for name in names if name not in applicable]:
        more = "" if has_pixels() else "; others need numpy and Pillow"
        raise RequestRefused("bad_request", f"delta: this client cannot apply {refused}; it can apply {', '.join(applicable)}{more}")
    return names or None


_CONVERSIONS: dict[str, Any] = {
    "bbox": _box,
    "geometry": _geometry,
    "center": _position,
    "filters": _pairs,
    "datetime": _interval,
    "properties": list,
}
