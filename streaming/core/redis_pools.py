"""Pools of connections to one server: the one of a URL, whichever is the primary of a Sentinel's service, or one node of a cluster.

A caller does not see which. Connections to a primary ask where it is whenever they connect, and make sure that it is one: those who are
asked may not know of a failover yet. A server that is a primary no more closes its connections by itself; one that is cut off from all
others goes on answering. So a pool that is used asks again every second, and leaves a server that is not the primary any more.

Of a cluster it is the node with the keys that have the tag `COMMON`. Publishing and subscribing take place there, too: messages have one
order, and who publishes is told how many hear it, as with one server. (Whatever is published on another node is heard there as well.)
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Any

import redis
import redis.asyncio as aioredis
import redis.asyncio.sentinel as async_sentinel
import redis.sentinel as sync_sentinel
from redis.exceptions import AskError, ClusterDownError, MovedError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from .redis_address import Host, SentinelAddress, SingleAddress, parse_address
from .redis_cluster import CommonNode
from .redis_primary import AsyncFinder, Finder, SentinelService

FOLLOW_SECONDS = 1.0
"""How often whoever uses a pool asks which of several servers is the primary."""


class _Connection(sync_sentinel.SentinelManagedConnection):
    """Is closed where its keys have gone to another node, or may have, as far as a node that is cut off from the others can tell."""

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)
        except (MovedError, AskError, ClusterDownError) as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise RedisConnectionError(f"another node may have these keys now: {error}") from error

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send; if there is no connection any more, to whoever is the primary now. Upstream tries the server of before again."""
        if self._sock is None:
            self.connect()  # type: ignore[no-untyped-call]
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]


class _TlsConnection(_Connection, sync_sentinel.SentinelManagedSSLConnection):
    pass


class _AsyncConnection(async_sentinel.SentinelManagedConnection):
    """The same for an event loop."""

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except (MovedError, AskError, ClusterDownError) as error:
            await self.disconnect()
            raise RedisConnectionError(f"another node may have these keys now: {error}") from error

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call]
        await super().send_packed_command(command, check_health)


class _AsyncTlsConnection(_AsyncConnection, async_sentinel.SentinelManagedSSLConnection):
    pass


class PrimaryPool(sync_sentinel.SentinelConnectionPool, redis.BlockingConnectionPool):
    """Waits for a free connection, as the pools for one server do."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]  # upstream
        self._look_at = 0.0
        self._looking = Lock()

    def disconnect(self, inuse_connections: bool = True, *args: Any, **options: Any) -> None:
        """Close the connections; all of them, those to Sentinels too."""
        if inuse_connections:
            super().disconnect()
            for sentinel in self.sentinel_manager.sentinels:
                sentinel.close()
        else:
            with suppress(TypeError):  # version 6 closes all or none
                super().disconnect(inuse_connections)

    def get_connection(self, *command: Any, **options: Any) -> Any:
        """A connection to the server that was the primary a second ago, or is."""
        self._follow()
        connection: Any = super().get_connection(*command, **options)  # type: ignore[no-untyped-call]
        if (connection.host, connection.port) != self.master_address:
            connection.disconnect()
            self._connect(connection)
        return connection

    def _follow(self) -> None:
        """Ask who the primary is, if that is due. A primary that is cut off from all others says nothing of it."""
        if monotonic() < self._look_at or not self._looking.acquire(blocking=False):
            return
        try:
            with suppress(RedisError, OSError):
                self.get_master_address()  # type: ignore[no-untyped-call]
        finally:
            self._look_at = monotonic() + FOLLOW_SECONDS
            self._looking.release()

    def _connect(self, connection: Any) -> None:
        try:
            connection.connect()
        except BaseException:
            self.release(connection)  # type: ignore[no-untyped-call]
            raise


class AsyncPrimaryPool(async_sentinel.SentinelConnectionPool, aioredis.BlockingConnectionPool):
    """The same for an event loop."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]  # upstream
        self._look_at = 0.0

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections; all of them, those to Sentinels too."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()

    async def get_master_address(self) -> Host:
        """Where the primary is. Whoever waits for an answer of another one waits no more: it may hang, or be cut off."""
        primary: Host = await super().get_master_address()  # type: ignore[no-untyped-call]
        connections: Iterable[Any] = self._in_use_connections
        for connection in connections:
            if connection.is_connected and (connection.host, connection.port) != primary:
                connection._writer.transport.abort()
        return primary

    async def get_connection(self, *command: Any, **options: Any) -> Any:
        """A connection to the server that was the primary a second ago, or is."""
        await self.follow()
        connection: Any = await super().get_connection(*command, **options)  # type: ignore[no-untyped-call]
        if (connection.host, connection.port) != self.master_address:
            try:
                await connection.disconnect()
                await connection.connect()
            except BaseException:
                await self.release(connection)
                raise
        return connection

    async def follow(self) -> Host | None:
        """Ask who the primary is, if that is due; whom the last answer named."""
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + FOLLOW_SECONDS
            with suppress(RedisError, OSError):
                await self.get_master_address()
        return self.master_address


def blocking_pool(url: str, **options: Any) -> redis.BlockingConnectionPool:
    """A pool for threads; `options` are those of redis-py's pool and connections. `ValueError` if the URL cannot be read."""
    address = parse_address(url)
    if isinstance(address, SingleAddress):
        return redis.BlockingConnectionPool.from_url(url, **options)
    if isinstance(address, SentinelAddress):
        asked: Finder = SentinelService(address)
        service = address.service
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
        asked, service = AsyncFinder(SentinelService(address)), address.service
    else:
        asked, service = AsyncFinder(CommonNode(address)), ""
    pool: Any = AsyncPrimaryPool
    kind = _AsyncTlsConnection if address.tls else _AsyncConnection
    return pool(service, asked, **{**address.options, **options}, connection_class=kind, redis_connect_func=_async_to_primary)  # type: ignore[no-any-return]


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
