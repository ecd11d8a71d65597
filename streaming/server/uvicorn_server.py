"""uvicorn as GeoStream runs it: bounded request heads, and a WebSocket protocol with a way to write finished frames to the transport.
The protocol below offers itself in the scope as `geostream.raw_socket`. Frames written through it bypass uvicorn's framing (no
extensions are negotiated, so a frame is a frame); everything else, handshake, reading, close handshake and shutdown with 1012,
stays uvicorn's.
"""

from __future__ import annotations

import asyncio
import logging
import os
from asyncio import TimerHandle
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors import multiprocess
from websockets.frames import Frame

from streaming.engine.senders import RAW_EXTENSION

LOGGER = logging.getLogger("geostream.websockets")
"""For what uvicorn says of a WebSocket. At INFO that is the whole URL of each and at DEBUG every frame, with what is secret in them."""
LOGGER.setLevel(logging.WARNING)
HIGH_WATER = 256 * 1024
ABORT_SECONDS = 5.0
HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
TICK_SECONDS = 1.0
"""How often the header `Date` is made anew."""
PIECE = 4096
"""Bytes that are parsed at a time: seven hundred frames, if they are empty."""
TURN_SECONDS = 0.005
"""Time that one client's frames may take before others have a turn."""


def _nothing() -> None:
    pass


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with bounds on the size of a request's head and on the time that it may take to arrive.

    uvicorn has neither: it joins the parts of an endless header, which takes ever longer, and waits for ever for a silent client.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_done()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_done()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_done(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class RawSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol and, to the application, a `RawSocket`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = LOGGER
        self.conn.debug = False
        self.on_writable: Callable[[], None] = _nothing
        self.last_received_at = self.loop.time()
        self.raw = RawSocket(self)
        self._unread = bytearray()
        self._taken = 0.0
        self._rest: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        self.last_received_at = self.loop.time()
        self._unread += data
        self.read_on()

    def read_on(self) -> None:
        """Parse what arrived until there is a message. Frames without one (pings, empty fragments) may come by the ten thousand."""
        while self._unread and not self.read_paused and self._rest is None and not self.transport.is_closing():
            began = perf_counter()
            piece = bytes(self._unread[:PIECE])
            del self._unread[:PIECE]
            super().data_received(piece)
            self._taken += perf_counter() - began
            if self._taken > TURN_SECONDS:
                self._pause()
        if not self.read_paused and self._rest is None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _pause(self) -> None:
        """Whoever took long rests as long."""
        self._rest = self.loop.call_later(self._taken, self._rested)
        self._taken = 0.0
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _rested(self) -> None:
        self._rest = None
        self.read_on()

    async def receive(self) -> Any:
        """The next message; once there is none, more is read."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.read_on()
        return message

    async def send(self, message: Any) -> None:
        """As upstream, which takes a refusal with an HTTP status for an application that forgot to answer."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    def handle_cont(self, event: Frame) -> None:
        """Keep a fragment; empty ones have no end and would be kept without one."""
        if event.data or event.fin:
            super().handle_cont(event)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][RAW_EXTENSION] = self.raw  # type: ignore[assignment]

    def handle_ping(self) -> None:
        """Answer, unless the client does not read: answers would pile up without bound."""
        if self.raw.writable:
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_close(self, event: Frame) -> None:
        self.raw.ended = True
        super().handle_close(event)
        self._abort_soon()

    def handle_parser_exception(self) -> None:
        self.raw.ended = True
        super().handle_parser_exception()
        self._abort_soon()

    def _abort_soon(self) -> None:
        """Give up what a client that has said goodbye does not take: the transport would keep it, and its socket, for ever."""
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(ABORT_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self.raw.ended = True
        if self._rest is not None:
            self._rest.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close with 1012. What waits is not handled any more: at a flooding client's pace it would take longer than there is time."""
        self.raw.ended = True
        while self.handshake_complete and not self.queue.empty():
            self.queue.get_nowait()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.raw.writable = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.raw.writable = True
        self.raw.on_writable()


def _descriptor(transport: Any) -> int:
    """The socket that a transport writes to; -1 if there is something between, like TLS."""
    plain = transport.get_extra_info("sslcontext") is None
    return int(transport.get_extra_info("socket").fileno()) if plain else -1


class RawSocket:
    """The transport of one WebSocket, as `streaming.engine.senders.RawSender` uses it."""

    __slots__ = ("_descriptor", "_protocol", "ended", "on_writable", "writable")

    def __init__(self, protocol: RawSocketProtocol) -> None:
        self._protocol = protocol
        self._descriptor: int | None = None
        self.writable = True
        self.ended = False
        self.on_writable: Callable[[], None] = _nothing

    @property
    def last_received_at(self) -> float:
        """When the peer last sent anything, on the loop's clock."""
        return self._protocol.last_received_at

    def write(self, data: bytes) -> None:
        """Write finished WebSocket frames; nothing happens once the connection is ending.

        They go to the socket itself while nothing waits in the transport, which would only get to it at the end of the loop's turn and
        takes a third longer.
        """
        if self.ended:
            return
        transport = self._protocol.transport
        if self._descriptor is None:
            self._descriptor = _descriptor(transport)
        if self._descriptor < 0 or transport.is_closing() or transport.get_write_buffer_size():
            transport.write(data)
            return
        try:
            sent = os.write(self._descriptor, data)
        except OSError:  # it is full, or broken: the transport knows what to do
            sent = 0
        if sent < len(data):
            transport.write(memoryview(data)[sent:])

    def ping(self) -> None:
        """Send a WebSocket ping."""
        self.write(b"\x89\x00")

    def close(self, code: int, reason: str) -> None:
        """Send a close frame behind what is buffered; a peer that does not take it is cut after a few seconds."""
        protocol = self._protocol
        if self.ended or protocol.transport.is_closing():
            return
        self.ended = True
        protocol.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        protocol.conn.send_close(code, reason)
        protocol.transport.write(b"".join(protocol.conn.data_to_send()))
        protocol.close_sent = True
        protocol.read_paused = False
        protocol.read_on()
        protocol.close_timer = protocol.loop.call_later(ABORT_SECONDS, protocol.transport.abort)


def config(*, host: str, port: int, workers: int, max_message_bytes: int, **options: Any) -> uvicorn.Config:
    """uvicorn's configuration: raw frames, no per-message deflate, no pings of its own (connections ping for themselves)."""
    return uvicorn.Config(
        "streaming.server.application:load_application",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        http=HttpProtocol,
        ws=RawSocketProtocol,
        ws_max_size=max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="on",
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
        access_log=False,
        log_config=None,
        server_header=False,
        **options,
    )


class Server(uvicorn.Server):
    """uvicorn's server, which is told that it is to end. uvicorn's own looks ten times a second whether it is."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        """Whether it is to end; set by signals and from other threads."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ending.set)

    async def main_loop(self) -> None:
        """Tick once a second, for the header `Date`, until it is to end."""
        self._loop = asyncio.get_running_loop()
        tenths = 0  # in which uvicorn counts
        while not await self.on_tick(tenths):
            tenths = (tenths + 10) % 864_000
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._ending.wait()


class Worker(multiprocess.Process):
    """One of several server processes."""

    @property
    def server(self) -> uvicorn.Server:
        """What the process runs."""
        if self._server is None:
            self._server = Server(self.config)
        return self._server


def run(config: uvicorn.Config) -> None:
    """Serve until SIGINT or SIGTERM; with several workers, supervise them."""
    if config.workers > 1:
        multiprocess.Process = Worker  # type: ignore[misc]  # uvicorn has no option for it
        multiprocess.Multiprocess(config, sockets=[config.bind_socket()]).run()
    else:
        Server(config).run()
