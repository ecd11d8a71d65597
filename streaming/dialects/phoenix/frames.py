"""Frames of Phoenix Channels as clients send them, of versions 1 and 2 of its serializer.

Payloads are not decoded: they go on byte for byte as they came. Nothing gets in as text that is not valid JSON in valid UTF-8, and nothing
that could not be given back in an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from streaming.core.json_depth import exceeds_depth

MAX_DEPTH = 126
"""Levels of arrays and objects in a payload: what backends in Rust (serde_json) read by default."""

MAX_FIELD_BYTES = 255
"""Of everything in a binary frame but its payload. References may be no longer in text frames: the answer may have to be binary."""


MOST_FIELD_BYTES = 4096
"""Of the JSON text of a reference, topic or event: they are decoded, whatever they are."""


class FrameError(ValueError):
    """Not a frame of the serializer, or not to be written as one; the message has the reason."""


class UnreadablePayload(FrameError):
    """A frame whose payload cannot be read, though it is known what it is: it can be answered."""

    def __init__(self, frame: Frame, message: str) -> None:
        super().__init__(message)
        self.frame = frame


class Frame(NamedTuple):
    """What a client sent. The payload is JSON text as it was sent or, if `binary`, any bytes.

    `join_ref`, `ref`, `topic` and `event` may be any JSON value, though texts (and null for the first two) are all that means something:
    an answer gives them back as they are.
    """

    join_ref: Any
    ref: Any
    topic: Any
    event: Any
    payload: bytes
    binary: bool


_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}")
"""Half of a surrogate pair, which JavaScript writes for a text that was cut within a character."""


class _Array(msgspec.Struct, array_like=True, gc=False):
    join_ref: msgspec.Raw
    ref: msgspec.Raw
    topic: msgspec.Raw
    event: msgspec.Raw
    payload: msgspec.Raw


class _Object(msgspec.Struct, gc=False):
    topic: msgspec.Raw
    event: msgspec.Raw
    payload: msgspec.Raw
    ref: msgspec.Raw
    join_ref: msgspec.Raw = msgspec.Raw(b"null")


_decode_field = msgspec.json.Decoder().decode
_read_array = msgspec.json.Decoder(_Array).decode
_read_object = msgspec.json.Decoder(_Object).decode
_encode = msgspec.json.Encoder().encode


def decode_v1(data: str | bytes) -> Frame:
    """The frame in a JSON object, whichever kind of WebSocket message it came in. Raises FrameError."""
    return _decode(_read_object, data if isinstance(data, str) else _utf8(data, "the frame"))


def decode_v2(data: str | bytes) -> Frame:
    """The frame in a JSON array (text) or in the binary form (bytes). Raises FrameError."""
    return _decode(_read_array, data) if isinstance(data, str) else _decode_binary(data)


def _decode(read: Callable[[str], _Array | _Object], text: str) -> Frame:
    try:
        found = read(text)
        join_ref, ref, topic, event = map(_field, (found.join_ref, found.ref, found.topic, found.event))
        # Each level takes two characters at least.
        if len(text) > 2 * MAX_DEPTH and exceeds_depth(text.encode(), MAX_DEPTH + 1):
            raise FrameError(f"the frame is nested more than {MAX_DEPTH} levels deep")
    except RecursionError:
        raise FrameError(f"the frame is nested more than {MAX_DEPTH} levels deep") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        mended, halves = _HALF.subn(r"\\ufffd", text)
        if not halves:
            raise FrameError(f"the text cannot be read: {error}") from None
        raise UnreadablePayload(_decode(read, mended), "the text cannot be read: there is half of a surrogate pair in it") from None
    for reference in (join_ref, ref):
        if reference is not None:
            field_bytes(reference, "a reference")
    return Frame(join_ref, ref, topic, event, bytes(found.payload), False)


def _field(value: msgspec.Raw) -> Any:
    if len(value) > MOST_FIELD_BYTES:
        raise FrameError(f"a reference, topic or event has {len(value)} bytes; {MOST_FIELD_BYTES} are the most")
    return _decode_field(value)


def _decode_binary(data: bytes) -> Frame:
    if data[:1] != b"\0":
        raise FrameError("clients send binary frames of kind 0 only" if data else "the frame is empty")
    if len(data) < 5:
        raise FrameError("the binary frame ends within its lengths")
    fields = []
    start = 5
    for length in data[1:5]:
        fields.append(data[start : start + length])
        start += length
    if start > len(data):
        raise FrameError("the binary frame ends within its fields")
    join_ref, ref = (_utf8(field, "a reference") or None for field in fields[:2])
    topic, event = map(_utf8_or_latin1, fields[2:])
    return Frame(join_ref, ref, topic, event, data[start:], True)


def _utf8(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FrameError(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from None


def _utf8_or_latin1(field: bytes) -> str:
    """phoenix.js before 1.8.7 wrote the low byte of each character."""
    try:
        return field.decode()
    except UnicodeDecodeError:
        return field.decode("latin-1")


def field_bytes(value: Any, what: str) -> bytes:
    """As it stands in a binary frame. Nothing is how null looks there, and other JSON values are their text."""
    field = value.encode() if isinstance(value, str) else b"" if value is None else _encode(value)
    if len(field) > MAX_FIELD_BYTES:
        raise FrameError(f"{what} has {len(field)} bytes; {MAX_FIELD_BYTES} are the most")
    return field
