"""Encoder of Mapbox vector tiles, version 2 (https://github.com/mapbox/vector-tile-spec), from columns of features.

Written by hand because every tile is made here: `mapbox-vector-tile` takes ten times as long for a tile of 10,000
points. The tests read with it what is encoded here. All features are encoded at once, as one array of numbers; only
what are no points are drawn one by one. Equal features are equal bytes, and nearly equal features nearly equal bytes,
so that deltas are small: see `_slots`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from .attributes import Attributes, Rows, TileAttributes
from .mvt_drawings import Position, drawn
from .mvt_values import EncodedProperties, field, varint
from .varints import Counts, Numbers, encode_varints, row_places, row_sums, varint_sizes, zigzag

EXTENT = 4096
MARGIN = 80
"""How many units beyond its edge a tile shows, so that lines and symbols meet across tiles."""
SLOTS_FROM = 256
"""From so many different values, gaps pay. With fewer, new numbers make a delta hardly larger than gaps make the
tile."""
_FULLEST = 0.85
"""Share of the slots that is used at most; half of it at least. Fuller tables move more values, emptier ones make the
tile larger."""
_GAP = b"\x22\x02\x38\x00"
"""The value in an unused slot: false, which is one of the shortest. Nothing refers to it."""
_FEATURE, _ID, _TAGS, _TYPE, _GEOMETRY = 0x12, 0x08, 0x12, 0x18, 0x22
_POINT, _MOVE_TO_ONE = 1, 9
_POINT_NUMBERS = 7

Units = NDArray[np.int64]
"""Rows of two: across and down from the tile's north-west corner."""


class TileFeature(NamedTuple):
    """One feature of a layer.

    Coordinates are whole numbers from the tile's north-west corner; a pair of them is a point.
    """

    geometry: BaseGeometry | Position
    properties: EncodedProperties
    id: int | None = None


def encode_layer(name: str, features: Iterable[TileFeature]) -> bytes:
    """Encode a tile with one layer; empty bytes if no feature is large enough to be seen. Points are drawn last."""
    ordered = sorted(features, key=lambda feature: isinstance(feature.geometry, tuple))
    attributes = Attributes(len(ordered))
    attributes.put((row, feature.id, feature.properties) for row, feature in enumerate(ordered))
    shapes = [feature.geometry for feature in ordered if isinstance(feature.geometry, BaseGeometry)]
    points = [feature.geometry for feature in ordered if isinstance(feature.geometry, tuple)]
    return encode_columns(name, shapes, np.array(points, np.int64).reshape(-1, 2), attributes.of((), np.arange(len(ordered))))


def encode_columns(name: str, shapes: Sequence[BaseGeometry], points: Units, attributes: TileAttributes) -> bytes:
    """The same from columns; `attributes` are those of the shapes and then of the points."""
    drawings, rows = list[bytes](), list[int]()
    for row, shape in enumerate(shapes):
        for drawing in drawn(shape):
            drawings.append(drawing)
            rows.append(row)
    if not drawings and not len(points):
        return b""
    if rows != list(range(len(shapes))):
        attributes = attributes.rows(np.concatenate((np.array(rows, np.int64), np.arange(len(shapes), len(shapes) + len(points)))))
    lists, tags = _numbered(attributes)
    encoded = _features(drawings, points, attributes, tags)
    return field(3, b"\x78\x02" + field(1, name.encode()) + encoded + lists + b"\x28" + varint(EXTENT))


def _features(drawings: Sequence[bytes], points: Units, attributes: TileAttributes, tags: Numbers) -> bytes:
    """The features, each as: its length, id, tags, and its drawing or the numbers of its point."""
    count, has_id, tag_counts = len(attributes.ids), attributes.has_id, 2 * attributes.counts
    is_point = np.arange(count) >= len(drawings)
    tag_bytes = row_sums(varint_sizes(tags), tag_counts)
    moves = zigzag(points)
    drawing_bytes = np.concatenate(
        (np.fromiter(map(len, drawings), np.int64, len(drawings)), 1 + varint_sizes(moves[:, 0]) + varint_sizes(moves[:, 1]))
    )
    has_tags = tag_counts > 0
    sizes = has_id * (1 + varint_sizes(attributes.ids)) + has_tags * (1 + varint_sizes(tag_bytes.view(np.uint64)) + tag_bytes)
    sizes += drawing_bytes + 4 * is_point  # type, the field's number and its length, which is one byte

    numbers_of = 2 + 2 * has_id + has_tags * (2 + tag_counts) + _POINT_NUMBERS * is_point
    at = np.cumsum(numbers_of) - numbers_of
    numbers = np.empty(int(numbers_of.sum()), np.uint64)
    numbers[at], numbers[at + 1] = _FEATURE, sizes
    at = at + 2
    numbers[at[has_id]], numbers[at[has_id] + 1] = _ID, attributes.ids[has_id]
    at = at + 2 * has_id
    numbers[at[has_tags]], numbers[at[has_tags] + 1] = _TAGS, tag_bytes[has_tags]
    numbers[row_places(at + 2, tag_counts)] = tags
    at = (at + has_tags * (2 + tag_counts))[len(drawings) :]
    numbers[at], numbers[at + 1], numbers[at + 2] = _TYPE, _POINT, _GEOMETRY
    numbers[at + 3], numbers[at + 4] = drawing_bytes[len(drawings) :], _MOVE_TO_ONE
    numbers[at + 5], numbers[at + 6] = moves[:, 0], moves[:, 1]
    encoded = encode_varints(numbers)
    if not drawings:
        return encoded
    ends = np.cumsum(row_sums(varint_sizes(numbers), numbers_of))[: len(drawings)].tolist()
    heads = [encoded[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return b"".join([part for pair in zip(heads, drawings, strict=True) for part in pair]) + encoded[ends[-1] :]


def _numbered(attributes: TileAttributes) -> tuple[bytes, Numbers]:
    """The keys and values of a layer, each once, and the numbers of each feature's: of a key and a value in turn."""
    pairs = attributes.pairs
    places = np.arange(len(pairs))
    first = np.full(int(pairs.max(initial=-1)) + 1, len(pairs))
    first[pairs[::-1]] = places[::-1]
    used = np.flatnonzero(first < len(pairs))
    used = used[np.argsort(first[used])]
    pair_keys = [attributes.keys[pair] for pair in used.tolist()]
    pair_values = [attributes.values[pair] for pair in used.tolist()]
    keys = {key: number for number, key in enumerate(sorted(set(pair_keys)))}
    values = {value: number for number, value in enumerate(dict.fromkeys(pair_values))}
    key_of = np.array([keys[key] for key in pair_keys], np.int64)
    value_of = np.array([values[value] for value in pair_values], np.int64)
    table = list(values)
    slots = np.arange(len(table))
    if len(table) >= SLOTS_FROM:
        features = np.repeat(np.arange(len(attributes.counts)), attributes.counts)
        own = (np.bincount(key_of) > len(attributes.counts) / 2)[key_of]
        hashes = np.array([crc32(value) for value in pair_values], np.int64)
        hashes[own] = attributes.owners[features[first[used[own]]]]
        hash_of = np.empty(len(table), np.int64)
        hash_of[value_of[::-1]] = hashes[::-1]
        slots = _slots(hash_of)
        table = [_GAP] * (int(slots.max(initial=-1)) + 1)
        for value, slot in zip(values, slots.tolist(), strict=True):
            table[slot] = value
    numbers = np.zeros((len(first), 2), np.int64)
    numbers[used, 0], numbers[used, 1] = key_of, slots[value_of]
    return b"".join([field(3, key.encode()) for key in keys] + table), numbers[pairs].reshape(-1).view(np.uint64)


def _slots(hashes: Counts) -> Rows:
    """The numbers of values, given their hashes: slots of a hash table, which stay when other values come and go.

    If values were simply counted, one value more or fewer would renumber all that follow, and change every feature that
    has one of them: a change of a tenth of 10,000 features would make a delta of a fifth to a third of the tile. Here
    the upper bits of the hash are the number, and values with the same bits move up, in the order of their hashes. All
    numbers change only when the number of values crosses a power of two (times `_FULLEST`). The gaps, and longer
    numbers, make a tile 5 to 25 % larger. (The specification advises against repeated values, which the gaps are, only
    because of the size.)

    The hash of a value is that of its feature where most features have a value of their own, such as a name or a
    height: so the values of one feature are neighbours, and a new value of it takes the place, and so the number, of
    the old one, which halves the deltas.
    """
    count = len(hashes)
    order = np.argsort(hashes, kind="stable")
    behind = np.arange(count)
    first = hashes[order] >> 32 - int(count / _FULLEST).bit_length()
    slots = np.empty(count, np.int64)
    slots[order] = behind + np.maximum.accumulate(first - behind)  # where the hash leads, or next to the one before
    return slots
