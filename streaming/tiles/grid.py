"""The grid of Web Mercator tiles (XYZ, row 0 in the north) and which of its tiles a box in degrees touches.

Boxes are (west, south, east, north); west > east crosses the antimeridian. Latitudes beyond the edge of the square (85.0511°) are cut
off there. A box touches what it shares a point with: edges count, on all four sides, as the base protocol wants it. Nothing is enumerated
before it is counted, so that a request for a million tiles costs no more than its refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import asinh, atan, degrees, floor, pi, radians, sinh, tan
from typing import NamedTuple

from ..core.bbox import Box, check_bbox
from ..core.errors import StreamError

MAX_LATITUDE = 85.0511287798066
MAX_ZOOM = 30
WORLD: Box = (-180.0, -MAX_LATITUDE, 180.0, MAX_LATITUDE)
EDGE = 1e-9
"""In degrees (0.1 mm): what is as near as this touches, so that the last digit of an edge, which formulas differ in, does not matter."""


class Tile(NamedTuple):
    """One place of the grid."""

    z: int
    x: int
    y: int


class TileRange(NamedTuple):
    """A rectangle of tiles of one zoom; both ends are part of it."""

    z: int
    west: int
    north: int
    east: int
    south: int

    def __len__(self) -> int:
        return (self.east - self.west + 1) * (self.south - self.north + 1)

    def holds(self, x: int, y: int) -> bool:
        """Whether this column and row are part of it."""
        return self.west <= x <= self.east and self.north <= y <= self.south

    def tiles(self) -> Iterator[Tile]:
        """Its tiles, column by column."""
        for x in range(self.west, self.east + 1):
            for y in range(self.north, self.south + 1):
                yield Tile(self.z, x, y)


def tile_exists(z: int, x: int, y: int) -> bool:
    """Whether the grid has this tile."""
    return 0 <= z <= MAX_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z


def tile_box(z: int, x: int, y: int) -> Box:
    """The tile's box in degrees."""
    size = 1 << z
    return (x / size * 360 - 180, _latitude(y + 1, size), (x + 1) / size * 360 - 180, _latitude(y, size))


def tile_ranges(box: Box, z: int) -> list[TileRange]:
    """The tiles of one zoom that the box touches: one rectangle, or two at the antimeridian, with no tile in both."""
    west, south, east, north = box
    if south > MAX_LATITUDE + EDGE or north < -MAX_LATITUDE - EDGE or not 0 <= z <= MAX_ZOOM:
        return []
    left, top = _inside(tile_position(west - EDGE, north + EDGE, z), z)
    right, bottom = _inside(tile_position(east + EDGE, south - EDGE, z), z)
    last = (1 << z) - 1
    if west <= east:
        return [TileRange(z, left, top, right, bottom)]
    if left <= right + 1:  # the two parts meet on the other side of the world
        return [TileRange(z, 0, top, last, bottom)]
    return [TileRange(z, left, top, last, bottom), TileRange(z, 0, top, right, bottom)]


def count_tiles(box: Box, zooms: range) -> int:
    """How many tiles of these zooms the box touches."""
    return sum(len(part) for z in _zooms(zooms) for part in tile_ranges(box, z))


def viewport_tiles(bbox: Sequence[float], zooms: range, limit: int) -> list[Tile]:
    """The tiles of a viewport in the order in which a viewer wants them: lowest zoom first, then nearest the centre.

    `StreamError` invalid_bbox, or too_many_tiles if there are more than `limit`.
    """
    box = check_bbox(bbox)
    wanted = count_tiles(box, zooms)
    if wanted > limit:
        raise StreamError("too_many_tiles", f"the box holds {wanted:,} tiles of these zooms, more than {limit:,}: ask for fewer")
    return [tile for z in _zooms(zooms) for tile in _from_centre(box, z)]


def touches(box: Box, z: int, x: int, y: int) -> bool:
    """Whether the tile is one of those that the box touches."""
    return any(part.holds(x, y) for part in tile_ranges(box, z))


def is_near(box: Box, z: int, x: int, y: int, margin: float) -> bool:
    """Whether the tile and the box are closer than so many tiles, or touch."""
    (left, top), (right, bottom) = tile_position(box[0], box[3], z), tile_position(box[2], box[1], z)
    if top > y + 1 + margin or bottom < y - margin:
        return False
    after_west, before_east = left <= x + 1 + margin, right >= x - margin
    return (after_west or before_east) if box[0] > box[2] else (after_west and before_east)


def tile_position(lon: float, lat: float, z: int) -> tuple[float, float]:
    """A position in units of tiles from the north-west corner."""
    lat = min(max(lat, -MAX_LATITUDE), MAX_LATITUDE)
    size = 1 << z
    return (lon + 180) / 360 * size, (1 - asinh(tan(radians(lat))) / pi) / 2 * size


def _latitude(y: int, size: int) -> float:
    return degrees(atan(sinh(pi - 2 * pi * y / size)))


def _inside(position: tuple[float, float], z: int) -> tuple[int, int]:
    last = (1 << z) - 1
    x, y = (min(max(floor(number), 0), last) for number in position)
    return x, y


def _zooms(zooms: range) -> range:
    return range(max(zooms.start, 0), min(zooms.stop, MAX_ZOOM + 1))


def _from_centre(box: Box, z: int) -> list[Tile]:
    (left, top), (right, bottom) = tile_position(box[0], box[3], z), tile_position(box[2], box[1], z)
    world = 1 << z
    middle_x = (left + right + (world if left > right else 0)) / 2 % world
    middle_y = (top + bottom) / 2

    def distance(tile: Tile) -> float:
        across = abs(tile.x + 0.5 - middle_x)
        if left > right:
            across = min(across, world - across)
        return float(across**2 + (tile.y + 0.5 - middle_y) ** 2)

    return sorted((tile for part in tile_ranges(box, z) for tile in part.tiles()), key=distance)
