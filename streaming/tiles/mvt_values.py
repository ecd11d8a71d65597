"""Properties of features as Mapbox vector tiles have them, and the fields of protobuf that they are made of."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_INT64 = range(-(2**63), 2**63)
_SMALL = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(1 << 14)]
"""The varints of up to two bytes, which are nearly all that occur."""

EncodedProperties = tuple[tuple[str, bytes], ...]
"""Keys, and values in their encoded form."""


def encode_properties(properties: Mapping[str, Any]) -> EncodedProperties:
    """Encode properties, once for a feature that many tiles show. Null is left out; lists and objects become JSON."""
    return tuple((key, field(4, _value(value))) for key, value in properties.items() if value is not None)


def id_field(id: int) -> bytes:
    """The field of a feature with its id."""
    return b"\x08" + varint(id)


def field(number: int, data: bytes) -> bytes:
    """A field of bytes."""
    return _SMALL[number << 3 | 2] + (_SMALL[len(data)] if len(data) < 1 << 14 else varint(len(data))) + data


def packed(numbers: Iterable[int]) -> bytes:
    """Varints one behind the other."""
    return b"".join([_SMALL[n] if n < 1 << 14 else varint(n) for n in numbers])


def varint(number: int) -> bytes:
    """One varint."""
    if number < 1 << 14:
        return _SMALL[number]
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> int:
    """A signed number as an unsigned one, small where it is near to zero."""
    return (number << 1) ^ (number >> 63)


def _value(value: Any) -> bytes:
    match value:
        case bool():
            return b"\x38\x01" if value else b"\x38\x00"
        case str():
            return field(1, value.encode())
        case int() if value in _INT64:
            return b"\x20" + varint(value) if value >= 0 else b"\x30" + varint(zigzag(value))
        case int() | float():
            return b"\x19" + struct.pack("<d", value)
        case _:
            return field(1, msgspec.json.encode(value))
