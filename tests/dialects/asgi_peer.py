"""A client over an in-process ASGI connection, whatever it speaks. It may stop reading, as clients do whose network is slow."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Self

from channels.routing import URLRouter

from streaming.engine.lifespan import running
from streaming.routing import websocket_urlpatterns

TIMEOUT = 5.0


class AsgiPeer:
    """Opens with `connect`; what is sent and received is text or bytes."""

    def __init__(
        self, path: str, query: str = "", headers: list[tuple[bytes, bytes]] | None = None, subprotocols: list[str] | None = None
    ) -> None:
        self._scope = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": headers or [],
            "subprotocols": subprotocols or [],
            "client": ("127.0.0.1", 1),
            "extensions": {"websocket.http.response": {}},
        }
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reads = asyncio.Event()
        self._reads.set()
        self._broken = False
        self._task: asyncio.Task[None] | None = None
        self.name = ""
        """What the server calls this connection."""

    # -- opening -----------------------------------------------------------

    async def connect(self) -> Self:
        """Open; the answer is in `accepted`."""
        self.accepted = await self._open()
        assert self.accepted["type"] == "websocket.accept", self.accepted
        engine = running()
        assert engine is not None
        self.connection = list(engine.connections.open.values())[-1]
        self.name = self.connection.name
        return self

    async def open_anyhow(self) -> None:
        """Open where no client of the engine is made."""
        assert (await self._open())["type"] == "websocket.accept"

    async def denied(self) -> int:
        """The HTTP status with which opening is refused."""
        answer = await self._open()
        assert answer["type"] == "websocket.http.response.start", answer
        return int(answer["status"])

    async def _open(self) -> dict[str, Any]:
        application = URLRouter(websocket_urlpatterns)
        self._task = asyncio.create_task(application(self._scope, self._sent.get, self._hear))
        self._sent.put_nowait({"type": "websocket.connect"})
        return await self._next()

    # -- frames ------------------------------------------------------------

    async def send_text(self, text: str) -> None:
        self._sent.put_nowait({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        self._sent.put_nowait({"type": "websocket.receive", "bytes": data})

    async def receive_frame(self) -> str | bytes:
        """The next frame."""
        message = await self._next()
        assert message["type"] == "websocket.send", message
        frame: str | bytes = message["text"] if message.get("text") is not None else message["bytes"]
        return frame

    # -- reading slowly, and the end ---------------------------------------

    def stop_reading(self) -> None:
        self._reads.clear()

    def read_again(self) -> None:
        self._reads.set()

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close that comes; frames before it are skipped."""
        while (message := await self._next())["type"] != "websocket.close":
            pass
        return message["code"], message.get("reason", "")

    def break_off(self) -> None:
        """The client is gone, with or without having read: the server can send it nothing more."""
        self._broken = True
        self._reads.set()
        self._sent.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def released(self) -> None:
        """Wait until the server is done with a client that has gone."""
        assert self._task is not None
        await asyncio.wait_for(asyncio.shield(self._task), TIMEOUT)

    async def close(self) -> None:
        """The client goes; the server is done with it when this returns."""
        task, self._task = self._task, None
        if task is not None:
            self._sent.put_nowait({"type": "websocket.disconnect", "code": 1000})
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, TIMEOUT)

    async def _hear(self, message: dict[str, Any]) -> None:
        await self._reads.wait()
        if self._broken:
            raise OSError("the client has gone")
        self._received.put_nowait(message)
        if message["type"] == "websocket.close":
            self._sent.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

    async def _next(self) -> dict[str, Any]:
        assert self._task is not None
        getting = asyncio.create_task(self._received.get())
        await asyncio.wait({getting, self._task}, timeout=TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done() and self._received.empty():
            getting.cancel()
            if self._task.done():
                self._task.result()
            raise AssertionError("the server said nothing")
        return await getting
