"""The geometries in GeoJSON that nobody has checked: what has positions, what has none, and what cannot be read.

A publisher may write anything. Coordinates of any number of dimensions are taken, rings need not be closed, lines may have one position
only; what is of a type that GeoJSON does not know is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from math import isfinite
from typing import Annotated, Any

import msgspec
import shapely
from msgspec import Meta
from shapely.geometry.base import BaseGeometry

Position = list[float]
_Position = Annotated[list[float], Meta(min_length=2)]
_TYPES: dict[str, tuple[Any, int]] = {
    "Point": (list[float], 0),
    "MultiPoint": (list[_Position], 1),
    "LineString": (list[_Position], 1),
    "MultiLineString": (list[list[_Position]], 2),
    "Polygon": (list[list[_Position]], 2),
    "MultiPolygon": (list[list[list[_Position]]], 3),
}
KINDS = frozenset({*_TYPES, "GeometryCollection"})


class Shape:
    """A geometry with coordinates: as they are nested, and its positions in order."""

    __slots__ = ("depth", "kind", "nested", "positions")

    def __init__(self, kind: str, nested: Any, depth: int) -> None:
        self.kind = kind
        self.nested = nested
        self.depth = depth
        self.positions: list[Position] = _flat(nested, depth)

    def rebuilt(self, positions: Iterator[Any]) -> Any:
        """Others in place of the positions, nested alike."""
        return _rebuilt(self.nested, self.depth, positions) if self.positions else self.nested


class Place:
    """Where one feature (or one bare geometry) is.

    `anywhere`: it has no position, or something in it cannot be placed, so no box keeps it out. `broken`: it says it has a geometry, but
    nobody can read it, so it is in no box.
    """

    __slots__ = ("anywhere", "broken", "geometry", "positions", "shapes")

    def __init__(self, geometry: Any) -> None:
        self.geometry = geometry
        self.shapes: list[Shape] = []
        self.broken = False
        try:
            unknown = geometry is not None and _collect(geometry, self.shapes)
        except msgspec.ValidationError:
            unknown, self.broken, self.shapes = False, True, []
        self.positions = self.shapes[0].positions if len(self.shapes) == 1 else [*chain.from_iterable(one.positions for one in self.shapes)]
        self.anywhere = not self.broken and (unknown or not self.positions)


def _collect(geometry: Any, into: list[Shape]) -> bool:
    """The geometries with coordinates, in order; True if one of another type is among them. ValidationError if one cannot be read."""
    if not isinstance(geometry, dict):
        raise msgspec.ValidationError("a geometry must be an object")
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if not isinstance(members, list):
            raise msgspec.ValidationError("a collection must have a list of geometries")
        return any([_collect(member, into) for member in members])  # noqa: C419 (all of them)
    if not isinstance(kind, str) or kind not in _TYPES:
        return True
    into.append(_shape(kind, geometry.get("coordinates")))
    return False


def _shape(kind: str, coordinates: Any) -> Shape:
    wanted, depth = _TYPES[kind]
    nested = msgspec.convert(coordinates, wanted)
    if not depth and len(nested) == 1:
        raise msgspec.ValidationError("a position must have two numbers at least")
    return Shape(kind, nested, depth)


def _flat(nested: Any, depth: int) -> list[Position]:
    if depth == 0:
        return [nested] if nested else []
    for _ in range(depth - 1):
        nested = chain.from_iterable(nested)
    return list(nested)


def _rebuilt(nested: Any, depth: int, positions: Iterator[Any]) -> Any:
    if depth == 0:
        return next(positions)
    if depth == 1:
        return list(islice(positions, len(nested)))
    return [_rebuilt(part, depth - 1, positions) for part in nested]


def bounds_of(xs: list[float], ys: list[float]) -> tuple[float, float, float, float] | None:
    """None if one of the numbers is not finite (or there is none)."""
    if len(xs) == 1:
        x, y = xs[0], ys[0]
        return (x, y, x, y) if isfinite(x) and isfinite(y) else None
    if not xs or not all(map(isfinite, xs)) or not all(map(isfinite, ys)):
        return None
    return min(xs), min(ys), max(xs), max(ys)


def drawings(shapes: list[Shape], positions: Iterator[tuple[float, float]]) -> list[BaseGeometry]:
    """The shapes with these positions, each of their parts for itself, for exact tests."""
    made: list[BaseGeometry] = []
    for shape in shapes:
        if shape.positions:
            made.extend(_parts(shape.kind, shape.rebuilt(positions)))
    return made


def _parts(kind: str, nested: Any) -> list[BaseGeometry]:
    match kind:
        case "Point":
            return [shapely.Point(nested)]
        case "MultiPoint":
            return [shapely.MultiPoint(nested)]
        case "LineString":
            return [_line(nested)]
        case "MultiLineString":
            return [_line(line) for line in nested if line]
        case "Polygon":
            return _polygon(nested)
        case _:
            return [*chain.from_iterable(map(_polygon, nested))]


def _line(line: list[tuple[float, float]]) -> BaseGeometry:
    return shapely.LineString(line) if len(line) > 1 else shapely.Point(line[0])


def _polygon(rings: list[list[tuple[float, float]]]) -> list[BaseGeometry]:
    """A ring of less than three positions encloses nothing: it is what it is as a line, and no hole."""
    if not rings or not rings[0]:
        return []
    if len(rings[0]) < 3:
        return [_line(rings[0])]
    return [shapely.Polygon(rings[0], [ring for ring in rings[1:] if len(ring) > 2])]
