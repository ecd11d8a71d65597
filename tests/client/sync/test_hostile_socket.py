"""A WebSocket that is none, leads elsewhere, or breaks again and again: the client waits longer each time, and goes nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from streaming.client.sync import announcements
from streaming.client.sync.announcements import Announcements
from streaming.client.sync.state import State


class Waits(list[float]):
    """How long the client waited before it connected again."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    waits, sleep = Waits(), asyncio.sleep

    async def note(seconds: float) -> None:
        if seconds == announcements.PING_SECONDS:
            await asyncio.Event().wait()
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(announcements, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": note}))
    monkeypatch.setattr(announcements.random, "uniform", lambda low, high: high)
    return waits


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    state = State(tmp_path / "state")
    yield state
    state.close()


async def follow(port: int, state: State, waits: Waits, count: int) -> None:
    """Follow until it has waited so often."""
    following = Announcements(f"ws://127.0.0.1:{port}/ws/files", "me", state, "secret", lambda found: None, lambda: None)
    task = asyncio.create_task(following.follow())
    async with asyncio.timeout(20):
        while len(waits) < count and not task.done():
            await asyncio.wait([task], timeout=0.01)
    assert not task.done() or task.exception() is None, task.exception()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "text", ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 503 no\r\n\r\n", "HTTP/1.1 101 Yes\r\nUpgrade: x\r\n\r\n"]
)
async def test_an_answer_that_is_no_websocket_is_no_reason_to_end(text: str, state: State, waits: Waits) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError):  # of a client that has just ended
            await reader.readuntil(b"\r\n\r\n")
            writer.write(text.encode())

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await follow(server.sockets[0].getsockname()[1], state, waits, 8)
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_the_client_is_not_led_elsewhere(state: State, waits: Waits) -> None:
    elsewhere = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal elsewhere
        elsewhere += 1
        writer.close()

    async with await asyncio.start_server(count, "127.0.0.1", 0) as other:

        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            target = other.sockets[0].getsockname()[1]
            writer.write(f"HTTP/1.1 302 There\r\nLocation: ws://127.0.0.1:{target}/\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()

        async with await asyncio.start_server(lead, "127.0.0.1", 0) as server:
            await follow(server.sockets[0].getsockname()[1], state, waits, 2)
    assert elsewhere == 0


async def test_a_server_that_takes_the_client_and_drops_it_is_not_stormed(state: State, waits: Waits) -> None:
    async def drop(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type": "Ack", "operation_id": "subscribe", "resync": true}')
        with pytest.raises(websockets.ConnectionClosed):
            await socket.close(1012)
            await socket.recv()

    async with serve(drop, "127.0.0.1", 0) as server:
        await follow(next(iter(server.sockets)).getsockname()[1], state, waits, 8)
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
