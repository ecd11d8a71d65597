"""Pools of connections to the Redis of a URL: to the one server, or to whichever server is the primary of a Sentinel's service.

A caller does not see which: a connection to a service asks the Sentinels where the primary is whenever it connects, and makes sure that it
is one, for a Sentinel may not know of a failover yet. Connections to a server that is a primary no more are closed by itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import redis
import redis.asyncio as aioredis
import redis.asyncio.sentinel as async_sentinel
import redis.sentinel as sync_sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from .redis_address import SentinelAddress, SingleAddress, parse_address

_SENTINEL_OPTIONS: dict[str, Any] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "protocol": 2}
"""A Sentinel that does not answer within a second is passed over."""


class SentinelPool(sync_sentinel.SentinelConnectionPool, redis.BlockingConnectionPool):
    """Waits for a free connection, as the pools for one server do."""

    def disconnect(self, inuse_connections: bool = True, *args: Any, **options: Any) -> None:
        """Close the connections; all of them, those to Sentinels too."""
        super().disconnect(inuse_connections, *args, **options)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                sentinel.close()


class AsyncSentinelPool(async_sentinel.SentinelConnectionPool, aioredis.BlockingConnectionPool):
    """The same for an event loop."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections; all of them, those to Sentinels too."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


def blocking_pool(url: str, **options: Any) -> redis.BlockingConnectionPool:
    """A pool for threads; `options` are those of redis-py's pool and connections. `ValueError` if the URL cannot be read."""
    address = parse_address(url)
    if isinstance(address, SingleAddress):
        return redis.BlockingConnectionPool.from_url(url, **options)
    address = _of_one_server(address)
    own = {**options, "redis_connect_func": _to_primary}
    pool: redis.BlockingConnectionPool = _pool(sync_sentinel.Sentinel, SentinelPool, address, Retry(NoBackoff(), 0), own)
    return pool


def async_blocking_pool(url: str, **options: Any) -> aioredis.BlockingConnectionPool:
    """A pool for the running event loop."""
    address = parse_address(url)
    if isinstance(address, SingleAddress):
        return aioredis.BlockingConnectionPool.from_url(url, **options)
    address = _of_one_server(address)
    own = {**options, "redis_connect_func": _async_to_primary}
    pool: aioredis.BlockingConnectionPool = _pool(async_sentinel.Sentinel, AsyncSentinelPool, address, AsyncRetry(NoBackoff(), 0), own)
    return pool


def _of_one_server(address: Any) -> SentinelAddress:
    if isinstance(address, SentinelAddress):
        return address
    raise ValueError("a cluster (redis+cluster://) is not supported")


def _pool(sentinel_type: Any, pool_type: Any, address: SentinelAddress, retry: Any, options: dict[str, Any]) -> Any:
    sentinel = sentinel_type(address.hosts, sentinel_kwargs={**_SENTINEL_OPTIONS, "retry": retry, **address.sentinel_options})
    tls = {"ssl": True} if address.tls else {}
    return pool_type(address.service, sentinel, **address.options, **options, **tls)


def _to_primary(connection: Any) -> None:
    connection.on_connect()
    with suppress(NoPermissionError):  # a user of Redis who may only read hashes
        connection.send_command("ROLE", check_health=False)
        _check_role(connection.read_response())


async def _async_to_primary(connection: Any) -> None:
    await connection.on_connect()
    with suppress(NoPermissionError):
        await connection.send_command("ROLE", check_health=False)
        _check_role(await connection.read_response())


def _check_role(reply: Any) -> None:
    if reply[0] not in (b"master", "master"):
        raise RedisConnectionError("the Sentinels do not know yet which server is the primary")
