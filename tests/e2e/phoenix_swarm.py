"""Many members of one topic on raw sockets. What they are told is compared with what was said byte by byte, as it comes."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from itertools import accumulate
from typing import Any, Self

HANDSHAKE = (
    b"GET /websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """As servers send it."""
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    return bytes((first, 126)) + length.to_bytes(2, "big") + payload


def masked(frame: Any) -> bytes:
    """As clients send it. A mask of zeros leaves it as it is."""
    payload = json.dumps(frame).encode()
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload


class SwarmMember(asyncio.Protocol):
    """Joins, and from then on must be told exactly `expected`."""

    def __init__(self, topic: str, expected: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._topic = topic
        self._expected = memoryview(expected)
        self._position = 0
        self._before = b""
        self._upgraded = False
        self.joined: asyncio.Future[None] = loop.create_future()
        self.gone = asyncio.Event()
        self._cut: AssertionError | None = None
        self._news = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self.joined.done():
            self._join(data)
            return
        end = self._position + len(data)
        if self._expected[self._position : end] != data:
            self._fail(AssertionError(f"something else was told after {self._position} bytes: {data[:200]!r}"))
        self._position = end
        self._news.set()

    async def told(self, position: int) -> None:
        """Wait until it was told so many bytes."""
        while self._position < position:
            if self._cut is not None:
                raise self._cut
            self._news.clear()
            await self._news.wait()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(AssertionError(f"cut after {self._position} bytes: {error}"))
        self.gone.set()

    def _join(self, data: bytes) -> None:
        self._before += data
        if not self._upgraded and b"\r\n\r\n" in self._before:
            self._upgraded = True
            self._before = self._before.partition(b"\r\n\r\n")[2]
            self.transport.write(masked(["1", "1", self._topic, "phx_join", {}]))
        if self._upgraded and self._before:
            assert b'"status":"ok"' in self._before, self._before
            self.joined.set_result(None)

    def _fail(self, error: AssertionError) -> None:
        self._cut = self._cut or error
        self._news.set()
        if not self.joined.done():
            self.joined.set_exception(error)


class Swarm:
    """`join`, then have it said, then wait until everybody was `told`. To be used in an `async with` statement."""

    def __init__(self, topic: str, event: str, payloads: list[bytes]) -> None:
        self._topic = topic
        beginning = json.dumps([None, None, topic, event], separators=(",", ":")).encode()[:-1]
        frames = [frame(b"%b,%b]" % (beginning, payload)) for payload in payloads]
        self._expected = b"".join(frames)
        self._ends = list(accumulate(map(len, frames)))
        self._members: list[SwarmMember] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for member in self._members:
            member.transport.abort()
            await member.gone.wait()

    async def join(self, port: int, count: int) -> None:
        loop = asyncio.get_running_loop()
        while (missing := count - len(self._members)) > 0:
            made = [
                loop.create_connection(partial(SwarmMember, self._topic, self._expected), "127.0.0.1", port)
                for _ in range(min(50, missing))
            ]
            members = [member for _, member in await asyncio.gather(*made)]
            self._members += members
            await asyncio.gather(*(member.joined for member in members))

    async def told(self, count: int) -> None:
        """Everybody was told so many messages, in order and once, and nobody was cut."""
        await asyncio.gather(*(member.told(self._ends[count - 1]) for member in self._members))
