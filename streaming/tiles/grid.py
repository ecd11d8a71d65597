"""The grid of Web Mercator tiles (XYZ, row 0 in the north), and which of its tiles a box in degrees touches.

Boxes are (west, south, east, north); west > east crosses the antimeridian. Latitudes beyond the edge of the square
(85.0511°) are cut off. A box touches a tile if they share a point, also on any of the four edges, as the geo protocol
requires. Tiles are counted before they are listed, so that a request for a million tiles costs no more than its
refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import asinh, atan, ceil, degrees, floor, log10, pi, radians, sinh, tan
from typing import NamedTuple

from ..core.bbox import Box, check_bbox
from ..core.errors import StreamError

MAX_LATITUDE = 85.0511287798066
MAX_ZOOM = 30
WORLD: Box = (-180.0, -MAX_LATITUDE, 180.0, MAX_LATITUDE)
EDGE = 1e-9
"""In degrees (0.1 mm): a box as near to a tile as this touches it, because formulas differ in the last digit of an
edge."""


class Tile(NamedTuple):
    """One tile of the grid."""

    z: int
    x: int
    y: int


class TileRange(NamedTuple):
    """A rectangle of tiles of one zoom; both ends are included."""

    z: int
    west: int
    north: int
    east: int
    south: int

    def __len__(self) -> int:
        return (self.east - self.west + 1) * (self.south - self.north + 1)

    def contains(self, x: int, y: int) -> bool:
        """Whether the tile in this column and row is part of it."""
        return self.west <= x <= self.east and self.north <= y <= self.south

    def common(self, other: TileRange) -> TileRange | None:
        """The tiles that are in both rectangles, None if there are none. Both are of the same zoom."""
        west, north = max(self.west, other.west), max(self.north, other.north)
        east, south = min(self.east, other.east), min(self.south, other.south)
        return TileRange(self.z, west, north, east, south) if west <= east and north <= south else None

    def tiles(self) -> Iterator[Tile]:
        """The tiles, column by column."""
        for x in range(self.west, self.east + 1):
            for y in range(self.north, self.south + 1):
                yield Tile(self.z, x, y)


def tile_exists(z: int, x: int, y: int) -> bool:
    """Whether the grid has this tile."""
    return 0 <= z <= MAX_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z


def tile_box(z: int, x: int, y: int) -> Box:
    """The box of a tile in degrees."""
    size = 1 << z
    return (x / size * 360 - 180, _latitude(y + 1, size), (x + 1) / size * 360 - 180, _latitude(y, size))


def tile_position(lon: float, lat: float, z: int) -> tuple[float, float]:
    """A position in units of tiles from the north-west corner."""
    lat = min(max(lat, -MAX_LATITUDE), MAX_LATITUDE)
    size = 1 << z
    return (lon + 180) / 360 * size, (1 - asinh(tan(radians(lat))) / pi) / 2 * size


def tile_ranges(box: Box, z: int) -> list[TileRange]:
    """The tiles of one zoom that the box touches: one rectangle, or two at the antimeridian, with no tile in both."""
    west, south, east, north = box
    if south > MAX_LATITUDE + EDGE or north < -MAX_LATITUDE - EDGE or not 0 <= z <= MAX_ZOOM:
        return []
    left, top = _clamped(tile_position(west - EDGE, north + EDGE, z), z)
    right, bottom = _clamped(tile_position(east + EDGE, south - EDGE, z), z)
    last = (1 << z) - 1
    if west <= east:
        return [TileRange(z, left, top, right, bottom)]
    if left <= right + 1:  # the two parts meet on the other side of the world
        return [TileRange(z, 0, top, last, bottom)]
    return [TileRange(z, left, top, last, bottom), TileRange(z, 0, top, right, bottom)]


def count_tiles(box: Box, zooms: range) -> int:
    """How many tiles of these zooms the box touches."""
    return sum(len(part) for z in _existing(zooms) for part in tile_ranges(box, z))


def viewport_tiles(bbox: Sequence[float], zooms: range, limit: int) -> list[Tile]:
    """The tiles of a viewport in the order in which they are sent: by zoom, then from the centre outwards.

    `StreamError`: invalid_bbox, or too_many_tiles if there are more than `limit`.
    """
    box = check_bbox(bbox)
    count = count_tiles(box, zooms)
    if count > limit:
        raise StreamError("too_many_tiles", f"the box holds {count:,} tiles of these zooms, more than {limit:,}: ask for fewer")
    return [tile for z in _existing(zooms) for tile in _from_centre(box, z)]


def touches(box: Box, z: int, x: int, y: int) -> bool:
    """Whether the box touches the tile."""
    return any(part.contains(x, y) for part in tile_ranges(box, z))


def is_near(box: Box, z: int, x: int, y: int, margin: float) -> bool:
    """Whether the tile and the box are not farther apart than `margin`, in units of tiles."""
    (left, top), (right, bottom) = tile_position(box[0], box[3], z), tile_position(box[2], box[1], z)
    if top > y + 1 + margin or bottom < y - margin:
        return False
    after_west, before_east = left <= x + 1 + margin, right >= x - margin
    return (after_west or before_east) if box[0] > box[2] else (after_west and before_east)


def near_ranges(box: Box, z: int, margin: float) -> list[TileRange]:
    """The tiles of one zoom for which `is_near` holds: one rectangle, or two at the antimeridian."""
    (left, top), (right, bottom) = tile_position(box[0], box[3], z), tile_position(box[2], box[1], z)
    last = (1 << z) - 1
    first_column, last_column = max(ceil(left - 1 - margin), 0), min(floor(right + margin), last)
    first_row, last_row = max(ceil(top - 1 - margin), 0), min(floor(bottom + margin), last)
    columns = [(first_column, last_column)] if box[0] <= box[2] else [(first_column, last), (0, last_column)]
    return [TileRange(z, west, first_row, east, last_row) for west, east in columns if west <= east and first_row <= last_row]


def union(boxes: Sequence[Box]) -> Box:
    """The smallest box around boxes that do not cross the antimeridian."""
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def map_bounds(boxes: Sequence[Box]) -> Box:
    """The box around all boxes, within the map. A single box that crosses the antimeridian still does."""
    west, south, east, north = union(boxes)
    if len(boxes) > 1 and any(box[0] > box[2] for box in boxes):
        west, east = -180.0, 180.0
    return (max(west, -180.0), max(south, -MAX_LATITUDE), min(east, 180.0), min(north, MAX_LATITUDE))


def box_text(box: Box) -> str:
    """`from west,south to east,north`, with as many digits as tell its sides apart."""
    west, south, east, north = box
    across = east - west if west <= east else east - west + 360
    digits = min(max(2 - floor(log10(max(min(across, north - south), 1e-9))), 2), 9)
    numbers = [f"{round(number, digits):.9f}".rstrip("0").rstrip(".") for number in box]
    return "from {},{} to {},{}".format(*("0" if number == "-0" else number for number in numbers))


def _latitude(y: int, size: int) -> float:
    return degrees(atan(sinh(pi - 2 * pi * y / size)))


def _clamped(position: tuple[float, float], z: int) -> tuple[int, int]:
    """The column and row of the nearest tile that exists."""
    last = (1 << z) - 1
    x, y = (min(max(floor(number), 0), last) for number in position)
    return x, y


def _existing(zooms: range) -> range:
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
