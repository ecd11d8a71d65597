"""The body of a request: read in chunks, inflated if it is gzip, and never more of it in memory than is allowed.

What arrives is already spooled by Django (in memory while it is small, else in a temporary file), so reading does not wait for the
client.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from django.http import HttpRequest
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .errors import UnsupportedMediaType

CHUNK = 16 * 1024
ENCODINGS = ("gzip", "identity")
LINES_ADVICE = "; send lines (application/x-ndjson)"
LINES = ("application/geo+json-seq", "application/x-ndjson", "application/jsonl", "application/jsonlines")


def body_chunks(request: HttpRequest | Request) -> Iterator[bytes]:
    """The body in pieces of at most 16 KiB, decompressed."""
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() or "identity"
    if encoding not in (*ENCODINGS, "x-gzip"):
        raise UnsupportedMediaType("Content-Encoding", encoding, ENCODINGS, "Accept-Encoding")
    raw = iter(lambda: request.read(CHUNK), b"")
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


class JsonBody(BaseParser):
    """A JSON body for the REST framework, within the limits of all bodies."""

    media_type = "application/json"
    limit: int | None = None
    """Bytes, where it is less than that of all bodies."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The decoded body; an empty one is an empty object."""
        request = parser_context["request"]
        body = read_body(request, self.limit, advice="") if self.limit else read_body(request, conf.MAX_BODY_BYTES)
        try:
            return msgspec.json.decode(body) if body.strip() else {}
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise StreamError("bad_request", f"the body is not JSON: {error}") from None


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            pending = chunk
            while pending:
                if inflate.eof:  # gzip files may stand one after the other
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
    """The refusal of a body that is larger than it may be."""
    return StreamError("too_large", f"the body is larger than the {limit} bytes allowed{advice}")
