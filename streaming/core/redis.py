"""Connections to Redis, with the timeouts and pool sizes GeoStream relies on.

One pool for threads and commands, one per event loop for the server. Both wait for a free connection instead of failing, and never
block for ever: a Redis that does not answer becomes `StreamError("redis_unavailable")` where a caller can act on it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from .errors import StreamError
from .redis_pools import async_blocking_pool, blocking_pool

REDIS_ERRORS = (RedisConnectionError, RedisTimeoutError)

_OPTIONS: dict[str, Any] = {
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 30,
}
_resolve: list[Callable[[], str]] = []
_loop_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aioredis.Redis] = weakref.WeakKeyDictionary()


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
    redis_url.cache_clear()
    _sync_client.cache_clear()
    _loop_clients.clear()


@cache
def redis_url() -> str:
    """The URL of the Redis in use."""
    return _resolve[0]()


async def find_redis() -> None:
    """Find out where Redis is, in a thread, for that may take seconds. Whoever connects first would hold up the event loop with it."""
    if not redis_url.cache_info().currsize:
        await asyncio.to_thread(redis_url)


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


async def close_async_redis() -> None:
    """Close the running loop's connections (at the end of a server or a test)."""
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
