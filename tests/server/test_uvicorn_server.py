"""What the server bears from clients that mean no good, on real sockets."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from streaming.server import uvicorn_server as server

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING = b"\x89\xfd\x00\x00\x00\x00" + b"x" * 125


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers everything, accepts every WebSocket."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    await receive()
    if scope["path"] == "/refused":
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})
        return
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@pytest.fixture
def protocols() -> list[server.HttpProtocol]:
    """Those of the connections that were opened."""
    return []


@pytest.fixture
async def opened(protocols: list[server.HttpProtocol]) -> AsyncIterator[Open]:
    """Opens connections to a listening server."""
    config = uvicorn.Config(application, ws=server.RawSocketProtocol, ws_per_message_deflate=False, ws_ping_interval=None, log_config=None)
    config.load()

    def accept() -> server.HttpProtocol:
        protocols.append(server.HttpProtocol(config=config, server_state=ServerState(), app_state={}))
        return protocols[-1]

    listening = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    writers: list[asyncio.StreamWriter] = []

    async def open_connection() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writers.append(writer)
        return reader, writer

    yield open_connection
    for writer in writers:
        writer.close()
    listening.close()


async def test_an_endless_head_is_refused(opened: Open) -> None:
    reader, writer = await opened()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 4 * server.HEAD_BYTES)
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")


async def test_a_head_of_usual_size_is_taken_each_time(opened: Open) -> None:
    reader, writer = await opened()
    for _ in range(20):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 8000 + b"\r\n\r\n")
        assert b"200" in await reader.readuntil(b"\r\n\r\nok")


async def test_a_large_body_is_no_large_head(opened: Open) -> None:
    reader, writer = await opened()
    size = 4 * server.HEAD_BYTES
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    assert b"200" in await reader.readuntil(b"\r\n\r\nok")


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["silent", "unfinished"])
async def test_who_does_not_finish_a_head_is_given_up(opened: Open, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    reader, writer = await opened()
    writer.write(start)
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_the_second_head_of_a_connection_is_waited_for_as_long(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    reader, writer = await opened()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await reader.readuntil(b"\r\n\r\nok")
    writer.write(b"GET / HTTP/1.1\r\n")
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_a_websocket_outlives_the_time_for_a_head(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.1)
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.3)
    writer.write(PING)
    assert (await reader.readexactly(127))[:2] == b"\x8a\x7d"


async def test_pongs_for_a_client_that_does_not_read_do_not_pile_up(opened: Open, protocols: list[server.HttpProtocol]) -> None:
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    transport = protocols[0].transport
    most = 0
    for _ in range(100):  # 13 MB, more than sockets hold
        writer.write(PING * 1000)
        await writer.drain()
        most = max(most, transport.get_write_buffer_size())
    assert 0 < most < 2 * server.HIGH_WATER


async def flooded(opened: Open, protocols: list[server.HttpProtocol], frames: bytes) -> tuple[asyncio.StreamReader, Any]:
    """A WebSocket whose client has sent these frames, and the server's side of it."""
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    protocol: Any = protocols[-1].transport.get_protocol()
    writer.write(frames)
    return reader, protocol


async def test_frames_without_messages_take_turns(
    opened: Open, protocols: list[server.HttpProtocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TURN_SECONDS", 0.0)
    taken: list[int] = []
    parse = server.WebSocketsSansIOProtocol.data_received
    monkeypatch.setattr(
        server.WebSocketsSansIOProtocol, "data_received", lambda self, data: (taken.append(len(data)), parse(self, data))[1]
    )
    pause, pauses = server.RawSocketProtocol._pause, []
    monkeypatch.setattr(server.RawSocketProtocol, "_pause", lambda self: (pauses.append(None), pause(self))[1])
    reader, _ = await flooded(opened, protocols, b"\x89\x80\0\0\0\0" * 10_000)
    await reader.readexactly(20_000)
    assert max(taken) <= server.PIECE and len(pauses) >= 60_000 // server.PIECE


async def test_a_message_in_many_pieces_arrives_whole(opened: Open, protocols: list[server.HttpProtocol]) -> None:
    _, protocol = await flooded(opened, protocols, b"")
    received = asyncio.Event()
    messages: list[Any] = []
    protocol.queue.put_nowait = lambda message: (messages.append(message), received.set())
    data = bytes(range(256)) * 256
    frame = b"\x82\xff" + len(data).to_bytes(8, "big") + b"\0\0\0\0" + data
    for start in range(0, len(frame), 10_000):
        protocol.data_received(frame[start : start + 10_000])
    await asyncio.wait_for(received.wait(), 5)
    assert messages == [{"type": "websocket.receive", "bytes": data}]


async def test_empty_fragments_are_not_kept(opened: Open, protocols: list[server.HttpProtocol]) -> None:
    reader, protocol = await flooded(opened, protocols, b"\x01\x81\0\0\0\0a" + b"\x00\x80\0\0\0\0" * 2000 + b"\x89\x80\0\0\0\0")
    assert await reader.readexactly(2) == b"\x8a\0"
    assert protocol.frames == [b"a"]


async def test_what_waits_is_dropped_when_the_server_stops(opened: Open, protocols: list[server.HttpProtocol]) -> None:
    reader, protocol = await flooded(opened, protocols, b"")
    for _ in range(100):
        protocol.queue.put_nowait({"type": "websocket.receive", "text": "x"})
    protocol.shutdown()
    assert protocol.queue.qsize() == 1
    assert (await reader.readexactly(4))[2:] == (1012).to_bytes(2, "big")


async def test_a_refusal_is_no_error_of_the_log(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await opened()
    writer.write(UPGRADE.replace(b"/ws", b"/refused"))
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 403")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


class Ticking(server.Server):
    """Keeps what it ticked."""

    def __init__(self) -> None:
        super().__init__(uvicorn.Config(application, port=0, lifespan="off", log_config=None))
        self.ticks: list[int] = []

    async def on_tick(self, counter: int) -> bool:
        self.ticks.append(counter)
        return await super().on_tick(counter)

    async def until_ticks(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.ticks) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
async def ticking(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ticking]:
    """A server that has ticked once and would tick again in an hour. Signals that it was sent end nothing else."""
    monkeypatch.setattr(server, "TICK_SECONDS", 3600.0)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    ticking = Ticking()
    serving = asyncio.create_task(ticking.serve())
    await ticking.until_ticks(1)
    yield ticking
    ticking.should_exit = True
    async with asyncio.timeout(5):
        await serving
    signal.signal(signal.SIGTERM, before)


async def test_a_signal_ends_the_server_at_once(ticking: Ticking) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await ticking.until_ticks(2)
    assert ticking.should_exit


async def test_another_thread_ends_the_server_at_once(ticking: Ticking) -> None:
    await asyncio.to_thread(setattr, ticking, "should_exit", True)
    await ticking.until_ticks(2)


async def test_the_date_is_made_anew_with_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TICK_SECONDS", 0.001)
    ticking = Ticking()
    serving = asyncio.create_task(ticking.serve())
    await ticking.until_ticks(1)
    ticking.server_state.default_headers = []
    await ticking.until_ticks(len(ticking.ticks) + 2)
    assert dict(ticking.server_state.default_headers)[b"date"]
    ticking.should_exit = True
    await serving


def test_each_of_several_workers_is_told_to_end() -> None:
    worker = server.Worker(uvicorn.Config(application), [])
    assert isinstance(worker.server, server.Server) and worker.server is worker.server
    worker.parent_conn.close()
    worker.child_conn.close()
