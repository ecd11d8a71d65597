"""Drawing commands of Mapbox vector tiles, from shapely geometries in whole units of the tile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from .mvt_values import field, packed, zigzag

_POINT, _LINE, _POLYGON = 1, 2, 3
_MOVE_TO, _LINE_TO, _CLOSE_PATH = 1, 2, 15
_KINDS = {kind: bytes((0x18, kind)) for kind in (_POINT, _LINE, _POLYGON)}

Position = tuple[int, int]
"""Across and down, in units of the tile."""


def drawn(geometry: BaseGeometry | Position) -> list[bytes]:
    """The points, the lines and the polygons of a geometry in units of the tile, each kind as fields of one feature: type and commands."""
    if isinstance(geometry, tuple):
        return [_drawing(_POINT, (1 << 3 | _MOVE_TO, *map(zigzag, geometry)))]
    parts: dict[int, list[BaseGeometry]] = {}
    for part in _simple_parts(geometry):
        kind = {"Point": _POINT, "LineString": _LINE, "LinearRing": _LINE, "Polygon": _POLYGON}[part.geom_type]
        parts.setdefault(kind, []).append(part)
    drawn = ((kind, _PENS[kind](of_kind)) for kind, of_kind in parts.items())
    return [_drawing(kind, commands) for kind, commands in drawn if commands]


def _drawing(kind: int, commands: Iterable[int]) -> bytes:
    return _KINDS[kind] + field(4, packed(commands))


def _simple_parts(geometry: BaseGeometry) -> Iterator[BaseGeometry]:
    if geometry.is_empty:
        return
    if geometry.geom_type.startswith(("Multi", "GeometryCollection")):
        for part in geometry.geoms:
            yield from _simple_parts(part)
    else:
        yield geometry


def _draw_points(points: Sequence[BaseGeometry]) -> list[int]:
    pen = _Pen()
    pen.path(list(dict.fromkeys(_positions(point)[0] for point in points)), first=_MOVE_TO)
    return pen.commands


def _draw_lines(lines: Sequence[BaseGeometry]) -> list[int]:
    pen = _Pen()
    for line in lines:
        positions = _distinct(_positions(line))
        if len(positions) > 1:
            pen.start(positions[0])
            pen.path(positions[1:], first=_LINE_TO)
    return pen.commands


def _draw_polygons(polygons: Sequence[BaseGeometry]) -> list[int]:
    pen = _Pen()
    for polygon in polygons:
        if not _draw_ring(pen, polygon.exterior, outer=True):
            continue
        for hole in polygon.interiors:
            _draw_ring(pen, hole, outer=False)
    return pen.commands


_PENS = {_POINT: _draw_points, _LINE: _draw_lines, _POLYGON: _draw_polygons}


def _draw_ring(pen: _Pen, ring: BaseGeometry, outer: bool) -> bool:
    """Draw a ring: outer ones so that their area is positive (y grows to the south), inner ones in the other
    direction."""
    positions = _distinct(_positions(ring))[:-1]
    area = _twice_area(positions)
    if len(positions) < 3 or area == 0:
        return False
    if (area > 0) is not outer:
        positions.reverse()
    pen.start(positions[0])
    pen.path(positions[1:], first=_LINE_TO)
    pen.commands.append(_CLOSE_PATH)
    return True


class _Pen:
    """Drawing commands. Positions are relative to the end of the last command."""

    def __init__(self) -> None:
        self.commands: list[int] = []
        self._x = self._y = 0

    def start(self, position: Position) -> None:
        """Move to a position without drawing."""
        self.path([position], first=_MOVE_TO)

    def path(self, positions: Sequence[Position], first: int) -> None:
        """Add one command with all the positions."""
        commands, last_x, last_y = self.commands, self._x, self._y
        commands.append(len(positions) << 3 | first)
        for x, y in positions:
            across, down = x - last_x, y - last_y
            commands.append((across << 1) ^ (across >> 63))
            commands.append((down << 1) ^ (down >> 63))
            last_x, last_y = x, y
        self._x, self._y = last_x, last_y


def _positions(part: BaseGeometry) -> list[Position]:
    coordinates: list[Position] = shapely.get_coordinates(part).astype(int).tolist()
    return [(x, y) for x, y in coordinates]


def _distinct(positions: list[Position]) -> list[Position]:
    """The positions without those that equal the one before."""
    return [here for index, here in enumerate(positions) if not index or here != positions[index - 1]]


def _twice_area(ring: list[Position]) -> int:
    following = ring[1:] + ring[:1]
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(ring, following, strict=True))
