"""An engine in this process whose Redis is several servers, and a client of each dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from channels.layers import channel_layers

from streaming.core import redis as connections
from streaming.features.layers import catalogue
from streaming.server.embedded_redis import RedisService

Use = Callable[[str], None]


@pytest.fixture
def use(redis_service: RedisService) -> Iterator[Use]:
    """Has this process use the Redis of a URL until the test ends."""

    def at(url: str) -> None:
        connections.sync_redis().close()
        connections.configure(lambda: url)
        channel_layers.backends.clear()  # the layer has the URL that it was made with
        catalogue.clear()

    yield at
    at(redis_service.url)
