"""Clients of Phoenix Channels, and backends beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from streaming.engine.runtime import Runtime
from tests.conftest import Serve
from tests.server_process import ServerProcess

from .backend import Backend
from .peer import PhoenixPeer

Connect = Callable[..., Awaitable[PhoenixPeer]]


@pytest.fixture
async def phoenix(runtime: Runtime) -> AsyncIterator[Connect]:
    """Opens connections to the engine in this process."""
    peers: list[PhoenixPeer] = []

    async def connect(*arguments: Any, **options: Any) -> PhoenixPeer:
        peers.append(PhoenixPeer(*arguments, **options))
        return await peers[-1].connect()

    yield connect
    for peer in peers:
        peer.read_again()
        await peer.close()


@pytest.fixture
async def peer(phoenix: Connect) -> PhoenixPeer:
    """A connection."""
    return await phoenix()


@pytest.fixture
async def backend(runtime: Runtime) -> AsyncIterator[Backend]:
    """Listens on Redis."""
    backend = Backend()
    await backend.start()
    yield backend
    await backend.stop()


@pytest.fixture
def own_topics(settings: Any) -> None:
    """The project has channels of its own, and no other topics."""
    settings.GEOSTREAM_TOPICS = "tests.dialects.phoenix.topics"
    settings.GEOSTREAM_OPEN_TOPICS = False


@pytest.fixture(scope="module")
def sockets(serve: Serve) -> ServerProcess:
    """A server with the project's own topics."""
    return serve(GEOSTREAM_TOPICS="tests.dialects.phoenix.topics", GEOSTREAM_PHOENIX_IDLE_SECONDS="2")
