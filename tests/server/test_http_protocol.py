"""The head of an HTTP request is limited in size and in time, on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from streaming.server import http_protocol

from .requests import PING, UPGRADE, Open


async def test_an_endless_head_is_refused(opened: Open) -> None:
    reader, writer = await opened()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 4 * http_protocol.HEAD_BYTES)
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")


async def test_a_head_of_usual_size_is_taken_each_time(opened: Open) -> None:
    reader, writer = await opened()
    for _ in range(20):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 8000 + b"\r\n\r\n")
        assert b"200" in await reader.readuntil(b"\r\n\r\nok")


async def test_a_large_body_is_no_large_head(opened: Open) -> None:
    reader, writer = await opened()
    size = 4 * http_protocol.HEAD_BYTES
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    assert b"200" in await reader.readuntil(b"\r\n\r\nok")


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["silent", "unfinished"])
async def test_a_client_that_does_not_finish_a_head_is_disconnected(opened: Open, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    reader, writer = await opened()
    writer.write(start)
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_the_second_head_of_a_connection_is_waited_for_as_long(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    reader, writer = await opened()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await reader.readuntil(b"\r\n\r\nok")
    writer.write(b"GET / HTTP/1.1\r\n")
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_a_websocket_outlives_the_time_for_a_head(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.1)
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.3)
    writer.write(PING)
    assert (await reader.readexactly(127))[:2] == b"\x8a\x7d"
