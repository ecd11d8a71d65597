"""Fixtures: a scripted server, a client of it, and the certainty that no task of the client is left over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from streaming.client import Backoff, ConnectionState, FeatureSubscription, GeoStreamClient
from streaming.dialects.geo.messages import SubscribeFeatures
from tests.client.scripted import Peer, ScriptedServer

PATIENCE = 5.0


@pytest_asyncio.fixture(autouse=True)
async def no_task_is_left_over() -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    patience = loop.call_later(PATIENCE, lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
    before = asyncio.all_tasks()
    yield
    patience.cancel()
    assert asyncio.all_tasks() - {asyncio.current_task()} <= before


@pytest_asyncio.fixture
async def server(no_task_is_left_over: None) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as running:
        yield running


@dataclass
class Naps:
    """Stands for sleeping: writes down the seconds and goes on at once."""

    seconds: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def naps() -> Naps:
    return Naps()


async def until(client: GeoStreamClient, state: ConnectionState) -> None:
    """Wait until the client is in this state."""
    reached = asyncio.Event()
    forget = client.on_state(lambda *_: reached.set() if client.state is state else None)
    if client.state is not state:
        await reached.wait()
    forget()


MakeClient = Callable[..., GeoStreamClient]


@pytest.fixture
def make_client(server: ScriptedServer, naps: Naps) -> MakeClient:
    def make(**options: Any) -> GeoStreamClient:
        backoff = Backoff(random=lambda: 1.0, sleep=naps.sleep, attempts=options.pop("attempts", None), stable=options.pop("stable", 5.0))
        return GeoStreamClient(server.url, proxy=None, **{"backoff": backoff, "ping_interval": None, **options})

    return make


@dataclass
class Scene:
    """A connected client with its peer, and where a test subscribes."""

    client: GeoStreamClient
    peer: Peer
    server: ScriptedServer

    async def subscribe(self, layer: str | None = "flights", ack: dict[str, Any] | None = None, **options: Any) -> FeatureSubscription:
        task = asyncio.create_task(self.client.subscribe_features(layer, subscription_id="s", **options))
        await self.peer.expect(SubscribeFeatures)
        await self.peer.ack("s", **(ack if ack is not None else {"cursor": "e:0", "snapshot_count": 0}))
        return await task

    async def reconnected(self, **ack: Any) -> SubscribeFeatures:
        """Let the client come back; its request to resume, already answered."""
        self.peer = await self.server.peer()
        request = await self.peer.expect(SubscribeFeatures)
        await self.peer.ack("s", **ack)
        return request


@pytest_asyncio.fixture
async def scene(server: ScriptedServer, make_client: MakeClient) -> AsyncIterator[Scene]:
    client = make_client()
    connecting = asyncio.create_task(client.connect())
    peer = await server.peer()
    await connecting
    yield Scene(client, peer, server)
    await client.close()
