"""Whole servers, one set a module, and clients that speak to them over real sockets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streaming.server.embedded_redis import RedisService, start_redis
from tests.server_process import ServerProcess

from .channel_tokens import SECRET

Serve = Callable[..., ServerProcess]
ChannelServe = Callable[..., ServerProcess]


@pytest.fixture(scope="module")
def module_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisService]:
    with start_redis(tmp_path_factory.mktemp("redis")) as service:
        yield service


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, module_redis: RedisService) -> Iterator[Serve]:
    """Starts servers that share the module's Redis and, if they name the same `data`, a database."""
    base = tmp_path_factory.mktemp("servers")
    with ExitStack() as servers:

        def start(command: str = "serve", data: str = "data", redis_url: str = "", **environment: str) -> ServerProcess:
            folder = base / data
            if not folder.exists():
                folder.mkdir()
                shutil.copy(migrated_database, folder / "geostream.sqlite3")
            return servers.enter_context(ServerProcess(folder, redis_url or module_redis.url, environment, command))

        yield start


@pytest.fixture(scope="module")
def usual(serve: Serve) -> ServerProcess:
    """A server with the usual settings."""
    return serve()


@pytest.fixture(scope="module")
def channel_serve(serve: Serve) -> ChannelServe:
    """Starts servers that know the key of the tests' channel tokens, with the topics `room:*` that the tests have."""

    def start(**options: str) -> ServerProcess:
        return serve(**{"GEOSTREAM_JWT_SECRET": SECRET, "GEOSTREAM_TOPICS": "tests.dialects.phoenix.topics", **options})

    return start
