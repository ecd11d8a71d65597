"""The body of a request: how much of it is accepted, and reading it in chunks.

Django stores a whole body, in memory or in a temporary file, before a view runs. So the body of a client that shows no
valid token is limited while it arrives (`LimitedReceive`), because otherwise anybody could fill the disk. A view reads
what Django stored (`body_chunks`, `read_body`), inflating gzip, and never holds more of it in memory than is allowed.
Lines that are published with a token are not stored: they are read while they arrive (`StreamedBody`).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.core.json_decoding import decode_json
from streaming.core.json_values import why_not_json
from streaming.engine.conf import conf
from streaming.engine.responses import refusal

from .errors import UnsupportedMediaType

CHUNK = 16 * 1024
QUIET_SECONDS = 0.1
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ENCODINGS = ("gzip", "identity")
LINES_ADVICE = "; send lines (application/x-ndjson)"
LINES = ("application/geo+json-seq", "application/x-ndjson", "application/jsonl", "application/jsonlines")


def body_chunks(request: HttpRequest | Request, reported: Callable[[Iterable[bytes]], Iterator[bytes]] | None = None) -> Iterator[bytes]:
    """The body in chunks of at most 16 KiB, decompressed. Those that come go through `reported`."""
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() or "identity"
    if encoding not in (*ENCODINGS, "x-gzip"):
        raise UnsupportedMediaType("Content-Encoding", encoding, ENCODINGS, "Accept-Encoding")
    raw: Iterator[bytes] = iter(lambda: request.read(CHUNK), b"")
    if reported is not None:
        raw = reported(raw)
    return raw if encoding == "identity" else _inflated(raw)


def read_body(request: HttpRequest | Request, limit: int, advice: str = LINES_ADVICE) -> bytes:
    """The whole body, decompressed. `StreamError("too_large")` as soon as it is more than `limit` bytes."""
    if declared_length(request) > limit:
        raise too_large(limit, advice)
    body = bytearray()
    for chunk in body_chunks(request):
        body += chunk
        if len(body) > limit:
            raise too_large(limit, advice)
    return bytes(body)


def declared_length(request: HttpRequest | Request) -> int:
    """The Content-Length, 0 if there is none."""
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isascii() and length.isdigit() else 0


def media_type(request: HttpRequest | Request) -> str:
    """The Content-Type without its parameters."""
    declared: str = request.META.get("CONTENT_TYPE") or ""
    return declared.partition(";")[0].strip().lower()


class LimitedJsonParser(BaseParser):
    """Parser of the REST framework for JSON bodies of limited size."""

    media_type = "application/json"
    limit: int | None = None
    """Bytes; None for the limit of all bodies, GEOSTREAM_MAX_BODY_BYTES."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The decoded body; an empty one is an empty object."""
        request = parser_context["request"]
        body = read_body(request, self.limit, advice="") if self.limit else read_body(request, conf.MAX_BODY_BYTES)
        try:
            return decode_json(body) if body.strip() else {}
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise StreamError("bad_request", f"the body is {why_not_json(body, error)}") from None


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            pending = chunk
            while pending:
                if inflate.eof:  # a body may be several gzip files in a row
                    inflate = zlib.decompressobj(wbits=31)
                piece = inflate.decompress(pending, CHUNK)
                if piece:
                    yield piece
                pending = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    except zlib.error as error:
        raise StreamError("bad_request", f"the body is not gzip: {error}") from None
    if not inflate.eof:
        raise StreamError("bad_request", "the gzip body ends early")


def too_large(limit: int, advice: str = LINES_ADVICE) -> StreamError:
    """The refusal of a body that is larger than `limit` bytes."""
    return StreamError("too_large", f"the body is larger than the {limit} bytes allowed{advice}")


class StreamedBody:
    """A body that is read while it arrives, once: `async for` gives its chunks, none of which is kept."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __aiter__(self) -> AsyncIterator[bytes | None]:
        """Chunks of at most 16 KiB; None when none came for a moment.

        `StreamError` if the client leaves before the end.
        """
        while True:
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                yield None
                continue
            if message["type"] == "http.disconnect":
                raise StreamError("bad_request", "the client left before the end of the body")
            body = message.get("body", b"")
            for start in range(0, len(body), CHUNK):
                yield body[start : start + CHUNK]
            if not message.get("more_body"):
                return


class LimitedReceive:
    """The ASGI `receive` of one request with a limited body.

    A body of more than `limit` bytes, GEOSTREAM_MAX_BODY_BYTES if it is not said, is answered with 413, as `refuse` words it.
    """

    def __init__(self, receive: Receive, send: Send, limit: int | None = None, refuse: Callable[[int], HttpResponse] | None = None) -> None:
        self._receive = receive
        self._send = send
        self._limit = self._left = conf.MAX_BODY_BYTES if limit is None else limit
        self._refusal = refuse or (lambda limit: refusal(too_large(limit)))

    async def __call__(self) -> dict[str, Any]:
        """The next message; after a refusal, that the client is gone."""
        if self._left >= 0:
            message = await self._receive()
            self._left -= len(message.get("body", b""))
            if self._left >= 0:
                return message
            await self.refuse()
        return {"type": "http.disconnect"}

    def allows(self, content_length: bytes) -> bool:
        """Whether a body of this Content-Length is allowed. One that is not a number is counted as it arrives."""
        return not content_length.isdigit() or int(content_length[:18]) <= self._limit

    async def refuse(self) -> None:
        """Answer 413 and close the connection, because the rest of the body is not read."""
        response = self._refusal(self._limit)
        headers = [(name.encode(), value.encode()) for name, value in response.items()]
        length = str(len(response.content)).encode()
        headers += [(b"Content-Length", length), (b"Connection", b"close")]
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.content})
