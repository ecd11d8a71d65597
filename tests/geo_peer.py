"""A peer of the geo protocol over an in-process ASGI connection: speaks JSON unless told otherwise.

All that it is sent as JSON is in the AsyncAPI document.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from channels.testing import WebsocketCommunicator

from streaming.dialects.geo.consumer import GeoConnection
from tests.asyncapi.documented import check_documented

TIMEOUT = 5.0


class GeoPeer:
    """`await peer.ask(...)` sends a request and returns its ack; `await peer.next()` the next message that is not one."""

    def __init__(self, path: str = "/ws", headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self._socket = WebsocketCommunicator(GeoConnection.as_asgi(), path, headers=headers)
        self._connected = False
        self._early: list[dict[str, Any]] = []
        self._sent = 0

    async def connect(self) -> GeoPeer:
        self._connected = True
        accepted, _ = await self._socket.connect(timeout=TIMEOUT)
        assert accepted
        return self

    async def send(self, data: dict[str, Any] | str | bytes) -> None:
        if not self._connected:
            await self.connect()
        if isinstance(data, bytes):
            await self._socket.send_to(bytes_data=data)
        else:
            await self._socket.send_to(text_data=data if isinstance(data, str) else json.dumps(data))

    async def receive(self) -> Any:
        """The next frame: a decoded JSON message, or bytes."""
        frame = await self._socket.receive_from(timeout=TIMEOUT)
        if not isinstance(frame, str):
            return frame
        message = json.loads(frame)
        check_documented("geo", "server", message)
        return message

    async def ask(self, **message: Any) -> dict[str, Any]:
        """Send a request; its ack (messages before it are kept for `next`)."""
        await self.send(message)
        while True:
            answer = await self.receive()
            if answer["type"] in {"ack", "error", "handshake_ack", "pong", "subscriptions"}:
                return answer
            self._early.append(answer)

    async def subscribe(self, layer: str | None = "l", id: str = "s", **filters: Any) -> dict[str, Any]:
        return await self.ask(type="subscribe_features", subscription_id=id, layer=layer, **filters)

    async def next(self) -> dict[str, Any]:
        return self._early.pop(0) if self._early else await self.receive()

    async def next_change(self) -> tuple[str, Any]:
        """The next change as (change type, feature id)."""
        message = await self.next()
        assert message["type"] == "feature_data", message
        return message["change_type"], message["id"]

    async def until(self, kind: str, feature_id: str | int) -> None:
        """Read changes up to this one."""
        while await self.next_change() != (kind, feature_id):
            pass

    async def nothing(self) -> bool:
        """Whether nothing has been sent: a ping's pong comes next."""
        self._sent += 1
        return (await self.ask(type="ping", id=self._sent)) == {"type": "pong", "id": self._sent} and not self._early

    async def rest(self) -> list[dict[str, Any]]:
        """What has been sent until now."""
        self._sent += 1
        assert await self.ask(type="ping", id=self._sent) == {"type": "pong", "id": self._sent}
        early, self._early = self._early, []
        return early

    async def closed(self) -> tuple[int, str]:
        """The code and reason of the close that comes next (messages before it are skipped)."""
        if not self._connected:
            await self.connect()
        while True:
            message = await self._socket.receive_output(timeout=TIMEOUT)
            if message["type"] == "websocket.close":
                return message["code"], message.get("reason", "")

    async def close(self) -> None:
        if self._connected:
            self._connected = False
            with contextlib.suppress(asyncio.CancelledError):
                await self._socket.disconnect(timeout=TIMEOUT)


def point(id: str | int, lon: float, lat: float, **properties: Any) -> dict[str, Any]:
    """A GeoJSON point feature."""
    return {"type": "Feature", "id": id, "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": properties}
