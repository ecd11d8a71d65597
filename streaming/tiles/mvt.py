"""Encoder of Mapbox vector tiles, version 2 (https://github.com/mapbox/vector-tile-spec), from shapely geometries.

Written by hand because every tile is made here: `mapbox-vector-tile` takes four times as long for a tile of 10,000
points. The tests read with it what is encoded here. Equal features are equal bytes, and nearly equal features nearly
equal bytes, so that deltas are small: see `_slots`.
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
"""How many units beyond its edge a tile shows, so that lines and symbols meet across tiles."""
_POINT, _LINE, _POLYGON = 1, 2, 3
_MOVE_TO, _LINE_TO, _CLOSE_PATH = 1, 2, 15
_KINDS = {kind: bytes((0x18, kind)) for kind in (_POINT, _LINE, _POLYGON)}
_INT64 = range(-(2**63), 2**63)
_SMALL = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(1 << 14)]
"""The varints of up to two bytes, which are nearly all that occur."""
SLOTS_FROM = 256
"""From so many different values, gaps pay. With fewer, new numbers make a delta hardly larger than gaps make the
tile."""
_FULLEST = 0.85
"""Share of the slots that is used at most; half of it at least. Fuller tables move more values, emptier ones make the
tile larger."""
_GAP = b"\x22\x02\x38\x00"
"""The value in an unused slot: false, which is one of the shortest. Nothing refers to it."""

Position = tuple[int, int]
"""Across and down, in units of the tile."""

EncodedProperties = tuple[tuple[str, bytes], ...]
"""Keys, and values in their encoded form."""


class TileFeature(NamedTuple):
    """One feature of a layer.

    Coordinates are whole numbers from the tile's north-west corner; a pair of them is a point.
    """

    geometry: BaseGeometry | Position
    properties: EncodedProperties
    id: int | None = None


def encode_properties(properties: Mapping[str, Any]) -> EncodedProperties:
    """Encode properties, once for a feature that many tiles show. Null is left out; lists and objects become JSON."""
    return tuple((key, _field(4, _value(value))) for key, value in properties.items() if value is not None)


def encode_layer(name: str, features: Iterable[TileFeature]) -> bytes:
    """Encode a tile with one layer; empty bytes if no feature is large enough to be seen."""
    # Three lists, not one of tuples: the garbage collector would visit these, a quarter of a second for 100,000 features.
    ids: list[bytes] = []
    used: list[EncodedProperties] = []
    drawings: list[bytes] = []
    for geometry, properties, id in features:
        for drawing in _drawn(geometry):
            ids.append(b"" if id is None else b"\x08" + _varint(id))
            used.append(properties)
            drawings.append(drawing)
    if not drawings:
        return b""
    lists, tags = _numbered(ids, used)
    encoded = b"".join([_field(2, id + tag + drawing) for id, tag, drawing in zip(ids, tags, drawings, strict=True)])
    return _field(3, b"\x78\x02" + _field(1, name.encode()) + encoded + lists + b"\x28" + _varint(EXTENT))


def _numbered(ids: Sequence[bytes], used: Sequence[EncodedProperties]) -> tuple[bytes, Iterator[bytes]]:
    """The keys and values of a layer, each once, and for each feature the field with their numbers."""
    keys = {key: _varint(number) for number, key in enumerate(sorted({key for properties in used for key, _ in properties}))}
    values = {value: key for properties in used for key, value in properties}
    slots = _slots(_hashes(values, ids, used)) if len(values) >= SLOTS_FROM else range(len(values))
    table = [_GAP] * (max(slots, default=-1) + 1)
    for value, slot in zip(values, slots, strict=True):
        table[slot] = value
    numbers = dict(zip(values, map(_varint, slots), strict=True))
    tags = (b"".join([number for key, value in properties for number in (keys[key], numbers[value])]) for properties in used)
    return b"".join([_field(3, key.encode()) for key in keys] + table), (_field(2, tag) if tag else b"" for tag in tags)


def _hashes(values: Mapping[bytes, str], ids: Sequence[bytes], used: Sequence[EncodedProperties]) -> list[int]:
    """A hash for each value: of its feature where most features have a value of their own, else of the value.

    Names and heights are such values of their own. So the values of one feature are neighbours, and a new value of it
    takes the place, and so the number, of the old one: that halves the deltas. A feature without an id is identified by
    its first property.
    """
    own = {key for key, count in Counter(values.values()).items() if count > len(used) / 2}
    owners: dict[bytes, bytes] = {}
    for id, properties in zip(ids, used, strict=True) if own else ():
        for key, value in properties:
            if key in own:
                owners.setdefault(value, id or properties[0][1])
    return [crc32(owners.get(value, value)) for value in values]


def _slots(values: Sequence[int]) -> list[int]:
    """The numbers of values, given their hashes: slots of a hash table, which stay when other values come and go.

    If values were simply counted, one value more or fewer would renumber all that follow, and change every feature that
    has one of them: a change of a tenth of 10,000 features would make a delta of a fifth to a third of the tile. Here
    the upper bits of the hash are the number, and values with the same bits move up, in the order of their hashes. All
    numbers change only when the number of values crosses a power of two (times `_FULLEST`). The gaps, and longer
    numbers, make a tile 5 to 25 % larger. (The specification advises against repeated values, which the gaps are, only
    because of the size.)
    """
    count = len(values)
    hashes = np.array(values, np.int64)
    order = np.argsort(hashes, kind="stable")
    behind = np.arange(count)
    first = hashes[order] >> 32 - int(count / _FULLEST).bit_length()
    slots = np.empty(count, np.int64)
    slots[order] = behind + np.maximum.accumulate(first - behind)  # where the hash leads, or next to the one before
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
    """The points, the lines and the polygons of a geometry, each kind as fields of one feature: type and commands."""
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
