"""Validates GeoJSON geometries (RFC 7946), and reports where one is wrong.

Checks decoded JSON in place and turns whole coordinates into floats, so that equal geometries encode to equal bytes. The shape and
the types of coordinates are checked by msgspec's C code; a point, the most frequent geometry of a stream, by a few comparisons.
What RFC 7946 lets a reader overlook is mended: more than three numbers of a position, and what is outside the world by a rounding error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from .coordinates import DEPTHS

MAX_COLLECTIONS = 8
"""How deeply GeometryCollections may be nested."""
EDGE = 1e-9
"""Degrees by which a position may be outside the world: about a tenth of a millimetre, more than any rounding error."""

_T = TypeVar("_T")
_TOO_MANY_NUMBERS = "Expected `array` of length <= 3"
_Position = Annotated[list[float], Meta(min_length=2, max_length=3)]
_Line = Annotated[list[_Position], Meta(min_length=2)]
_Rings = Annotated[list[Annotated[list[_Position], Meta(min_length=4)]], Meta(min_length=1)]


class GeometryError(ValueError):
    """The geometry is not valid GeoJSON; the message has where and why."""


class OutsideWorld(GeometryError):
    """The geometry is valid but for a longitude."""


class _Positions(msgspec.Struct):
    coordinates: list[_Position]


class _LineString(msgspec.Struct):
    coordinates: _Line


class _Lines(msgspec.Struct):
    coordinates: list[_Line]


class _Polygon(msgspec.Struct):
    coordinates: _Rings


class _Polygons(msgspec.Struct):
    coordinates: list[_Rings]


def check_geometry(geometry: Any, place: str = "geometry", collections: int = MAX_COLLECTIONS) -> None:
    """GeometryError unless `geometry` is one of the seven types, in degrees within the world, its rings closed."""
    if not isinstance(geometry, dict):
        raise GeometryError(f"{place}: must be an object or null")
    kind = geometry.get("type")
    if kind == "Point":
        geometry["coordinates"] = _point(geometry.get("coordinates"), f"{place}.coordinates")
    elif kind == "GeometryCollection":
        _check_members(geometry.get("geometries"), f"{place}.geometries", collections)
    elif isinstance(kind, str) and kind in _CHECKS:
        _CHECKS[kind](geometry, f"{place}.coordinates")
    else:
        raise GeometryError(f"{place}.type: {kind!r:.40} is not one of the seven geometry types")


def is_empty(geometry: Any) -> bool:
    """Whether it is a geometry of no positions where its type wants some: what RFC 7946 lets a reader take for null."""
    if not isinstance(geometry, dict) or geometry.get("type") not in ("Point", "LineString", "Polygon"):
        return False
    coordinates = geometry.get("coordinates")
    return coordinates == [] or (coordinates == [[]] and geometry["type"] == "Polygon")


def _check_members(members: Any, place: str, collections: int) -> None:
    if not isinstance(members, list):
        raise GeometryError(f"{place}: must be a list of geometries")
    if collections == 0:
        raise GeometryError(f"{place}: collections are nested more than {MAX_COLLECTIONS} deep")
    members[:] = [member for member in members if not is_empty(member)]
    for index, member in enumerate(members):
        check_geometry(member, f"{place}[{index}]", collections - 1)


def _point(position: Any, place: str) -> Any:
    if type(position) is not list or len(position) < 2:
        raise GeometryError(f"{place}: a position is a list of 2 or 3 numbers")
    if len(position) > 3:
        position = position[:3]
    x, y = position[0], position[1]
    if type(x) is not float or type(y) is not float or len(position) == 3:
        position = [_number(number, f"{place}[{axis}]") for axis, number in enumerate(position)]
        x, y = position[0], position[1]
    if not (-180.0 <= x <= 180.0 and -90.0 <= y <= 90.0):
        _check_position(position, place)
    return position


def _number(number: Any, place: str) -> float:
    if type(number) is not float and type(number) is not int:
        raise GeometryError(f"{place}: {number!r:.40} is not a number")
    try:
        return float(number)
    except OverflowError:
        raise GeometryError(f"{place}: the number is too large") from None


def _check_multi_point(geometry: dict[str, Any], place: str) -> None:
    geometry["coordinates"] = positions = _typed(geometry, _Positions, place).coordinates
    _check_world([(place, positions)], positions)


def _check_line(geometry: dict[str, Any], place: str) -> None:
    geometry["coordinates"] = positions = _typed(geometry, _LineString, place).coordinates
    _check_world([(place, positions)], positions)


def _check_lines(geometry: dict[str, Any], place: str) -> None:
    geometry["coordinates"] = lines = _typed(geometry, _Lines, place).coordinates
    _check_world(_named(lines, place), chain.from_iterable(lines))


def _check_polygon(geometry: dict[str, Any], place: str) -> None:
    geometry["coordinates"] = rings = _typed(geometry, _Polygon, place).coordinates
    _check_rings(rings, place)


def _check_polygons(geometry: dict[str, Any], place: str) -> None:
    geometry["coordinates"] = polygons = _typed(geometry, _Polygons, place).coordinates
    for index, rings in enumerate(polygons):
        _check_rings(rings, f"{place}[{index}]")


def _check_rings(rings: list[list[list[float]]], place: str) -> None:
    for index, ring in enumerate(rings):
        if ring[0] != ring[-1]:
            raise GeometryError(f"{place}[{index}]: the ring is not closed (its first and last position differ)")
    _check_world(_named(rings, place), chain.from_iterable(rings))


def _check_world(parts: Iterable[tuple[str, list[list[float]]]], positions: Iterable[list[float]]) -> None:
    """All `positions` at once; only when one is outside are the named `parts` searched for it, or mended in place."""
    if all(-180.0 <= position[0] <= 180.0 and -90.0 <= position[1] <= 90.0 for position in positions):
        return
    for place, part in parts:
        for index, position in enumerate(part):
            _check_position(position, f"{place}[{index}]")


def _check_position(position: list[float], place: str) -> None:
    x, y = position[0], position[1]
    if not -90.0 - EDGE <= y <= 90.0 + EDGE:
        raise GeometryError(f"{place}: latitude {y} is outside -90 to 90")
    if not -180.0 - EDGE <= x <= 180.0 + EDGE:
        raise OutsideWorld(f"{place}: longitude {x} is outside -180 to 180")
    position[0], position[1] = min(180.0, max(-180.0, x)), min(90.0, max(-90.0, y))


def _cut(coordinates: Any, depth: int) -> Any:
    """The coordinates without the numbers of a position behind the third."""
    if not isinstance(coordinates, list):
        return coordinates
    return [_cut(part, depth - 1) for part in coordinates] if depth else coordinates[:3]


def _named(parts: list[list[list[float]]], place: str) -> Iterator[tuple[str, list[list[float]]]]:
    return ((f"{place}[{index}]", part) for index, part in enumerate(parts))


def _typed(geometry: dict[str, Any], kind: type[_T], place: str) -> _T:
    try:
        return msgspec.convert(geometry, kind)
    except msgspec.ValidationError as error:
        if str(error).startswith(_TOO_MANY_NUMBERS):
            geometry["coordinates"] = _cut(geometry["coordinates"], DEPTHS[geometry["type"]])
            return _typed(geometry, kind, place)
        reason, _, path = str(error).partition(" - at `$.coordinates")
        raise GeometryError(f"{place}{path.rstrip('`')}: {reason[0].lower()}{reason[1:].replace('`', '')}") from None


_CHECKS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "MultiPoint": _check_multi_point,
    "LineString": _check_line,
    "MultiLineString": _check_lines,
    "Polygon": _check_polygon,
    "MultiPolygon": _check_polygons,
}
