"""The connections to Redis of this process: closed when a test ends, and elsewhere for as long as it takes, whatever it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streaming.core.redis import close_async_redis, configure, redis_url

from .core.restarting import RestartingRedis

NOWHERE = "redis://127.0.0.1:1/0"
"""Where nobody answers."""


@contextmanager
def redis_at(url: str) -> Iterator[None]:
    """Meanwhile this process uses the Redis of a URL. Connections of a running event loop are to be closed before, and at the end."""
    usual = redis_url()
    configure(lambda: url)
    try:
        yield
    finally:
        configure(lambda: usual)


@pytest.fixture
async def restarting_redis(redis: None, tmp_path: Path) -> AsyncIterator[RestartingRedis]:
    """A Redis that the test may stop and start, and that this process uses."""
    server = RestartingRedis(tmp_path / "restarting-redis")
    await close_async_redis()
    with redis_at(server.url):
        yield server
        await close_async_redis()
    server.stop()


@pytest.fixture
async def closing_redis(redis: None) -> AsyncIterator[None]:
    """For a test that uses Redis in its event loop without the engine, which closes its connections: this does."""
    yield
    await close_async_redis()


@pytest.fixture
async def no_redis(redis: None) -> AsyncIterator[None]:
    """This process finds no Redis."""
    await close_async_redis()
    with redis_at(NOWHERE):
        yield
        await close_async_redis()
