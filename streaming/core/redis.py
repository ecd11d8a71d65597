"""Connections to Redis, with the timeouts and pool sizes GeoStream relies on.

One pool for threads and commands, one per event loop for the server. Both wait for a free connection instead of failing, and never
block for ever: a Redis that does not answer becomes `StreamError("redis_unavailable")` where a caller can act on it.

Of a cluster, these are connections to the node with the keys that begin with `keys.COMMON`. What is read or written of feeds, and what else
has other keys, goes through `sync_feed_redis` and `async_feed_redis`, which find the node of each key; with one server they are the same.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import redis
import redis.asyncio as aioredis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from .errors import StreamError
from .redis_address import ClusterAddress, parse_address
from .redis_cluster import async_cluster_client, cluster_client
from .redis_pools import async_blocking_pool, blocking_pool
from .script_connection import ScriptConnection

REDIS_ERRORS = (RedisConnectionError, RedisTimeoutError, RedisClusterException)

_OPTIONS: dict[str, Any] = {
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 30,
}
_CLUSTER_OPTIONS = {**_OPTIONS, "socket_timeout": 2.5}  # then it is asked who else may have the keys
_resolve: list[Callable[[], str]] = []
_loop_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aioredis.Redis] = weakref.WeakKeyDictionary()
_loop_clusters: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aioredis.RedisCluster] = weakref.WeakKeyDictionary()
_loop_scripts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ScriptConnection] = weakref.WeakKeyDictionary()


def _quiet_options() -> dict[str, Any]:
    known = inspect.signature(aioredis.connection.AbstractConnection.__init__).parameters
    name: dict[str, Any] = {"driver_info": None} if "driver_info" in known else {"lib_name": None, "lib_version": None}
    if "maint_notifications_config" not in known:
        return name
    from redis.maint_notifications import MaintNotificationsConfig  # not in version 6

    return {**name, "maint_notifications_config": MaintNotificationsConfig(enabled=False)}


QUIET_OPTIONS = _quiet_options()
"""Options of connections on which the client library sends no commands of its own, in any version: their user may not be allowed more."""


def configure(resolve: Callable[[], str]) -> None:
    """Set the function that returns the URL of Redis. It is called when the first connection is made, and may start a server."""
    _resolve[:] = [resolve]
    for cached in (redis_url, cluster_address, _sync_client, _sync_cluster):
        cached.cache_clear()
    for clients in (_loop_clients, _loop_clusters, _loop_scripts):
        clients.clear()


def is_configured() -> bool:
    """Whether it is known how Redis is found."""
    return bool(_resolve)


@cache
def redis_url() -> str:
    """The URL of the Redis in use."""
    return _resolve[0]()


async def find_redis() -> None:
    """Find out where Redis is, in a thread, for that may take seconds. Whoever connects first would hold up the event loop with it."""
    if not redis_url.cache_info().currsize:
        await asyncio.to_thread(redis_url)


@cache
def cluster_address() -> ClusterAddress | None:
    """The cluster in use; None if it is one server, or a primary with replicas."""
    address = parse_address(redis_url())
    return address if isinstance(address, ClusterAddress) else None


def sync_redis() -> redis.Redis:
    """The client of this process for threads and commands (safe to share between threads)."""
    return _sync_client(os.getpid())


@cache
def _sync_client(_pid: int) -> redis.Redis:
    pool = blocking_pool(redis_url(), max_connections=16, timeout=10, retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), 3), **_OPTIONS)
    return redis.Redis(connection_pool=pool)


def async_redis() -> aioredis.Redis:
    """The client of the running event loop."""
    loop = asyncio.get_running_loop()
    client = _loop_clients.get(loop)
    if client is None:
        pool = async_blocking_pool(redis_url(), max_connections=16, timeout=10, **_OPTIONS)
        client = _loop_clients[loop] = aioredis.Redis(connection_pool=pool)
    return client


def sync_feed_redis() -> redis.Redis:
    """The client of this process for threads and commands that finds the node of each key: on a cluster a `RedisCluster`.

    That has nearly the same methods. A pipeline of it is none of one step, unless all keys have the same tag.
    """
    address = cluster_address()
    return sync_redis() if address is None else _sync_cluster(os.getpid())


@cache
def _sync_cluster(_pid: int) -> Any:
    address = cluster_address()
    assert address is not None
    return cluster_client(address, **_CLUSTER_OPTIONS)


def scan_pages(pattern: str, count: int) -> Iterator[list[bytes]]:
    """The keys like a pattern, page by page, of all nodes; for each page Redis looks at about so many keys. For threads."""
    client: Any = sync_feed_redis()
    nodes = [{}] if cluster_address() is None else [{"target_nodes": node} for node in client.get_primaries()]
    for node in nodes:
        cursor: Any = None
        while cursor != 0:
            cursor, keys = client.scan(cursor or 0, match=pattern, count=count, **node)
            if isinstance(cursor, dict):  # by the name of the node
                (cursor,) = cursor.values()
            yield keys


def async_feed_redis() -> aioredis.Redis:
    """The same for the running event loop."""
    address = cluster_address()
    if address is None:
        return async_redis()
    loop = asyncio.get_running_loop()
    client = _loop_clusters.get(loop)
    if client is None:
        client = _loop_clusters[loop] = async_cluster_client(address, **_CLUSTER_OPTIONS)
    return cast(aioredis.Redis, client)


def script_connection() -> ScriptConnection | None:
    """The running loop's connection for scripts; None on a cluster, where each of them has to find its node."""
    if cluster_address() is not None:
        return None
    loop = asyncio.get_running_loop()
    connection = _loop_scripts.get(loop)
    if connection is None:
        connection = _loop_scripts[loop] = ScriptConnection(redis_url, protocol=2, **_OPTIONS, **QUIET_OPTIONS)
    return connection


def close_sync_redis() -> None:
    """Close the connections of threads and commands (at the end of a test)."""
    if cluster_address() is not None:
        sync_feed_redis().close()
    sync_redis().connection_pool.disconnect()


async def close_async_redis() -> None:
    """Close the running loop's connections (at the end of a server or a test)."""
    scripts = _loop_scripts.pop(asyncio.get_running_loop(), None)
    if scripts is not None:
        await scripts.close()
    cluster = _loop_clusters.pop(asyncio.get_running_loop(), None)
    if cluster is not None:
        await cluster.aclose()
    client = _loop_clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()
        await client.connection_pool.disconnect()


def _refusal(error: Exception) -> StreamError:
    if isinstance(error, ResponseError):
        return StreamError("redis_unavailable", f"Redis refused the command, nothing was stored: {error}")
    return StreamError("redis_unavailable", f"Redis does not answer, nothing was stored: {error}")


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a Redis that does not answer (or is read-only, full, still loading) into a `StreamError`."""
    try:
        yield
    except (*REDIS_ERRORS, ResponseError) as error:
        raise _refusal(error) from error
