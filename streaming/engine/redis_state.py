"""What Redis says of itself: its memory and its connections, and how long it takes to answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from redis.cluster import RedisCluster
from redis.exceptions import ResponseError

from streaming.core.errors import StreamError
from streaming.core.redis import async_feed_redis, cluster_address, refusing

from .measures import Sample

MOST_SECONDS = 2.0
_NAMES = ("used_memory", "maxmemory", "connected_clients")


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
                    self._info = await self._ask()
                except ResponseError:  # its user may not
                    self._refused = True
            took = time.perf_counter() - began
        self._seconds = took

    @staticmethod
    async def _ask() -> Mapping[str, Any]:
        """`INFO`; of a cluster the sums of all primaries."""
        client: Any = async_feed_redis()
        if cluster_address() is None:
            pipe = client.pipeline(transaction=False)
            for section in ("memory", "clients"):
                pipe.info(section)
            memory, clients = await pipe.execute()
            return {**memory, **clients}
        found = [await client.info(section, target_nodes=RedisCluster.PRIMARIES) for section in ("memory", "clients")]
        return {name: sum(int(each.get(name, 0)) for part in found for each in part.values()) for name in _NAMES}

    def samples(self) -> Iterator[Sample]:
        """What it was the last time."""
        yield "geostream_redis_memory_bytes", (), self._info.get("used_memory", 0)
        yield "geostream_redis_memory_limit_bytes", (), self._info.get("maxmemory", 0)
        yield "geostream_redis_clients", (), self._info.get("connected_clients", 0)
        yield "geostream_redis_answer_seconds", (), self._seconds
