"""Geometries of GeoJSON as publishers write them, unchecked: parsed, and as shapely's for exact tests.

A publisher may write anything. Positions of any number of dimensions are read, rings need not be closed, lines may have one position
only; a geometry of a type that GeoJSON does not know is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import isfinite
from typing import Annotated, Any

import msgspec
import shapely
from msgspec import Meta
from shapely.geometry.base import BaseGeometry

from streaming.core.bbox import Box
from streaming.core.coordinates import DEPTHS, Position, flatten, nest

_Position = Annotated[list[float], Meta(min_length=2)]
_TYPES: dict[str, Any] = {
    "Point": list[float],
    "MultiPoint": list[_Position],
    "LineString": list[_Position],
    "MultiLineString": list[list[_Position]],
    "Polygon": list[list[_Position]],
    "MultiPolygon": list[list[list[_Position]]],
}
KINDS = frozenset({*_TYPES, "GeometryCollection"})


def type_of(member: Any) -> str | None:
    """The type of a GeoJSON object; None of anything else."""
    kind = member.get("type") if isinstance(member, dict) else None
    if not isinstance(kind, str):
        return None
    if kind == "FeatureCollection":
        return kind if isinstance(member.get("features"), list) else None
    return kind if kind == "Feature" or kind in KINDS else None


class Coordinates:
    """The coordinates of one geometry that is no collection: as they are nested, and as positions in order."""

    __slots__ = ("kind", "nested", "positions")

    def __init__(self, kind: str, nested: Any) -> None:
        self.kind = kind
        self.nested = nested
        self.positions: list[Position] = flatten(nested, DEPTHS[kind])

    def replaced(self, positions: Iterator[Any]) -> Any:
        """The next of these positions instead, nested alike."""
        return nest(positions, self.nested, DEPTHS[self.kind]) if self.positions else self.nested


class ParsedGeometry:
    """The geometry of one feature, or a geometry on its own, with all that a collection consists of.

    `passes_always`: it has no position, or some part is of an unknown type, so no box keeps it out. `invalid`: it cannot be read, so it
    is in no box.
    """

    __slots__ = ("geometry", "invalid", "parts", "passes_always", "positions")

    def __init__(self, geometry: Any) -> None:
        self.geometry = geometry
        self.parts: list[Coordinates] = []
        self.invalid = False
        try:
            unknown = geometry is not None and _collect(geometry, self.parts)
        except msgspec.ValidationError:
            unknown, self.invalid, self.parts = False, True, []
        self.positions = self.parts[0].positions if len(self.parts) == 1 else [*chain.from_iterable(part.positions for part in self.parts)]
        self.passes_always = not self.invalid and (unknown or not self.positions)


def _collect(geometry: Any, into: list[Coordinates]) -> bool:
    """The parts with coordinates, in order; True if one of unknown type is among them. ValidationError if one cannot be read."""
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
    nested = msgspec.convert(geometry.get("coordinates"), _TYPES[kind])
    if kind == "Point" and len(nested) == 1:
        raise msgspec.ValidationError("a position must have two numbers at least")
    into.append(Coordinates(kind, nested))
    return False


def bounds_of(xs: list[float], ys: list[float]) -> Box | None:
    """None if one of the numbers is not finite (or there is none)."""
    if len(xs) == 1:
        x, y = xs[0], ys[0]
        return (x, y, x, y) if isfinite(x) and isfinite(y) else None
    if not xs or not all(map(isfinite, xs)) or not all(map(isfinite, ys)):
        return None
    return min(xs), min(ys), max(xs), max(ys)


def to_shapely(parts: list[Coordinates], positions: Iterator[tuple[float, float]]) -> list[BaseGeometry]:
    """The parts with these positions instead, for exact tests."""
    made: list[BaseGeometry] = []
    for part in parts:
        if part.positions:
            made.extend(_shapely_parts(part.kind, part.replaced(positions)))
    return made


def _shapely_parts(kind: str, nested: Any) -> list[BaseGeometry]:
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
    """A ring of less than three positions encloses nothing: as an outer ring it counts as a line, as a hole it does not count."""
    if not rings or not rings[0]:
        return []
    if len(rings[0]) < 3:
        return [_line(rings[0])]
    return [shapely.Polygon(rings[0], [ring for ring in rings[1:] if len(ring) > 2])]
