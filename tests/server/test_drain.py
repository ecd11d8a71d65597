"""A server process that ends has its WebSockets come back some at a time, and answers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from streaming.server.drain import drain
from streaming.server.websocket_protocol import WebSocketProtocol


class Shut:
    """Notes when it was shut down."""

    def __init__(self, connections: set[Any]) -> None:
        self.connections = connections
        self.at: float | None = None
        connections.add(self)

    def shutdown(self) -> None:
        self.at = asyncio.get_running_loop().time()
        self.connections.discard(self)


class Shuttable(Shut, WebSocketProtocol):
    """A WebSocket."""

    __init__ = Shut.__init__
    shutdown = Shut.shutdown


@pytest.fixture
def connections() -> set[Any]:
    return set()


async def test_websockets_are_closed_within_the_time(connections: set[Any]) -> None:
    sockets = [Shuttable(connections) for _ in range(100)]
    began = asyncio.get_running_loop().time()
    await drain(connections, 0.2)
    moments = sorted(socket.at - began for socket in sockets if socket.at is not None)
    assert len(moments) == 100 and moments[-1] < 2
    assert sum(moment > 0.05 for moment in moments) > 50


async def test_a_few_are_closed_sooner(connections: set[Any]) -> None:
    Shuttable(connections)
    async with asyncio.timeout(5):
        await drain(connections, 3600)


async def test_requests_are_answered_and_idle_connections_closed_at_once(connections: set[Any]) -> None:
    other = Shut(connections)
    for _ in range(100):
        Shuttable(connections)
    draining = asyncio.create_task(drain(connections, 3600))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert other.at is not None and len(connections) > 90
    draining.cancel()


async def test_whoever_has_left_meanwhile_is_not_closed(connections: set[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = [Shuttable(connections) for _ in range(3)]
    leaving = iter(sockets)

    def leave() -> bool:
        connections.difference_update(sockets)
        return True

    await drain(connections, 3600, leave)
    assert [socket.at for socket in leaving] == [None] * 3


async def test_it_can_be_hurried(connections: set[Any]) -> None:
    sockets = [Shuttable(connections) for _ in range(1000)]
    hurried: Callable[[], bool] = lambda: True  # noqa: E731
    async with asyncio.timeout(5):
        await drain(connections, 3600, hurried)
    assert all(socket.at is not None for socket in sockets)
