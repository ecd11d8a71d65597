"""A client of Phoenix Channels over an in-process ASGI connection. It may stop reading, as clients do whose network is slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, NamedTuple

from channels.routing import URLRouter

from streaming.routing import websocket_urlpatterns
from streaming.runtime import running

TIMEOUT = 5.0


class Binary(NamedTuple):
    """A binary frame of the server: 0 push, 1 reply (its event is the status), 2 broadcast."""

    kind: int
    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: bytes


def decoded(data: str | bytes) -> Any:
    """What a frame of the server says: an array (or an object, in version 1), or a `Binary`."""
    if isinstance(data, str):
        return json.loads(data)
    kind = data[0]
    count = {0: 3, 1: 4, 2: 2}[kind]
    fields, start = [], 1 + count
    for length in data[1 : 1 + count]:
        fields.append(data[start : start + length].decode())
        start += length
    references = [*fields[:-2], None, None][:2] if kind == 1 else [fields[0] if kind == 0 else None, None]
    return Binary(kind, *(reference or None for reference in references), *fields[-2:], data[start:])  # type: ignore[arg-type]


def event_of(frame: Any) -> Any:
    """The event of a frame; of a binary reply its status."""
    if isinstance(frame, Binary):
        return frame.event
    return frame["event"] if isinstance(frame, dict) else frame[3]


def encoded(join_ref: str, ref: str, topic: str, event: str, payload: bytes) -> bytes:
    """A binary push."""
    fields = [field.encode() for field in (join_ref, ref, topic, event)]
    return bytes([0, *map(len, fields)]) + b"".join(fields) + payload


class PhoenixPeer:
    """`send` and `receive` frames; `ask` for the answer to one."""

    def __init__(
        self,
        query: str = "vsn=2.0.0",
        path: str = "/websocket",
        headers: list[tuple[bytes, bytes]] | None = None,
        subprotocols: list[str] | None = None,
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
        self._task: asyncio.Task[None] | None = None
        self._numbers = 0
        self.name = ""
        """What the server calls this connection."""

    # -- opening -----------------------------------------------------------

    async def connect(self) -> PhoenixPeer:
        """Open; the answer is in `accepted`."""
        self.accepted = await self._open()
        assert self.accepted["type"] == "websocket.accept", self.accepted
        engine = running()
        assert engine is not None
        self.connection = list(engine.connections.values())[-1]
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

    async def send(self, *frame: Any) -> None:
        """Send a frame of version 2: join_ref, ref, topic, event, payload."""
        await self.send_text(json.dumps(frame))

    async def send_text(self, text: str) -> None:
        self._sent.put_nowait({"type": "websocket.receive", "text": text})

    async def send_hex(self, digits: str) -> None:
        await self.send_bytes(bytes.fromhex(digits))

    async def send_bytes(self, data: bytes) -> None:
        self._sent.put_nowait({"type": "websocket.receive", "bytes": data})

    async def receive(self) -> Any:
        """The next frame, decoded."""
        message = await self._next()
        assert message["type"] == "websocket.send", message
        return decoded(message["text"] if message.get("text") is not None else message["bytes"])

    async def receive_event(self, event: str) -> Any:
        """The next frame of an event; others before it are skipped."""
        while event_of(frame := await self.receive()) != event:
            pass
        return frame

    async def ask(self, *frame: Any) -> Any:
        """Send a frame; status and response of the next reply."""
        await self.send(*frame)
        reply = await self.receive_event("phx_reply")
        assert reply[1:3] == [frame[1], frame[2]], reply
        return reply[4]["status"], reply[4]["response"]

    async def join(self, topic: str, ref: str = "1", **params: Any) -> Any:
        """Join; the response."""
        status, response = await self.ask(ref, ref, topic, "phx_join", params)
        assert status == "ok", response
        return response

    async def rest(self) -> list[Any]:
        """What has been sent until now."""
        self._numbers += 1
        ref = f"rest-{self._numbers}"
        await self.send(None, ref, "phoenix", "heartbeat", {})
        frames = []
        while (frame := await self.receive()) != [None, ref, "phoenix", "phx_reply", {"status": "ok", "response": {}}]:
            frames.append(frame)
        return frames

    async def receive_nothing(self) -> None:
        """Nothing has been sent."""
        assert await self.rest() == []

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

    async def close(self) -> None:
        """The client goes; the server is done with it when this returns."""
        task, self._task = self._task, None
        if task is not None:
            self._sent.put_nowait({"type": "websocket.disconnect", "code": 1000})
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, TIMEOUT)

    async def _hear(self, message: dict[str, Any]) -> None:
        await self._reads.wait()
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
