"""The two ways to a socket: finished frames straight to the transport, or ordinary ASGI messages.
Both take the same calls, so nothing above knows which it has. Frames are made by the sender's *framing*, which is part of what an
encoded form is cached under.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

ASGISend = Callable[[dict[str, Any]], Awaitable[None]]
FLUSH_SECONDS = 1.0
FIRST_OF_APPLICATIONS = 3000
"""Close codes below are the protocol's. Daphne does not send them (but 1000): it is given 4001 for 1001, and so on."""
RAW_EXTENSION = "geostream.raw_socket"


class RawSocket(Protocol):
    """What `streaming/server/websocket_protocol.py` offers in the scope: the transport itself."""

    writable: bool
    ended: bool
    data_received_at: float
    on_writable: Callable[[], None]

    @property
    def peer_has_left(self) -> bool:
        """Whether the client has closed its side, although what it sent before is not read yet."""

    def write(self, data: bytes) -> None:
        """Write finished WebSocket frames."""

    def ping(self) -> None:
        """Send a WebSocket ping."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame now and give the peer a moment to answer it."""


class AnySender(Protocol):
    """The way to one client, whichever it is."""

    framing: Framing
    on_writable: Callable[[], None]
    written: int
    """Bytes, with their frames where they are made here."""

    @property
    def writable(self) -> bool:
        """Whether it takes more now."""

    @property
    def ended(self) -> bool:
        """Whether the client has left, or `close` was called: what is written from now on reaches nobody."""

    @property
    def data_received_at(self) -> float:
        """When the client last sent anything, on the loop's clock."""

    def write(self, frames: list[Any]) -> None:
        """Hand over finished frames."""

    def ping(self) -> None:
        """Send a WebSocket ping, where there is such a thing."""

    def close(self, code: int, reason: str) -> None:
        """End the connection."""

    def detach(self) -> None:
        """The connection is gone."""


class Framing(Protocol):
    """How payloads become what a sender writes."""

    def pack(self, payloads: list[bytes], text: bool) -> list[Any]:
        """The frames of payloads, in as few pieces as possible."""

    def join(self, frames: list[Any]) -> list[Any]:
        """The same for pieces that were packed before."""


class RawFraming:
    """WebSocket frames (RFC 6455, unmasked), joined."""

    def pack(self, payloads: list[bytes], text: bool) -> list[Any]:
        first = 0x81 if text else 0x82
        parts: list[bytes] = []
        for payload in payloads:
            parts.append(_header(first, len(payload)))
            parts.append(payload)
        return [b"".join(parts)]

    def join(self, frames: list[bytes]) -> list[bytes]:
        return [b"".join(frames)]


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


class AsgiFraming:
    """`websocket.send` messages."""

    def pack(self, payloads: list[bytes], text: bool) -> list[Any]:
        return [payload.decode() for payload in payloads] if text else list(payloads)

    def join(self, frames: list[Any]) -> list[Any]:
        return frames


RAW = RawFraming()
ASGI = AsgiFraming()


def _nothing() -> None:
    pass


class RawSender:
    """Writes to the transport; writable while the transport's buffer is below its high-water mark."""

    __slots__ = ("_socket", "on_writable", "written")

    framing: Framing = RAW

    def __init__(self, socket: RawSocket) -> None:
        self._socket = socket
        self.written = 0
        self.on_writable: Callable[[], None] = _nothing
        socket.on_writable = self._resumed

    @property
    def writable(self) -> bool:
        return self._socket.writable

    @property
    def ended(self) -> bool:
        return self._socket.ended

    @property
    def peer_has_left(self) -> bool:
        """Whether the client has closed its side, although what it sent before is not read yet."""
        return self._socket.peer_has_left

    def write(self, frames: list[bytes]) -> None:
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        self.written += len(data)
        self._socket.write(data)

    def ping(self) -> None:
        """Send a WebSocket ping."""
        self._socket.ping()

    @property
    def data_received_at(self) -> float:
        """When the peer last sent anything, on the loop's clock."""
        return self._socket.data_received_at

    def close(self, code: int, reason: str) -> None:
        """Close without waiting for what the peer has not read."""
        self._socket.close(code, reason)

    def detach(self) -> None:
        """The connection is gone."""
        self.on_writable = self._socket.on_writable = _nothing

    def _resumed(self) -> None:
        self.on_writable()


class AsgiSender:
    """Sends one message after the other in a task of its own; writable while that task has nothing to do.

    How much a server buffers behind `send` is the server's: uvicorn waits for a slow client, daphne buffers without bound.
    """

    framing: Framing = ASGI

    def __init__(self, send: ASGISend) -> None:
        self._send = send
        self.written = 0
        self.writable = True
        self.ended = False
        self.on_writable: Callable[[], None] = _nothing
        self.data_received_at = asyncio.get_running_loop().time()
        self._waiting: list[Any] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._run())
        self._closing: asyncio.Task[None] | None = None

    def write(self, frames: list[Any]) -> None:
        self._waiting += frames
        self.written += sum(map(len, frames))  # of texts it is characters
        self.writable = False
        self._idle.clear()
        self._wake.set()

    def ping(self) -> None:
        """The server pings by itself."""

    def close(self, code: int, reason: str) -> None:
        """Close once what was written before is sent, or after a moment."""
        self.ended = True
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code, reason))

    def detach(self) -> None:
        """The connection is gone."""
        self.on_writable = _nothing
        self._task.cancel()

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._idle.wait()
        try:
            async with asyncio.timeout(5):
                await self._send_close(code, reason)
        except (OSError, RuntimeError, TimeoutError):
            pass  # it is closed already, or the peer does not read: the server ends it

    async def _send_close(self, code: int, reason: str) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError):
            raise
        except Exception:  # autobahn, behind daphne, raises no narrower one where a code is not for applications
            if code >= FIRST_OF_APPLICATIONS:
                raise
            await self._send({"type": "websocket.close", "code": code + FIRST_OF_APPLICATIONS, "reason": reason})

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            for frame in waiting:
                kind = "text" if isinstance(frame, str) else "bytes"
                try:
                    await self._send({"type": "websocket.send", kind: frame})
                except (OSError, RuntimeError):
                    self.ended = True  # the client left; the read side reports it
                    return
            self.writable = True
            self._idle.set()
            self.on_writable()
