"""WebSockets of clients that flood, do not read or do not end, on real sockets."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from streaming.server import websocket_protocol
from streaming.server.http_protocol import HttpProtocol

from .requests import PING, UPGRADE, Open


async def test_pongs_for_a_client_that_does_not_read_do_not_pile_up(opened: Open, protocols: list[HttpProtocol]) -> None:
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    transport = protocols[0].transport
    most = 0
    for _ in range(100):  # 13 MB, more than sockets hold
        writer.write(PING * 1000)
        await writer.drain()
        most = max(most, transport.get_write_buffer_size())
    assert 0 < most < 2 * websocket_protocol.HIGH_WATER


async def flooded(opened: Open, protocols: list[HttpProtocol], frames: bytes) -> tuple[asyncio.StreamReader, Any]:
    """A WebSocket whose client has sent these frames, and the server's side of it."""
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    protocol: Any = protocols[-1].transport.get_protocol()
    writer.write(frames)
    return reader, protocol


async def test_frames_without_messages_take_turns(opened: Open, protocols: list[HttpProtocol], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "TURN_SECONDS", 0.0)
    parsed: list[int] = []
    parse = websocket_protocol.WebSocketsSansIOProtocol.data_received
    monkeypatch.setattr(
        websocket_protocol.WebSocketsSansIOProtocol, "data_received", lambda self, data: (parsed.append(len(data)), parse(self, data))[1]
    )
    pause, pauses = websocket_protocol.WebSocketProtocol._pause, []
    monkeypatch.setattr(websocket_protocol.WebSocketProtocol, "_pause", lambda self: (pauses.append(None), pause(self))[1])
    reader, _ = await flooded(opened, protocols, b"\x89\x80\0\0\0\0" * 10_000)
    await reader.readexactly(20_000)
    assert max(parsed) <= websocket_protocol.PARSE_BYTES and len(pauses) >= 60_000 // websocket_protocol.PARSE_BYTES


async def test_a_message_in_many_pieces_arrives_whole(opened: Open, protocols: list[HttpProtocol]) -> None:
    _, protocol = await flooded(opened, protocols, b"")
    received = asyncio.Event()
    messages: list[Any] = []
    protocol.queue = SimpleNamespace(put_nowait=lambda message: (messages.append(message), received.set()), empty=lambda: True)
    data = bytes(range(256)) * 256
    frame = b"\x82\xff" + len(data).to_bytes(8, "big") + b"\0\0\0\0" + data
    for start in range(0, len(frame), 10_000):
        protocol.data_received(frame[start : start + 10_000])
    await asyncio.wait_for(received.wait(), 5)
    assert messages == [{"type": "websocket.receive", "bytes": data}]


async def test_empty_fragments_are_not_kept(opened: Open, protocols: list[HttpProtocol]) -> None:
    reader, protocol = await flooded(opened, protocols, b"\x01\x81\0\0\0\0a" + b"\x00\x80\0\0\0\0" * 2000 + b"\x89\x80\0\0\0\0")
    assert await reader.readexactly(2) == b"\x8a\0"
    assert protocol.frames == [b"a"]


async def test_what_waits_is_dropped_when_the_server_stops(opened: Open, protocols: list[HttpProtocol]) -> None:
    reader, protocol = await flooded(opened, protocols, b"")
    for _ in range(100):
        protocol.queue.put_nowait({"type": "websocket.receive", "text": "x"})
    protocol.shutdown()
    assert protocol.queue.qsize() == 1
    assert (await reader.readexactly(4))[2:] == (1012).to_bytes(2, "big")


async def test_one_that_was_told_to_come_back_is_not_told_again(opened: Open, protocols: list[HttpProtocol]) -> None:
    reader, protocol = await flooded(opened, protocols, b"")
    protocol.shutdown()
    protocol.shutdown()
    assert len(await reader.read()) == 4


GOODBYE = b"\x88\x80\0\0\0\0"
NONSENSE = b"\xff\xff"


async def full(opened: Open, protocols: list[HttpProtocol]) -> tuple[asyncio.StreamWriter, Any]:
    """A WebSocket whose client does not read, so that frames wait for it, and the server's side of it."""
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    protocol: Any = protocols[-1].transport.get_protocol()
    while protocol.raw.writable:
        protocol.raw.write(b"\x82\x7f" + (1 << 20).to_bytes(8, "big") + bytes(1 << 20))
        await asyncio.sleep(0)
    return writer, protocol


@pytest.mark.parametrize("ending", [GOODBYE, NONSENSE, None], ids=["a close frame", "nonsense", "none"])
async def test_a_client_that_leaves_has_ended_though_frames_wait_for_it(
    opened: Open, protocols: list[HttpProtocol], ending: bytes | None
) -> None:
    writer, protocol = await full(opened, protocols)
    assert not protocol.raw.ended
    if ending is None:
        writer.transport.abort()
    else:
        writer.write(ending)
    async with asyncio.timeout(5):
        while not protocol.raw.ended:
            await asyncio.sleep(0.005)


async def test_a_socket_that_is_closed_has_ended(opened: Open, protocols: list[HttpProtocol]) -> None:
    _, protocol = await full(opened, protocols)
    protocol.raw.close(1000, "an operator")
    assert protocol.raw.ended


@pytest.mark.parametrize("ending", [GOODBYE, NONSENSE], ids=["a close frame", "nonsense"])
@pytest.mark.parametrize("asked", [False, True], ids=["by itself", "answering ours"])
async def test_a_client_that_ends_but_does_not_read_is_disconnected(
    opened: Open, protocols: list[HttpProtocol], monkeypatch: pytest.MonkeyPatch, ending: bytes, asked: bool
) -> None:
    monkeypatch.setattr(websocket_protocol, "ABORT_SECONDS", 0.05)
    writer, protocol = await full(opened, protocols)
    if asked:
        protocol.raw.close(1000, "an operator")
    writer.write(ending)
    async with asyncio.timeout(5):
        while not protocol.disconnected:
            await asyncio.sleep(0.005)


async def test_a_refusal_is_no_error_of_the_log(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await opened()
    writer.write(UPGRADE.replace(b"/ws", b"/refused"))
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 403")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_text_that_is_no_utf8_closes_and_is_no_error_of_the_log(
    opened: Open, protocols: list[HttpProtocol], caplog: pytest.LogCaptureFixture
) -> None:
    reader, _ = await flooded(opened, protocols, b"\x81\x82\0\0\0\0\xff\xfe")
    assert await reader.readexactly(4) == b"\x88\x02" + (1007).to_bytes(2, "big")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
