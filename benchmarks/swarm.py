"""Many subscribers in one process: raw sockets that only count, so that the client costs little beside the server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any

MARK = b'"type":"feature_data"'
ACK = b'"type":"ack"'


class Subscriber(asyncio.Protocol):
    """One WebSocket that subscribes and then counts the changes it is sent."""

    def __init__(self, request: dict[str, Any], on_data: Callable[[bytes], None] | None) -> None:
        self._request = request
        self._on_data = on_data
        self._tail = b""
        self._upgraded = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.count = 0

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        transport.write(upgrade("/ws"))

    def data_received(self, data: bytes) -> None:
        """Subscribe, then count."""
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end or b" 101 " not in head:
                raise ConnectionError(head.decode(errors="replace"))
            self._upgraded = True
            self.transport.write(masked(json.dumps(self._request).encode()))
        if not self.ready.done() and ACK in data:
            self.ready.set_result(None)
        joined = self._tail + data
        self.count += joined.count(MARK)
        self._tail = joined[-len(MARK) + 1 :]
        if self._on_data is not None:
            self._on_data(data)


def upgrade(path: str, headers: str = "") -> bytes:
    """The request for a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    ).encode()


def masked(payload: bytes, first: int = 0x81) -> bytes:
    """A frame to the server; by default of text."""
    length = len(payload)
    head = bytes((first, 0x80 | length)) if length < 126 else bytes((first, 0x80 | 126)) + length.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload  # a mask of zeros leaves the payload as it is


class Swarm:
    """N subscribers."""

    def __init__(self) -> None:
        self.subscribers: list[Subscriber] = []

    @property
    def count(self) -> int:
        """Changes received by all of them."""
        return sum(subscriber.count for subscriber in self.subscribers)

    async def connect(
        self, port: int, requests: list[dict[str, Any]], on_data: Callable[[bytes], None] | None = None, watched: int = 0
    ) -> None:
        """Connect and subscribe, some at a time; `on_data` is given what the first `watched` of them receive."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(requests), 100):
            made = [
                loop.create_connection(partial(Subscriber, request, on_data if number < watched else None), "127.0.0.1", port)
                for number, request in enumerate(requests[start : start + 100], start)
            ]
            subscribers = [protocol for _, protocol in await asyncio.gather(*made)]
            async with asyncio.timeout(60):
                await asyncio.gather(*(subscriber.ready for subscriber in subscribers))
            self.subscribers += subscribers

    async def close(self) -> None:
        """Hang up."""
        for subscriber in self.subscribers:
            subscriber.transport.abort()
        self.subscribers.clear()
        await asyncio.sleep(0.2)


def everything(layer: str) -> dict[str, Any]:
    """A subscription without a filter."""
    return {"type": "subscribe_features", "subscription_id": "s", "layer": layer, "snapshot": False}
