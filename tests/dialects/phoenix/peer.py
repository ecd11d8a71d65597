"""A client of Phoenix Channels over an in-process ASGI connection."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.dialects.asgi_peer import AsgiPeer


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


class PhoenixPeer(AsgiPeer):
    """`send` and `receive` frames; `ask` for the answer to one."""

    def __init__(
        self,
        query: str = "vsn=2.0.0",
        path: str = "/websocket",
        headers: list[tuple[bytes, bytes]] | None = None,
        subprotocols: list[str] | None = None,
    ) -> None:
        super().__init__(path, query, headers, subprotocols)
        self._numbers = 0

    async def send(self, *frame: Any) -> None:
        """Send a frame of version 2: join_ref, ref, topic, event, payload."""
        await self.send_text(json.dumps(frame))

    async def send_hex(self, digits: str) -> None:
        await self.send_bytes(bytes.fromhex(digits))

    async def receive(self) -> Any:
        """The next frame, decoded."""
        return decoded(await self.receive_frame())

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
