"""Sockets that are sent tiles and only count them: all read into one buffer, of which nothing but the frames' heads is looked at.

`Receivers` are so many of them in a process of their own, so that the server has a core to itself as far as there are two. They count in
memory that both processes see, and note when the last tile of each came, on a clock that is the same for all.
"""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import numpy as np
import uvloop
from numpy.typing import NDArray

from .swarm import masked

ROOM = 1 << 20
"""Bytes read at once."""
PING, PONG = 0x89, b"\x8a\x80\0\0\0\0"
GLANCE = 64
"""Bytes of a message that say what it is."""
CONNECT_SECONDS = 60.0


class TileClient(asyncio.BufferedProtocol):
    """One WebSocket that asks once and then counts `tile_data`. `ready` fails if that is refused; what goes wrong later is in `trouble`."""

    _room = bytearray(ROOM)
    _view = memoryview(_room)

    def __init__(self, request: bytes, on_tile: Callable[[int], None]) -> None:
        self._request = request
        self._on_tile = on_tile
        self._carry = b""
        self._skip = 0
        self._due = 0
        self._upgraded = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.trouble = ""

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Hung up."""
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the server hung up"))
        self.trouble = self.trouble or "the server hung up"

    def send(self, frame: bytes) -> None:
        """Send a finished frame."""
        self.transport.write(frame)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Behind what was left over."""
        self._room[: len(self._carry)] = self._carry
        return self._view[len(self._carry) :]

    def buffer_updated(self, nbytes: int) -> None:
        """From head to head."""
        end = len(self._carry) + nbytes
        if not self._upgraded:
            at = self._upgrade(end)
        else:
            at = self._skip
            if at <= end:
                self._ended()
        while at < end and self._upgraded and (head := self._head(at, end)) is not None:
            start, length = head
            if end - start < min(length, GLANCE):
                break
            if self._room[at] == PING:
                self.send(PONG)
            else:
                self._message(start, length, end)
            at = start + length
            if at <= end:
                self._ended()
        self._skip = max(0, at - end)
        self._carry = bytes(self._view[at:end])

    def _ended(self) -> None:
        due, self._due = self._due, 0
        if due:
            self._on_tile(due)

    def _upgrade(self, end: int) -> int:
        head = bytes(self._view[:end])
        stop = head.find(b"\r\n\r\n")
        if stop < 0:
            return 0
        if b" 101 " not in head[:stop]:
            raise ConnectionError(head.decode(errors="replace"))
        self._upgraded = True
        self.send(self._request)
        return stop + 4

    def _head(self, at: int, end: int) -> tuple[int, int] | None:
        """Where the payload of the frame starts, and its length."""
        if end - at < 2:
            return None
        length, start = self._room[at + 1], at + 2
        if length >= 126:
            start += 2 if length == 126 else 8
            if end < start:
                return None
            length = int.from_bytes(self._view[at + 2 : start], "big")
        return start, length

    def _message(self, start: int, length: int, end: int) -> None:
        glance = bytes(self._view[start : min(end, start + min(length, GLANCE))])
        if b"tile_data" in glance:
            self._due = length
        elif b"ack" in glance[:14] and (b'"success":true' in glance or b"success\xc3" in glance):
            if not self.ready.done():
                self.ready.set_result(None)
        else:
            self.trouble = bytes(self._view[start : min(end, start + length)]).decode(errors="replace")
            if not self.ready.done():
                self.ready.set_exception(ConnectionError(self.trouble))


def frame(message: dict[str, Any], packed: bool) -> bytes:
    """A message to the server, as MessagePack or JSON."""
    return masked(msgspec.msgpack.encode(message), 0x82) if packed else masked(msgspec.json.encode(message), 0x81)


async def connect(port: int, request: bytes, on_tile: Callable[[int], None], receive_buffer: int | None = None) -> TileClient:
    """A client that is subscribed. `receive_buffer` bytes wait for it in the kernel, by default as many as that likes."""
    loop = asyncio.get_running_loop()
    tcp = socket.socket()
    if receive_buffer is not None:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    tcp.setblocking(False)
    await loop.sock_connect(tcp, ("127.0.0.1", port))
    _, client = await loop.create_connection(partial(TileClient, request, on_tile), sock=tcp)
    async with asyncio.timeout(CONNECT_SECONDS):
        await client.ready
    return client


class Receivers:
    """Sockets in another process: three numbers each (messages, bytes, time of the last one)."""

    def __init__(self, counters: Any) -> None:
        self._counters: NDArray[np.float64] = np.frombuffer(counters, np.float64).reshape(-1, 3)

    @property
    def messages(self) -> int:
        """Tiles received by all."""
        return int(self._counters[:, 0].sum())

    @property
    def bytes(self) -> int:
        """Bytes of WebSocket payload received by all, of tiles."""
        return int(self._counters[:, 1].sum())

    @property
    def latest(self) -> NDArray[np.float64]:
        """When each was sent its last tile."""
        return self._counters[:, 2].copy()

    def wait(self, messages: int, seconds: float = 30.0) -> None:
        """Until all together have been sent so many tiles."""
        patience = time.perf_counter() + seconds
        while self.messages < messages:
            if time.perf_counter() > patience:
                raise SystemExit(f"{self.messages:,} of {messages:,} tiles arrived")
            time.sleep(0.001)


@contextmanager
def receivers(port: int, requests: Sequence[bytes]) -> Iterator[Receivers]:
    """One socket for each request, all of them subscribed."""
    spawning = multiprocessing.get_context("spawn")
    counters, ready = spawning.RawArray("d", 3 * len(requests)), spawning.Event()
    process = spawning.Process(target=_receive, args=(port, list(requests), counters, ready), daemon=True)
    process.start()
    try:
        while not ready.wait(0.2):
            if not process.is_alive():
                raise SystemExit("the receivers could not subscribe")
        yield Receivers(counters)
        if not process.is_alive():
            raise SystemExit("the receivers stopped")
    finally:
        process.terminate()
        process.join()


def _receive(port: int, requests: list[bytes], counters: Any, ready: Any) -> None:
    uvloop.run(_receive_all(port, requests, counters, ready))


async def _receive_all(port: int, requests: list[bytes], counters: Any, ready: Any) -> None:
    def note(number: int, length: int) -> None:
        at = 3 * number
        counters[at] += 1
        counters[at + 1] += length
        counters[at + 2] = time.perf_counter()

    clients = [await connect(port, request, partial(note, number)) for number, request in enumerate(requests)]
    ready.set()
    while not (troubles := [client.trouble for client in clients if client.trouble]):
        await asyncio.sleep(0.5)
    raise SystemExit(f"{len(troubles)} sockets: {troubles[0]}")
