"""What a WebSocket was is gone with it: nothing waits for Python's search for garbage, which keeps the loop for long."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from streaming.server import garbage
from streaming.server.garbage import Newcomers
from streaming.server.http_protocol import HttpProtocol
from streaming.server.websocket_protocol import WebSocketProtocol

from .requests import UPGRADE, Open


@pytest.fixture
def no_search() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def until_gone(reference: weakref.ref[Any]) -> None:
    async with asyncio.timeout(5):
        while reference() is not None:
            await asyncio.sleep(0.001)


async def test_the_protocol_that_took_the_request_is_gone_once_the_websocket_is_open(
    opened: Open, protocols: list[HttpProtocol], no_search: None
) -> None:
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    await until_gone(weakref.ref(protocols.pop()))


@pytest.mark.parametrize("ending", ["close frame", "cut off"])
async def test_a_websocket_is_gone_when_it_has_ended(opened: Open, protocols: list[HttpProtocol], no_search: None, ending: str) -> None:
    reader, writer = await opened()
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    (websocket,) = (each for each in protocols.pop().connections if isinstance(each, WebSocketProtocol))
    reference = weakref.ref(websocket)
    del websocket
    if ending == "cut off":
        writer.transport.abort()
    else:
        writer.write(b"\x88\x82\0\0\0\0\x03\xe8")
        await reader.read()
    await until_gone(reference)


def test_connections_are_left_out_of_searches_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[str]()
    monkeypatch.setattr(garbage.gc, "collect", lambda generation=2: done.append(f"collect {generation}"))
    monkeypatch.setattr(garbage.gc, "freeze", lambda: done.append("freeze"))
    newcomers = Newcomers()
    for _ in range(garbage.TOGETHER - 1):
        newcomers.came()
    assert not done
    newcomers.came()
    assert done == ["collect 2", "freeze"]


def test_now_and_then_everything_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[str]()
    monkeypatch.setattr(garbage, "THOROUGH", 2)
    monkeypatch.setattr(garbage.gc, "collect", lambda generation=2: done.append(f"collect {generation}"))
    monkeypatch.setattr(garbage.gc, "unfreeze", lambda: done.append("unfreeze"))
    monkeypatch.setattr(garbage.gc, "freeze", lambda: done.append("freeze"))
    newcomers = Newcomers()
    for _ in range(2 * garbage.TOGETHER):
        newcomers.came()
    assert done == ["collect 2", "freeze", "unfreeze", "collect 2", "freeze"]
