"""Processes for tests of presence, and clients of layers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from streaming.engine.runtime import Runtime
from streaming.features.layer_creation import aensure_layer
from tests.dialects.phoenix.peer import PhoenixPeer

from .layer_peer import ConnectLayer, LayerPeer
from .presence_scene import HandClock, Process


@pytest.fixture
async def start_process(redis: None) -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    """Starts processes that share a Redis."""
    processes: list[Process] = []

    async def start(**options: Any) -> Process:
        processes.append(Process(**options))
        await processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        await process.presence.stop()
    for process in processes:
        await process.hub.stop()


@pytest.fixture
async def here(start_process: Callable[..., Awaitable[Process]]) -> Process:
    """This process."""
    return await start_process()


@pytest.fixture
async def by_hand(start_process: Callable[..., Awaitable[Process]]) -> Process:
    """This process, if members are to be told nothing until the test turns its clock."""
    return await start_process(clock=HandClock())


@pytest.fixture
async def there(start_process: Callable[..., Awaitable[Process]], here: Process) -> Process:
    """Another one."""
    return await start_process()


@pytest.fixture
async def connect_layer(runtime: Runtime) -> AsyncIterator[ConnectLayer]:
    """Opens connections for the topic of a layer each."""
    peers: list[PhoenixPeer] = []

    async def connect(topic: str = "layer:l", **options: Any) -> LayerPeer:
        peers.append(PhoenixPeer(**options))
        return LayerPeer(await peers[-1].connect(), topic)

    yield connect
    for peer in peers:
        peer.read_again()
        await peer.close()


@pytest.fixture
async def layer(connect_layer: ConnectLayer) -> LayerPeer:
    """A client of the empty layer `l`."""
    await aensure_layer("l")
    return await connect_layer()
