"""Reads MessagePack from untrusted peers, and reduces it to values that JSON can express.

It is skipped through before anything is built from it, because building makes room for as many elements as a header promises. It is read
as the Rust peers of `oxigdal-ws` read it: binary strings are text, except in a payload, which must be plain.
"""

from __future__ import annotations

import math
from typing import Any

import msgpack

from .errors import MAX_DEPTH, DecodeError, too_deep, too_many

_NO_HEADERS = bytes(set(range(256)) - {*range(0x80, 0xA0), *range(0xDC, 0xE0)})
_SIMPLE = frozenset((str, int, bool, type(None)))


def unpack(frame: bytes, most: int) -> Any:
    """The first MessagePack value of a frame; what follows it is ignored. `most` bounds its arrays, maps and their members."""
    # Also counts bytes that only look like the header of an array or a map: within numbers one in seven.
    if len(frame) > most and len(frame.translate(None, _NO_HEADERS)) > most:
        raise too_many()
    value = _unpacked(frame)
    _check_members(value, 2 * most)
    return value


def _unpacked(frame: bytes) -> Any:
    try:
        unpacker = msgpack.Unpacker(max_buffer_size=len(frame))
        unpacker.feed(frame)
        unpacker.skip()
        return msgpack.unpackb(frame[: unpacker.tell()], raw=False, strict_map_key=True)
    except msgpack.OutOfData:
        raise DecodeError("bad_frame", "the MessagePack is truncated") from None
    except msgpack.StackError:
        raise too_deep() from None
    except (msgpack.UnpackException, ValueError) as error:
        raise DecodeError("bad_frame", f"the MessagePack cannot be read: {error}") from None


def _check_members(value: Any, most: int) -> None:
    containers = [value] if isinstance(value, list | dict) else []
    count = 0
    while containers:
        container = containers.pop()
        count += len(container)
        if count > most:
            raise too_many()
        members = container.values() if isinstance(container, dict) else container
        containers += [member for member in members if isinstance(member, list | dict)]


def declared_length(frame: bytes) -> int:
    """How many pairs the map at the start of the frame has; repeated keys count."""
    width = {0xDE: 2, 0xDF: 4}.get(frame[0])
    return int.from_bytes(frame[1 : 1 + width], "big") if width else frame[0] & 0x0F


def plain_field(name: str, value: Any) -> Any:
    """The value of a message's field without anything that JSON does not have. Raises DecodeError where that cannot be."""
    if name == "data":
        return value
    return _plain(value, MAX_DEPTH, payload=name == "payload")


def _plain(value: Any, depth: int, *, payload: bool) -> Any:
    """MessagePack reduced to values that JSON can express. A payload is taken strictly, but may hold NaN, which becomes null."""
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, float):
        return _finite(value, payload)
    if isinstance(value, bytes) and not payload:
        return as_text(value)
    if depth and isinstance(value, list):
        return [_plain(item, depth - 1, payload=payload) for item in value]
    if depth and isinstance(value, dict):
        return {_plain(key, 0, payload=payload): _plain(item, depth - 1, payload=payload) for key, item in value.items()}
    if isinstance(value, list | dict):
        raise too_deep()
    raise DecodeError("bad_request", "binary data, timestamps and extension types have no meaning here")


def _finite(value: float, payload: bool) -> float | None:
    if math.isfinite(value):
        return value
    if payload:
        return None
    raise DecodeError("bad_request", "numbers must be finite")


def as_text(value: str | bytes) -> str:
    """Text, also if it was sent as binary."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        raise DecodeError("bad_request", "a text is not valid UTF-8") from None
