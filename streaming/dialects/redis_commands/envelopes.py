"""Envelopes: what the server sends, a JSON object with the members source, content, timestamp and client_reference, in this order.

Contents are bytes that are JSON already, so what many clients are sent is encoded once. The reference, nearly always null, is the last
member: it is replaced for the few clients that gave one. Nothing that JSON does not know (NaN, Infinity) can get in.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

SERVER = "websocket"
"""The source of what is about the connection itself."""

_encode = msgspec.json.Encoder().encode
_NO_REFERENCE = b"null}"


def envelope(source: str, content: bytes, client_reference: str | None = None) -> bytes:
    """An envelope with the time of now, in milliseconds. `content` must be JSON."""
    now = b"%.3f" % (time.time() * 1000)
    return b'{"source":%b,"content":%b,"timestamp":%b,"client_reference":%b}' % (_encode(source), content, now, _encode(client_reference))


def for_reference(shared: bytes, client_reference: str | None) -> bytes:
    """The same envelope with the reference of one client, made of one without."""
    if client_reference is None:
        return shared
    return shared[: -len(_NO_REFERENCE)] + _encode(client_reference) + b"}"


def notice(content: Mapping[str, Any] | str, client_reference: str | None = None) -> bytes:
    """A message about the connection itself."""
    return envelope(SERVER, _encode(content), client_reference)


def greeting() -> bytes:
    """The first frame of every connection."""
    return notice({"status": "open"})


def pong() -> bytes:
    """The answer to PING."""
    return notice("PONG")


def error(code: str, message: str, client_reference: str | None = None) -> bytes:
    """The refusal of a command. The message must not repeat what the client sent."""
    return notice({"status": "error", "code": code, "message": message}, client_reference)


def batch(envelopes: Iterable[bytes]) -> bytes:
    """One envelope with several as its content."""
    return envelope("buffer", b"[" + b",".join(envelopes) + b"]")
