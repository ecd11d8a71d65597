"""Checks that bytes are a Mapbox vector tile that a map's decoder can read, before the tile is stored.

It checks the framing of every message, that layers have different names and a known version, that every tag of a
feature refers to a key and a value that exist, and that no geometry command counts more positions than follow.
Coordinates are not checked. A protobuf library would check the framing only, and is not among the requirements.
https://github.com/mapbox/vector-tile-spec/tree/master/2.1
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streaming.core.errors import StreamError

Fields = dict[int, list[int | bytes]]
"""Fields of a protobuf message by number. All fields of a number are kept, in order."""
_FIXED = {1: 8, 5: 4}
_POSITIONS = {1: 1, 2: 1, 7: 0}
"""How many positions follow each MoveTo, LineTo and ClosePath."""


def check_mvt(data: bytes) -> None:
    """`StreamError("invalid_tile")` if it is none, or one without layers: empty tiles are not stored."""
    names = [_check_layer(_bytes(layer, "layer")) for layer in _message(data).get(3, ())]
    if not names:
        raise _broken("it has no layer")
    if len(set(names)) < len(names):
        raise _broken("two layers have the same name")


def _check_layer(data: bytes) -> bytes:
    layer = _message(data)
    name, version = layer.get(1, [b""])[-1], layer.get(15, [1])[-1]
    if not name or not isinstance(name, bytes):
        raise _broken("a layer has no name")
    if version not in (1, 2):
        raise _broken("a layer is of a version that is not known")
    for value in layer.get(4, ()):
        _message(_bytes(value, "value"))
    for feature in layer.get(2, ()):
        _check_feature(_message(_bytes(feature, "feature")), len(layer.get(3, ())), len(layer.get(4, ())))
    return name


def _check_feature(feature: Fields, keys: int, values: int) -> None:
    tags = [number for packed in feature.get(2, ()) for number in _numbers(packed)]
    for geometry in feature.get(4, ()):
        _check_geometry(_bytes(geometry, "geometry"))
    if len(tags) % 2 or max(tags[::2], default=-1) >= keys or max(tags[1::2], default=-1) >= values:
        raise _broken("a feature names a key or value that its layer does not have")


def _check_geometry(packed: bytes) -> None:
    """Check the commands, not their positions: a decoder trusts the number of repetitions."""
    ends = np.flatnonzero(np.frombuffer(packed, np.uint8) < 128).tolist()
    if packed[-1:] >= b"\x80":
        raise _broken("a geometry does not end")
    number = 0
    while number < len(ends):
        first = ends[number - 1] + 1 if number else 0
        command = packed[first] if first == ends[number] else _varint(packed, first)[0]
        count, positions = command >> 3, _POSITIONS.get(command & 7)
        number += 1 + 2 * count * (positions or 0)
        if positions is None or number > len(ends) or (positions == 0 and count != 1):
            raise _broken("a geometry has a command that is not known, or more of them than there can be")


def _numbers(packed: int | bytes) -> list[int]:
    if isinstance(packed, int):
        return [packed]
    numbers, at = [], 0
    while at < len(packed):
        number, at = _varint(packed, at)
        numbers.append(number)
    return numbers


def _message(data: bytes) -> Fields:
    fields: Fields = {}
    for number, value in _fields(data):
        fields.setdefault(number, []).append(value)
    return fields


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire != 2 and wire not in _FIXED:
            raise _broken("a field is of a type that is not known")
        length, at = _varint(data, at) if wire == 2 else (_FIXED[wire], at)
        if at + length > len(data):
            raise _broken("it is cut off")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    for byte in data[at : at + 10]:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at + shift // 7
    raise _broken("a number does not end")


def _bytes(value: int | bytes, what: str) -> bytes:
    if isinstance(value, int):
        raise _broken(f"a {what} is a number")
    return value


def _broken(why: str) -> StreamError:
    return StreamError("invalid_tile", f"this is no Mapbox vector tile: {why}")
