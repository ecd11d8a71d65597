"""gzip over HTTP: which requests take it, and a middleware that compresses static files.

What a proxy in front compresses is not compressed again: it asks for it plain, or passes on what it gets.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_string

from streaming.core.lru import LRU

LEAST_BYTES = 512
"""Less is not worth it."""
MOST_STATIC_BYTES = 8 * 1024 * 1024
MOST_KEPT_BYTES = 32 * 1024 * 1024

_TEXT = re.compile(r"text/.*|application/(javascript|json|geo\+json|manifest\+json|vnd\.oai\.openapi.*|wasm|xml)|image/svg\+xml")
_REFUSED = re.compile(r"(gzip|\*)\s*;\s*q=0(\.0*)?\s*$")


def is_text(response: HttpResponseBase) -> bool:
    """Whether a body of this type becomes smaller."""
    return bool(_TEXT.fullmatch(response.headers.get("Content-Type", "").partition(";")[0].strip().lower()))


def takes_gzip(request: HttpRequest) -> bool:
    """Whether the client said so."""
    return accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", ""))


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a header says so."""
    codings = [part.strip().lower() for part in accept_encoding.split(",")]
    return any(coding.partition(";")[0].strip() == "gzip" and not _REFUSED.fullmatch(coding) for coding in codings)


def as_gzip(response: HttpResponse, random_bytes: int | None = None) -> HttpResponse:
    """Compress a response in place; its entity tag becomes weak. `random_bytes` (at most) blur the length."""
    body = compress_string(response.content, max_random_bytes=random_bytes)
    if len(body) < len(response.content):
        response.content = body
        set_gzip_headers(response, len(body))
    return response


def set_gzip_headers(response: HttpResponseBase, length: int) -> None:
    """Say that the body is gzip."""
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(length)
    tag = response.headers.get("ETag", "")
    if tag.startswith('"'):
        response.headers["ETag"] = f"W/{tag}"


class StaticCompression:
    """Middleware that compresses static files, each version once, and keeps what it made. It stands before that which serves them."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self._get_response = get_response
        self._kept = LRU[tuple[str, ...], bytes](MOST_KEPT_BYTES)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The response, compressed if it is a static file of text and the client takes that."""
        response = await self._get_response(request)
        if not request.path.startswith(str(settings.STATIC_URL)) or not is_text(response):
            return response
        patch_vary_headers(response, ["Accept-Encoding"])
        length = int(response.headers.get("Content-Length") or 0)
        whole = request.method == "GET" and response.status_code == 200 and "Content-Encoding" not in response.headers
        if not (whole and LEAST_BYTES <= length <= MOST_STATIC_BYTES and takes_gzip(request)):
            return response
        return await self._compressed(request.path, response)

    async def _compressed(self, path: str, response: HttpResponseBase) -> HttpResponseBase:
        headers = response.headers
        version = (path, headers.get("Last-Modified", ""), headers.get("ETag", ""), headers["Content-Length"])
        body = self._kept.get(version)
        if body is None:
            content = getattr(response, "streaming_content", None)
            whole = response.content if content is None else await _read(content)  # type: ignore[attr-defined]  # one of the two
            body = await asyncio.to_thread(compress_string, whole)
            self._kept.put(version, body, len(body))
        response.close()
        compressed = HttpResponse(body, headers=dict(headers.items()))
        set_gzip_headers(compressed, len(body))
        return compressed


async def _read(content: AsyncIterable[bytes]) -> bytes:
    return b"".join([chunk async for chunk in content])
