"""A body that is read while it arrives, so that lines of any number are published as they come and are never kept anywhere.

The short way of publishing (`direct.py`) puts an `Arriving` on its request; everywhere else Django has spooled the whole body first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from streaming.core.errors import StreamError

from .request_body import CHUNK

QUIET_SECONDS = 0.1


class Arriving:
    """The rest of a request's body, to be iterated over once."""

    def __init__(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._receive = receive

    async def __aiter__(self) -> AsyncIterator[bytes | None]:
        """Pieces of at most 16 KiB; None after a moment in which none came. `StreamError` if the client leaves before the end."""
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
