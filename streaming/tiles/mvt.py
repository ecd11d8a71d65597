"""Mapbox vector tiles, version 2 (https://github.com/mapbox/vector-tile-spec), written from shapely geometries.

Written by hand because it is on the path of every tile: `mapbox-vector-tile` takes four times as long for a tile of 10,000 points.
In the tests it reads what is written here. Equal shapes are equal bytes, and nearly equal ones nearly equal bytes, so that deltas are
small: see `_slots`.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

EXTENT = 4096
MARGIN = 80
"""Units of the tile beyond its edge that it shows, so that lines and symbols meet across tiles."""
_POINT, _LINE, _POLYGON = 1, 2, 3
_MOVE_TO, _LINE_TO, _CLOSE_PATH = 1, 2, 15
_KINDS = {kind: bytes((0x18, kind)) for kind in (_POINT, _LINE, _POLYGON)}
_INT64 = range(-(2**63), 2**63)
_SMALL = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(1 << 14)]
"""The varints of two bytes at most: nearly all there are."""
SLOTS_FROM = 256
"""Distinct values from which gaps pay: with fewer, new numbers cost a delta hardly more than gaps cost the tile."""
_FULLEST = 0.85
"""Share of the slots in use at most, half of that at least: fuller ones push each other about, emptier ones make the tile larger."""
_GAP = b"\x22\x02\x38\x00"
"""What stands in a slot without a value, false: among the shortest values there are. Nothing refers to it."""

Position = tuple[int, int]
"""Across and down."""

EncodedProperties = tuple[tuple[str, bytes], ...]
"""Properties as tiles have them: keys, and values as the bytes that name them in a layer."""


class TileFeature(NamedTuple):
    """One feature of a layer. Coordinates are whole numbers from the tile's north-west corner; a pair of them is a point."""

    geometry: BaseGeometry | Position
    words: EncodedProperties
    id: int | None = None


def encode_properties(properties: Mapping[str, Any]) -> EncodedProperties:
    """Made once for a feature that many tiles show. Null is left out; lists and objects become JSON."""
    return tuple((key, _field(4, _value(value))) for key, value in properties.items() if value is not None)


def encode_layer(name: str, shapes: Iterable[TileFeature]) -> bytes:
    """A tile with one layer; empty bytes if no shape is left of any size."""
    ids: list[bytes] = []  # side by side, not as tuples: the garbage collector would visit those, a quarter of a second for 100,000
    used: list[EncodedProperties] = []
    drawings: list[bytes] = []
    for geometry, words, id in shapes:
        for drawing in _drawn(geometry):
            ids.append(b"" if id is None else b"\x08" + _varint(id))
            used.append(words)
            drawings.append(drawing)
    if not drawings:
        return b""
    lists, tags = _numbered(ids, used)
    features = b"".join([_field(2, id + tag + drawing) for id, tag, drawing in zip(ids, tags, drawings, strict=True)])
    return _field(3, b"\x78\x02" + _field(1, name.encode()) + features + lists + b"\x28" + _varint(EXTENT))


def _numbered(ids: Sequence[bytes], used: Sequence[EncodedProperties]) -> tuple[bytes, Iterator[bytes]]:
    """The keys and values of a layer, each written once, and for each feature the field with their numbers."""
    keys = {key: _varint(number) for number, key in enumerate(sorted({key for words in used for key, _ in words}))}
    values = {value: key for words in used for key, value in words}
    slots = _slots(_homes(values, ids, used)) if len(values) >= SLOTS_FROM else range(len(values))
    table = [_GAP] * (max(slots, default=-1) + 1)
    for value, slot in zip(values, slots, strict=True):
        table[slot] = value
    numbers = dict(zip(values, map(_varint, slots), strict=True))
    tags = (b"".join([number for key, value in words for number in (keys[key], numbers[value])]) for words in used)
    return b"".join([_field(3, key.encode()) for key in keys] + table), (_field(2, tag) if tag else b"" for tag in tags)


def _homes(values: Mapping[bytes, str], ids: Sequence[bytes], used: Sequence[EncodedProperties]) -> list[int]:
    """For each value a hash: of its feature where most features have one of their own (names, heights), else of the value itself.

    So the values of one feature are neighbours, and a new one comes to stand where the old one was, under the same number: that halves
    the deltas. A feature without an id is known by its first property.
    """
    own = {key for key, count in Counter(values.values()).items() if count > len(used) / 2}
    owners: dict[bytes, bytes] = {}
    for id, words in zip(ids, used, strict=True) if own else ():
        for key, value in words:
            if key in own:
                owners.setdefault(value, id or words[0][1])
    return [crc32(owners.get(value, value)) for value in values]


def _slots(homes: Sequence[int]) -> list[int]:
    """The numbers of values: their places in a hash table, so that they stay the same when other values come and go.

    Counted one after the other, one value more or fewer would renumber all that follow, and every feature with one of them: a tenth of
    10,000 features would make a delta of a fifth to a third of the tile. Here the upper bits of a hash are the number; those that meet
    move up, in the order of their hashes. Only when the number of values crosses a power of two (times `_FULLEST`), all get others.
    The gaps, and numbers of more bytes, make a tile 5 to 25 % larger. (The specification advises against values that are there twice, as
    gaps are, for the sake of the size only.)
    """
    count = len(homes)
    hashes = np.array(homes, np.int64)
    order = np.argsort(hashes, kind="stable")
    behind = np.arange(count)
    first = hashes[order] >> 32 - int(count / _FULLEST).bit_length()
    slots = np.empty(count, np.int64)
    slots[order] = behind + np.maximum.accumulate(first - behind)  # each at home, or next to the one before
    numbers: list[int] = slots.tolist()
    return numbers


def _value(value: Any) -> bytes:
    match value:
        case bool():
            return b"\x38\x01" if value else b"\x38\x00"
        case str():
            return _field(1, value.encode())
        case int() if value in _INT64:
            return b"\x20" + _varint(value) if value >= 0 else b"\x30" + _varint(_zigzag(value))
        case int() | float():
            return b"\x19" + struct.pack("<d", value)
        case _:
            return _field(1, msgspec.json.encode(value))


def _drawn(geometry: BaseGeometry | Position) -> list[bytes]:
    """The points, lines and polygons of a geometry, each kind as the fields of one feature: type and commands."""
    if isinstance(geometry, tuple):
        return [_drawing(_POINT, (1 << 3 | _MOVE_TO, *map(_zigzag, geometry)))]
    parts: dict[int, list[BaseGeometry]] = {}
    for part in _simple_parts(geometry):
        kind = {"Point": _POINT, "LineString": _LINE, "LinearRing": _LINE, "Polygon": _POLYGON}[part.geom_type]
        parts.setdefault(kind, []).append(part)
    drawn = ((kind, _PENS[kind](of_kind)) for kind, of_kind in parts.items())
    return [_drawing(kind, commands) for kind, commands in drawn if commands]


def _drawing(kind: int, commands: Iterable[int]) -> bytes:
    return _KINDS[kind] + _field(4, _packed(commands))


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
    """Outer rings run so that their area is positive where y grows to the south, inner ones the other way."""
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
    """Commands relative to where the last one ended."""

    def __init__(self) -> None:
        self.commands: list[int] = []
        self._x = self._y = 0

    def start(self, position: Position) -> None:
        """Lift the pen to a position."""
        self.path([position], first=_MOVE_TO)

    def path(self, positions: Sequence[Position], first: int) -> None:
        """One command with all the positions."""
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
    """Without those that equal the one before."""
    return [here for index, here in enumerate(positions) if not index or here != positions[index - 1]]


def _twice_area(ring: list[Position]) -> int:
    following = ring[1:] + ring[:1]
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(ring, following, strict=True))


def _field(number: int, data: bytes) -> bytes:
    return _SMALL[number << 3 | 2] + (_SMALL[len(data)] if len(data) < 1 << 14 else _varint(len(data))) + data


def _packed(numbers: Iterable[int]) -> bytes:
    return b"".join([_SMALL[n] if n < 1 << 14 else _varint(n) for n in numbers])


def _varint(number: int) -> bytes:
    if number < 1 << 14:
        return _SMALL[number]
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> int:
    return (number << 1) ^ (number >> 63)
