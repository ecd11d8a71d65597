"""A server of this process: uvicorn as `manage.py serve` runs it, on the test's own event loop and engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from geostream.asgi import application
from streaming.server.http_protocol import HttpProtocol
from streaming.server.uvicorn_server import Server
from streaming.server.websocket_protocol import WebSocketProtocol


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to pytest."""
        yield


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """The address of the server. The engine has been started."""
    config = uvicorn.Config(
        application,
        port=0,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
