"""What publishers and subscribers of other servers send, on raw sockets, so that all of them cost this process the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from .swarm import masked, upgrade

MARK = b"a-mark-of-the-benchmark"
TEXT, BINARY = 0x81, 0x82
PATIENCE_SECONDS = 60.0
QUIET_SECONDS = 3.0


class Client(NamedTuple):
    """How a WebSocket comes to hear what is published."""

    path: str
    hello: tuple[bytes, ...]
    ready: bytes
    """In what the server sends once it has subscribed. Empty: when the socket is open."""
    subprotocol: str = ""
    first: int = TEXT


class Publish(Protocol):
    """A connection that publishes."""

    async def publish(self, message: str) -> None:
        """Returns once it is acknowledged."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class Posting:
    """Keep-alive POSTs."""

    def __init__(self, path: str, body: Callable[[str], bytes], headers: str = "") -> None:
        self._body = body
        self._head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}Content-Length: ".encode()

    async def open(self, port: int) -> Posting:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def publish(self, message: str) -> None:
        """`ConnectionError` unless the answer is 2xx."""
        body = self._body(message)
        self._writer.write(self._head + b"%d\r\n\r\n" % len(body) + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if b" 20" not in head[:14]:
            raise ConnectionError(head.decode())
        if b"transfer-encoding: chunked" in head:
            while await self._reader.readuntil(b"\r\n") != b"0\r\n":
                await self._reader.readuntil(b"\r\n")
            await self._reader.readuntil(b"\r\n")
        else:
            await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0))

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


class Mqtt:
    """MQTT 3.1.1, published with QoS 1, which is acknowledged, and received with QoS 0."""

    TOPIC = b"bench"
    CONNECT = bytes.fromhex("100c00044d51545404020000") + b"\x00\x00"
    SUBSCRIBE = b"\x82" + bytes((2 + 2 + len(TOPIC) + 1,)) + b"\x00\x01" + len(TOPIC).to_bytes(2, "big") + TOPIC + b"\x00"
    SUBACK = b"\x90\x03\x00\x01"

    async def open(self, port: int) -> Mqtt:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._writer.write(self.CONNECT)
        await self._reader.readexactly(4)
        return self

    async def publish(self, message: str) -> None:
        """Returns with PUBACK."""
        body = len(self.TOPIC).to_bytes(2, "big") + self.TOPIC + b"\x00\x01" + message.encode()
        self._writer.write(b"\x32" + bytes((len(body) % 128 | 128, len(body) // 128)) + body)
        await self._reader.readexactly(4)

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


class Socket(asyncio.Protocol):
    """Subscribes, then counts."""

    def __init__(self, client: Client, on_data: Callable[[bytes], None] | None, on_count: Callable[[int], None]) -> None:
        self._client = client
        self._on_data = on_data
        self._on_count = on_count
        self._tail = b""
        self._upgraded = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        protocol = f"Sec-WebSocket-Protocol: {self._client.subprotocol}\r\n" if self._client.subprotocol else ""
        transport.write(upgrade(self._client.path, protocol))

    def data_received(self, data: bytes) -> None:
        """Say hello, then count."""
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end or b" 101 " not in head:
                raise ConnectionError(head.decode(errors="replace"))
            self._upgraded = True
            for each in self._client.hello:
                self.transport.write(masked(each, self._client.first))
        if not self.ready.done() and self._client.ready in data:
            self.ready.set_result(None)
        joined = self._tail + data
        found = joined.count(MARK)
        self._tail = joined[-len(MARK) + 1 :]
        if found:
            self._on_count(found)
        if self._on_data is not None:
            self._on_data(data)


class Sockets:
    """Many of them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sockets: list[Socket] = []
        self.count = 0
        self.last = 0.0
        """When something arrived last."""

    async def connect(self, port: int, count: int, on_data: Callable[[bytes], None], watched: int) -> None:
        """Connect and subscribe, some at a time; `on_data` is given what the first `watched` receive."""
        loop = asyncio.get_running_loop()
        for start in range(0, count, 100):
            made = [
                loop.create_connection(
                    partial(Socket, self._client, on_data if number < watched else None, self._counted), "127.0.0.1", port
                )
                for number in range(start, min(count, start + 100))
            ]
            sockets = [protocol for _, protocol in await asyncio.gather(*made)]
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.gather(*(socket.ready for socket in sockets))
            self._sockets += sockets
        self.count = 0  # what one of them was told of the time before

    def _counted(self, found: int) -> None:
        self.count += found
        self.last = time.perf_counter()

    async def settle(self, expected: int) -> None:
        """Until so many are there, or nothing has come for three seconds."""
        self.last = max(self.last, time.perf_counter())
        while self.count < expected and time.perf_counter() - self.last < QUIET_SECONDS:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Hang up."""
        for socket in self._sockets:
            socket.transport.abort()
        await asyncio.sleep(0.2)
