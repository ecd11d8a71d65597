"""The serializers of Phoenix Channels, versions 1 and 2: they write the messages to clients.

Payloads are bytes that stay as they are. No field is ever cut to fit: binary frames have one byte for a length, so a longer one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from .frames import Frame, FrameError, decode_v1, decode_v2, field_bytes

PUSH, REPLY, BROADCAST = 0, 1, 2

_encode = msgspec.json.Encoder().encode


class Serializer(Protocol):
    """One version of the wire format. What is written is the content of one WebSocket message.

    Fields that do not fit into a binary frame raise FrameError.
    """

    binary_frames: bool
    """Whether what the `binary_` methods write goes into binary WebSocket messages, not into text."""
    join_refs: bool
    """Whether messages to clients carry the reference of the join that they belong to."""

    def decode(self, data: str | bytes) -> Frame:
        """What a client sent. Raises FrameError."""

    def text(self, join_ref: Any, ref: Any, topic: Any, event: Any, payload: bytes) -> bytes:
        """An event with a payload of JSON text."""

    def reply(self, join_ref: Any, ref: Any, topic: Any, status: str, response: bytes) -> bytes:
        """The answer to a push or join, with a response of JSON text."""

    def binary_push(self, join_ref: Any, topic: str, event: str, payload: bytes) -> bytes | None:
        """An event for one member; None if this version has no form for it."""

    def binary_reply(self, join_ref: Any, ref: Any, topic: str, status: str, payload: bytes) -> bytes | None:
        """The answer to a push; None if this version has no form for it."""

    def binary_broadcast(self, topic: str, event: str, payload: bytes) -> bytes | None:
        """An event for every member; None if this version has no form for it."""


def _binary(kind: int, fields: Iterable[Any], payload: bytes) -> bytes:
    written = [field_bytes(field, "a field of a binary frame") for field in fields]
    return b"".join((bytes((kind, *map(len, written))), *written, payload))


class _V2:
    """`[join_ref, ref, topic, event, payload]`, and binary frames."""

    binary_frames = True
    join_refs = True
    decode = staticmethod(decode_v2)

    def text(self, join_ref: Any, ref: Any, topic: Any, event: Any, payload: bytes) -> bytes:
        return _encode((join_ref, ref, topic, event, msgspec.Raw(payload)))

    def reply(self, join_ref: Any, ref: Any, topic: Any, status: str, response: bytes) -> bytes:
        return _encode((join_ref, ref, topic, "phx_reply", {"status": status, "response": msgspec.Raw(response)}))

    def binary_push(self, join_ref: Any, topic: str, event: str, payload: bytes) -> bytes:
        return _binary(PUSH, (join_ref, topic, event), payload)

    def binary_reply(self, join_ref: Any, ref: Any, topic: str, status: str, payload: bytes) -> bytes:
        return _binary(REPLY, (join_ref, ref, topic, status), payload)

    def binary_broadcast(self, topic: str, event: str, payload: bytes) -> bytes:
        return _binary(BROADCAST, (topic, event), payload)


class _Textual:
    """Without binary frames: bytes that are text go as a JSON string, others cannot be sent."""

    binary_frames = False
    text: Callable[..., bytes]
    reply: Callable[..., bytes]

    def binary_push(self, join_ref: Any, topic: str, event: str, payload: bytes) -> bytes | None:
        string = _as_string(payload)
        return None if string is None else self.text(join_ref, None, topic, event, string)

    def binary_reply(self, join_ref: Any, ref: Any, topic: str, status: str, payload: bytes) -> bytes | None:
        string = _as_string(payload)
        return None if string is None else self.reply(join_ref, ref, topic, status, string)

    def binary_broadcast(self, topic: str, event: str, payload: bytes) -> bytes | None:
        return self.binary_push(None, topic, event, payload)


class _V1(_Textual):
    """`{"topic", "event", "payload", "ref"}`. There is no binary."""

    join_refs = False
    decode = staticmethod(decode_v1)

    def text(self, join_ref: Any, ref: Any, topic: Any, event: Any, payload: bytes) -> bytes:
        return _encode({"topic": topic, "event": event, "payload": msgspec.Raw(payload), "ref": ref})

    def reply(self, join_ref: Any, ref: Any, topic: Any, status: str, response: bytes) -> bytes:
        payload = {"status": status, "response": msgspec.Raw(response)}
        return _encode({"topic": topic, "event": "phx_reply", "payload": payload, "ref": ref})


def _as_string(payload: bytes) -> bytes | None:
    try:
        return _encode(payload.decode())
    except UnicodeDecodeError:
        return None


class _V2Text(_Textual):
    """Version 2 for clients that are sent nothing but text, such as those that poll."""

    join_refs = True
    decode = staticmethod(decode_v2)
    text = _V2.text
    reply = _V2.reply


V1: Serializer = _V1()
V2: Serializer = _V2()
V2_TEXT: Serializer = _V2Text()

_VERSION = re.compile(r"([12])\.0\.(?:0|[1-9][0-9]*)")


def version_of(vsn: str | None) -> Serializer:
    """The serializer that the query parameter `vsn` asks for: 1.0.x (also without one) or 2.0.x. Raises FrameError."""
    found = _VERSION.fullmatch("1.0.0" if vsn is None else vsn)
    if found is None:
        raise FrameError("`vsn` is neither 1.0.x nor 2.0.x")
    return V1 if found[1] == "1" else V2


def text_version_of(vsn: str | None) -> Serializer:
    """The same for clients that are sent nothing but text. Raises FrameError."""
    found = version_of(vsn)
    return V2_TEXT if found is V2 else found
