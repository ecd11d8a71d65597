"""Longitudes beyond 180 degrees: geometries that go on over the antimeridian, brought back into the world.

A track that goes east from 179 to 181 degrees is the same as two lines, one up to 180 and one from -180 (RFC 7946, section 3.1.9). Lines
and polygons are split there, positions alone are moved by whole turns. What does not leave the world is not touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from .geometry import GeometryError, OutsideWorld, check_geometry, is_empty

MAX_LONGITUDE = 3_600.0
"""Degrees: ten turns. Lines and polygons that go on for longer are refused."""

Position = list[float]


def wrap_geometry(geometry: Any) -> Any:
    """A geometry within the world: itself, or another one, which is still to be checked. GeometryError."""
    if isinstance(geometry, dict) and isinstance(geometry.get("geometries"), list) and geometry.get("type") == "GeometryCollection":
        return {**geometry, "geometries": [wrap_geometry(member) for member in geometry["geometries"] if not is_empty(member)]}
    try:
        check_geometry(geometry)
    except OutsideWorld:
        made = wrapped(geometry["type"], geometry["coordinates"])
        return {name: member for name, member in geometry.items() if name != "bbox"} | made
    return geometry


def wrapped(kind: str, coordinates: Any) -> dict[str, Any]:
    """A checked geometry that is no collection, within -180 to 180 degrees; its type becomes Multi… if it was split. GeometryError."""
    match kind:
        case "Point":
            return {"type": kind, "coordinates": _moved(coordinates)}
        case "MultiPoint":
            return {"type": kind, "coordinates": list(map(_moved, coordinates))}
        case "LineString" | "MultiLineString":
            lines = coordinates if kind == "MultiLineString" else [coordinates]
            parts: list[Any] = [part for line in lines for part in _split_line(line)]
        case _:
            polygons = coordinates if kind == "MultiPolygon" else [coordinates]
            parts = [part for rings in polygons for part in _split_polygon(rings)]
    if len(parts) == 1 and not kind.startswith("Multi"):
        return {"type": kind, "coordinates": parts[0]}
    return {"type": f"Multi{kind.removeprefix('Multi')}", "coordinates": parts}


def _moved(position: Position) -> Position:
    x = position[0]
    if -180.0 <= x <= 180.0:
        return position
    _check_reach([position])
    return [math.remainder(x, 360.0), *position[1:]]


def _turn(x: float) -> int:
    """How many turns east of the world a longitude is. 180 itself belongs to the world."""
    return math.ceil((x - 180.0) / 360.0)


def _check_reach(positions: Iterable[Position]) -> None:
    for position in positions:
        if not -MAX_LONGITUDE <= position[0] <= MAX_LONGITUDE:
            raise GeometryError(f"longitude {position[0]} is more than ten turns away")


def _split_line(line: list[Position]) -> list[list[Position]]:
    """Its parts in order, each of two positions or more."""
    _check_reach(line)
    parts: list[tuple[int, list[Position]]] = []
    for start, end in pairwise(line):
        for turn, here, there in _pieces(start, end):
            if parts and parts[-1][0] == turn:
                parts[-1][1].append(there)
            else:
                parts.append((turn, [here, there]))
    return [[[position[0] - 360.0 * turn, *position[1:]] for position in part] for turn, part in parts]


def _pieces(start: Position, end: Position) -> list[tuple[int, Position, Position]]:
    """An edge, cut wherever it crosses from one turn to the next."""
    low, high = min(start[0], end[0]), max(start[0], end[0])
    first = math.floor((low + 180.0) / 360.0)
    last = max(first, _turn(high))
    if first == last:
        return [(first, start, end)]
    crossings = [_between(start, end, 180.0 + 360.0 * turn) for turn in range(first, last)]
    if start[0] > end[0]:
        crossings.reverse()
        turns = range(last, first - 1, -1)
    else:
        turns = range(first, last + 1)
    places = [start, *crossings, end]
    pieces = zip(turns, places, places[1:], strict=False)
    return [(turn, here, there) for turn, here, there in pieces if here != there]


def _between(start: Position, end: Position, x: float) -> Position:
    if x in (start[0], end[0]):
        return start if x == start[0] else end
    part = (x - start[0]) / (end[0] - start[0])
    return [x, *(a + (b - a) * part for a, b in zip(start[1:], end[1:], strict=False))]


def _split_polygon(rings: list[list[Position]]) -> list[list[list[Position]]]:
    _check_reach(rings[0])
    xs = [position[0] for position in rings[0]]
    first, last = math.floor((min(xs) + 180.0) / 360.0), _turn(max(xs))
    if first >= last:
        return [[[[position[0] - 360.0 * first, *position[1:]] for position in ring] for ring in rings]]
    heights = all(len(position) > 2 for ring in rings for position in ring)
    polygon = shapely.Polygon(*_shell_and_holes(rings, 3 if heights else 2))
    if not shapely.is_valid(polygon):
        raise GeometryError(f"the polygon cannot be split at the antimeridian: {shapely.is_valid_reason(polygon)}")
    return [part for turn in range(first, last + 1) for part in _within_turn(polygon, turn)]


def _shell_and_holes(rings: list[list[Position]], axes: int) -> tuple[list[Position], list[list[Position]]]:
    shell, *holes = [[position[:axes] for position in ring] for ring in rings]
    return shell, holes


def _within_turn(polygon: BaseGeometry, turn: int) -> list[list[list[Position]]]:
    east = 360.0 * turn
    cut = shapely.intersection(polygon, shapely.box(east - 180.0, -90.0, east + 180.0, 90.0))
    parts = [part for part in shapely.get_parts(cut) if part.geom_type == "Polygon"]
    wound = shapely.orient_polygons(parts)
    return [[[[x - east, *rest] for x, *rest in ring.coords] for ring in (part.exterior, *part.interiors)] for part in wound]
