"""Pools of connections to one server: the one of a URL, whichever is the primary of a Sentinel's service, or one node of a cluster.

A caller does not see which. Connections to a primary ask where it is whenever they connect, and make sure that it is one: those who are
asked may not know of a failover yet. A server that is a primary no more closes its connections by itself.

Of a cluster it is the node with the keys that have the tag `COMMON`. Publishing and subscribing take place there, too: messages have one
order, and who publishes is told how many hear it, as with one server. (Whatever is published on another node is heard there as well.)
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
from redis.exceptions import AskError, MovedError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from .redis_address import SentinelAddress, SingleAddress, parse_address
from .redis_cluster import AsyncCommonNode, CommonNode

_SENTINEL_OPTIONS: dict[str, Any] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "protocol": 2}
"""A Sentinel that does not answer within a second is passed over."""


class _Connection(sync_sentinel.SentinelManagedConnection):
    """Is closed where its keys have gone to another node."""

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)
        except (MovedError, AskError) as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise RedisConnectionError(f"another node has these keys now: {error}") from error


class _TlsConnection(_Connection, sync_sentinel.SentinelManagedSSLConnection):
    pass


class _AsyncConnection(async_sentinel.SentinelManagedConnection):
    """The same for an event loop."""

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except (MovedError, AskError) as error:
            await self.disconnect()
            raise RedisConnectionError(f"another node has these keys now: {error}") from error


class _AsyncTlsConnection(_AsyncConnection, async_sentinel.SentinelManagedSSLConnection):
    pass


class PrimaryPool(sync_sentinel.SentinelConnectionPool, redis.BlockingConnectionPool):
    """Waits for a free connection, as the pools for one server do."""

    def disconnect(self, inuse_connections: bool = True, *args: Any, **options: Any) -> None:
        """Close the connections; all of them, those to Sentinels too."""
        if inuse_connections:
            super().disconnect()
            for sentinel in self.sentinel_manager.sentinels:
                sentinel.close()
        else:
            with suppress(TypeError):  # version 6 closes all or none
                super().disconnect(inuse_connections)


class AsyncPrimaryPool(async_sentinel.SentinelConnectionPool, aioredis.BlockingConnectionPool):
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
    if isinstance(address, SentinelAddress):
        sentinel: Any = sync_sentinel.Sentinel
        asked, service = sentinel(address.hosts, sentinel_kwargs=_sentinel_options(address, Retry(NoBackoff(), 0))), address.service
    else:
        asked, service = CommonNode(address), ""
    pool: Any = PrimaryPool
    kind = _TlsConnection if address.tls else _Connection
    return pool(service, asked, **{**address.options, **options}, connection_class=kind, redis_connect_func=_to_primary)  # type: ignore[no-any-return]


def async_blocking_pool(url: str, **options: Any) -> aioredis.BlockingConnectionPool:
    """A pool for the running event loop."""
    address = parse_address(url)
    if isinstance(address, SingleAddress):
        return aioredis.BlockingConnectionPool.from_url(url, **options)
    if isinstance(address, SentinelAddress):
        sentinel: Any = async_sentinel.Sentinel
        asked, service = sentinel(address.hosts, sentinel_kwargs=_sentinel_options(address, AsyncRetry(NoBackoff(), 0))), address.service
    else:
        asked, service = AsyncCommonNode(address), ""
    pool: Any = AsyncPrimaryPool
    kind = _AsyncTlsConnection if address.tls else _AsyncConnection
    return pool(service, asked, **{**address.options, **options}, connection_class=kind, redis_connect_func=_async_to_primary)  # type: ignore[no-any-return]


def _sentinel_options(address: SentinelAddress, retry: Any) -> dict[str, Any]:
    return {**_SENTINEL_OPTIONS, "retry": retry, **address.sentinel_options}


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
        raise RedisConnectionError("it is not known yet which server is the primary")
