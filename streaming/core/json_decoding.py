"""Decoding JSON of others: in time that grows with its bytes, whatever numbers are in it.

msgspec takes hundreds of times as long as usual, 8 µs, for a number with a large exponent (1e308, 5e-310), and holds the interpreter's lock
meanwhile: a megabyte of them would keep every client waiting for a second. A text with many of them is read by the standard library, which
gives others the lock in between.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Generic, TypeVar

import msgspec

INLINE_BYTES = 64 * 1024
"""A text up to this size is decoded on the event loop, in a millisecond or two; a larger one, in the threads for costly work."""
SHORT = 512
"""Bytes of a text in which there is no room for numbers that take long together."""
FEW = 100
"""Numbers with large exponents that msgspec may decode: a millisecond."""
_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_SIGNS = b"+-"

T = TypeVar("T")


class JsonDecoder(Generic[T]):
    """Decodes JSON text to one type, as msgspec does: with its errors."""

    __slots__ = ("_decode", "_type")

    def __init__(self, type: type[T] | Any = Any) -> None:
        self._type = type
        self._decode = msgspec.json.Decoder(type).decode

    def decode(self, text: bytes) -> T:
        """The value. `msgspec.DecodeError` (also `ValidationError`), UnicodeDecodeError or RecursionError."""
        if len(text) <= SHORT or not has_hard_numbers(text):
            return self._decode(text)  # type: ignore[no-any-return]
        _validate(text)
        characters = text.decode()
        try:
            value = json.loads(characters, parse_float=_finite)
        except ValueError as error:
            raise msgspec.ValidationError(str(error)) from None
        return value if self._type is Any else msgspec.convert(value, self._type)


def has_hard_numbers(text: bytes) -> bool:
    """Whether more numbers than a few seem to have exponents of three digits or more."""
    return text.translate(_DIGITS, _SIGNS).count(b"0e000") > FEW


_validate = msgspec.json.Decoder(msgspec.Raw).decode
decode_json = JsonDecoder[Any]().decode
"""Decodes JSON text to plain values."""


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("Number out of range")
    return number
