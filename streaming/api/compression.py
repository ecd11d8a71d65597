"""gzip for what the API answers to reading requests.

Where an answer depends on a cookie, whoever makes a page send requests and sees the lengths of the answers could guess
at what is in them (BREACH). So answers to sessions are not compressed, answers with tokens never, and the length of the
others is blurred.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from streaming.engine.compression import LEAST_BYTES, as_gzip, is_text, takes_gzip

from .authentication import PageSessionAuthentication

INLINE_BYTES = 16 * 1024
"""A body up to this size is compressed on the event loop: about half a millisecond."""
RANDOM_BYTES = 100


def compress(request: HttpRequest, response: Any, authenticator: Any = None) -> Any:
    """The response, compressed if it may be; one that a renderer has still to make, once it is made."""
    if not getattr(response, "is_rendered", True):
        response.add_post_render_callback(lambda made: compress(request, made, authenticator))
        return response
    return as_gzip(response, RANDOM_BYTES) if _may_be(request, response, authenticator) else response


async def acompress(request: HttpRequest, response: Any, authenticator: Any = None) -> Any:
    """The same on the event loop, large ones in a thread."""
    if not _may_be(request, response, authenticator):
        return response
    if len(response.content) <= INLINE_BYTES:
        return as_gzip(response, RANDOM_BYTES)
    return await sync_to_async(as_gzip, thread_sensitive=False)(response, RANDOM_BYTES)


def _may_be(request: HttpRequest, response: Any, authenticator: Any) -> bool:
    if request.method != "GET" or not isinstance(response, HttpResponse):
        return False
    if not is_text(response) or "Content-Encoding" in response:
        return False
    patch_vary_headers(response, ["Accept-Encoding"])
    if isinstance(authenticator, PageSessionAuthentication) or len(response.content) < LEAST_BYTES:
        return False
    return takes_gzip(request)
