"""A server in this process that answers everything, and connections to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from streaming.server.http_protocol import HttpProtocol
from streaming.server.websocket_protocol import WebSocketProtocol

from .requests import Open


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
def protocols() -> list[HttpProtocol]:
    """The protocols of the connections that were opened."""
    return []


@pytest.fixture
async def opened(protocols: list[HttpProtocol]) -> AsyncIterator[Open]:
    """Opens connections to a listening server. At the end no connection is left on either side."""
    config = uvicorn.Config(application, ws=WebSocketProtocol, ws_per_message_deflate=False, ws_ping_interval=None, log_config=None)
    config.load()
    state = ServerState()

    def accept() -> HttpProtocol:
        protocols.append(HttpProtocol(config=config, server_state=state, app_state={}))
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
    for connection in state.connections:
        connection.transport.abort()
    async with asyncio.timeout(5):
        while state.connections:
            await asyncio.sleep(0.01)
    for task in state.tasks:
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
