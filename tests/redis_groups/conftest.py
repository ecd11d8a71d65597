"""An engine in this process whose Redis is several servers, and a client of each dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from channels.layers import channel_layers

from streaming.core import redis as connections
from streaming.engine.lifespan import get_runtime, stop_runtime
from streaming.engine.runtime import Runtime
from streaming.features.layers import catalogue
from streaming.server.embedded_redis import RedisService

Use = Callable[[str], None]
StartEngine = Callable[[str], Awaitable[Runtime]]

_layers: list[object] = []
"""Those that were in use: the thread that rings doorbells has connections of theirs open, as long as the tests run."""


@pytest.fixture
def use(redis_service: RedisService) -> Iterator[Use]:
    """Has this process use the Redis of a URL until the test ends."""

    def at(url: str) -> None:
        connections.close_sync_redis()
        connections.configure(lambda: url)
        _layers.append(dict(channel_layers.backends))
        channel_layers.backends.clear()  # the layer has the URL that it was made with
        catalogue.clear()

    yield at
    at(redis_service.url)


@pytest.fixture
async def start_engine(use: Use, transactional_db: None) -> AsyncIterator[StartEngine]:
    """Starts the engine in this process, on the Redis of a URL."""

    async def start(url: str) -> Runtime:
        use(url)
        return await get_runtime()

    yield start
    await stop_runtime()
