"""What Redis says of itself: its memory and its connections, and how long it takes to answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from redis.exceptions import ResponseError

from streaming.core.errors import StreamError
from streaming.core.redis import async_redis, refusing

from .measures import Sample

MOST_SECONDS = 2.0


class RedisState:
    """As one process sees it. A Redis that does not let us ask (`INFO`) is unknown: zeros."""

    def __init__(self) -> None:
        self._info: Mapping[str, Any] = {}
        self._seconds = 0.0
        self._refused = False

    async def look(self) -> None:
        """Ask. Errors of Redis are logged elsewhere."""
        if self._refused:
            return
        began, took = time.perf_counter(), MOST_SECONDS
        with suppress(StreamError, TimeoutError), refusing():
            async with asyncio.timeout(MOST_SECONDS):
                try:
                    pipe = async_redis().pipeline(transaction=False)
                    for section in ("memory", "clients"):
                        pipe.info(section)
                    memory, clients = await pipe.execute()
                    self._info = {**memory, **clients}
                except ResponseError:  # its user may not
                    self._refused = True
            took = time.perf_counter() - began
        self._seconds = took

    def samples(self) -> Iterator[Sample]:
        """What it was the last time."""
        yield "geostream_redis_memory_bytes", (), self._info.get("used_memory", 0)
        yield "geostream_redis_memory_limit_bytes", (), self._info.get("maxmemory", 0)
        yield "geostream_redis_clients", (), self._info.get("connected_clients", 0)
        yield "geostream_redis_answer_seconds", (), self._seconds
