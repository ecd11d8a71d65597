"""Reads hashes of Redis for clients, with HGET and HSCAN only, so that a user of Redis may be limited to them.

A key that holds something else is treated as missing. A large hash is read page by page, and no further than the caller goes on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from streaming.core.errors import StreamError
from streaming.core.redis import QUIET_OPTIONS, redis_url
from streaming.core.redis_address import ClusterAddress, parse_address
from streaming.core.redis_cluster import async_cluster_client
from streaming.core.redis_pools import async_blocking_pool
from streaming.engine.conf import conf

logger = logging.getLogger(__name__)

PAGE, FIRST_PAGE, PAGE_BYTES = 500, 8, 256 * 1024
"""Fields that Redis looks at in one command, a millisecond or less; in the first; and the bytes that these should have about."""
_POOL_OPTIONS: dict[str, Any] = {"max_connections": 16, "timeout": 5}
_CONNECTION_OPTIONS: dict[str, Any] = {
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    **QUIET_OPTIONS,
}


def commands_url() -> str:
    """The Redis that clients read: `GEOSTREAM_REDIS_COMMANDS_URL`, or the one in use."""
    return str(conf.REDIS_COMMANDS_URL) or redis_url()


class HashReader:
    """Reads hashes over a few connections. `StreamError("redis_unavailable")` while Redis does not answer."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._opened: aioredis.Redis | aioredis.RedisCluster | None = None
        self.truncated = 0
        """How often a hash had more values than are read."""

    async def close(self) -> None:
        """Close the connections."""
        client, self._opened = self._opened, None
        if client is not None:
            await client.aclose()

    async def field(self, key: str, field: str) -> bytes | None:
        """One value of a hash, if it is there."""
        value: bytes | None = await self._ask(self._redis().hget(key, field))
        return value

    async def values(self, key: str, most: int | None = None) -> AsyncIterator[list[bytes]]:
        """The values of a hash, in no order, page by page; no more than `most`, or `GEOSTREAM_REDIS_VALUES`. None of them comes twice."""
        cursor, seen, room, count = 0, set[bytes](), int(conf.REDIS_VALUES) if most is None else most, FIRST_PAGE
        while True:
            cursor, page = await self._page(key, cursor, count)
            count = _next_count(count, sum(map(len, page.values())))
            values = [value for field, value in page.items() if field not in seen]
            if len(values) > room or (len(values) == room and cursor):
                self.truncated += 1
                cursor = 0
            if values[:room]:
                yield values[:room]
            if not cursor:
                return
            seen.update(page)
            room -= len(values)

    async def names(self, pattern: str) -> AsyncIterator[list[str]]:
        """The names of hashes that an operator's pattern matches, page by page. It needs SCAN; without the right to it there are none."""
        client: Any = self._redis()
        nodes: list[dict[str, Any]] = [{}]
        if isinstance(client, aioredis.RedisCluster):
            await self._ask(client.initialize())
            nodes = [{"target_nodes": node} for node in client.get_primaries()]
        for node in nodes:
            cursor: Any = None
            while cursor != 0:
                answer = await self._ask(client.scan(cursor or 0, match=pattern, count=PAGE, _type="hash", **node))
                cursor, names = answer or (0, [])
                if isinstance(cursor, dict):  # by the name of the node
                    (cursor,) = cursor.values()
                if names:
                    yield [name.decode(errors="replace") for name in names]

    async def _page(self, key: str, cursor: int, count: int) -> tuple[int, dict[bytes, bytes]]:
        answer = await self._ask(self._redis().hscan(key, cursor, count=count))
        return (0, {}) if answer is None else answer

    @staticmethod
    async def _ask(answer: Awaitable[Any]) -> Any:
        """The answer of Redis; None if the key is no hash, or not for this user of Redis."""
        try:
            return await answer
        except NoPermissionError as error:
            logger.warning("Redis does not let its user read what clients may: %s", error)
            return None
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                return None
            raise StreamError("redis_unavailable", f"Redis refused to read: {error}") from error
        except (RedisError, OSError) as error:
            raise StreamError("redis_unavailable", "Redis does not answer") from error

    def _redis(self) -> Any:
        if self._opened is None:
            url = self._url or commands_url()
            address = parse_address(url)
            if isinstance(address, ClusterAddress):
                self._opened = async_cluster_client(address, **_CONNECTION_OPTIONS)
            else:
                pool = async_blocking_pool(url, retry=Retry(ConstantBackoff(0.05), 1), **_POOL_OPTIONS, **_CONNECTION_OPTIONS)
                self._opened = aioredis.Redis.from_pool(pool)
        return self._opened


def _next_count(count: int, size: int) -> int:
    """How many fields to ask for after so many had so many bytes: a page of large values would be large."""
    return max(1, min(PAGE, count * 8, count * PAGE_BYTES // max(size, 1)))
