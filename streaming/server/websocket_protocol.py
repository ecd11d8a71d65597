"""WebSockets as uvicorn speaks them, with a way to write finished frames to the transport.

Frames that are written in this way bypass uvicorn's framing. No extensions are negotiated, so a frame is always the
same bytes. Everything else stays uvicorn's: handshake, reading, closing, and shutdown with 1012.
"""

from __future__ import annotations

import logging
import os
import socket
from asyncio import Task, TimerHandle
from collections.abc import Callable
from time import perf_counter
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from streaming.core.burst import burst, write_some
from streaming.engine.senders import RAW_EXTENSION

from .garbage import newcomers
from .mailbox import Gate, Mailbox

LOGGER = logging.getLogger("geostream.websockets")
"""The logger of uvicorn's messages about WebSockets.

They would contain secrets: at INFO the whole URL of each WebSocket, at DEBUG every frame.
"""
LOGGER.setLevel(logging.WARNING)
LOGGER.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError)))
"""Text that is no UTF-8 is the client's fault, and closes its connection: with a traceback for each, anybody could fill the log."""
HIGH_WATER = 256 * 1024
ABORT_SECONDS = 5.0
PARSE_BYTES = 4096
"""Bytes that are parsed at a time: seven hundred frames, if they are empty."""
TURN_SECONDS = 0.005
"""Time that one client's frames may take before others have a turn."""


def _nothing() -> None:
    pass


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol. In the scope, the application finds its `WebSocketTransport`.

    The attributes, uvicorn's too, are slots: in a dictionary of more than thirty of them, each connection has 1.2 kB more.
    """

    __slots__ = (
        *("config", "app", "loop", "logger", "root_path", "asgi_version", "app_state", "connections", "tasks", "default_headers"),
        *("transport", "server", "client", "scheme", "queue", "handshake_initiated", "handshake_complete", "close_sent", "disconnected"),
        *("close_timer", "close_timeout", "initial_response", "conn", "read_paused", "writable", "ping_interval", "ping_timeout"),
        *("ping_timer", "pong_timer", "pending_ping_payload", "ping_sent_at", "last_ping_rtt", "frames", "curr_msg_data_type"),
        *("request", "response", "scope", "data_received_at", "raw"),
        *("_unparsed", "_is_served", "_is_shut", "_parse_seconds", "_pause_timer"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = LOGGER
        self.conn.debug = False
        self.queue = Mailbox()  # type: ignore[assignment]  # has all that is used of a queue
        self.writable = Gate()  # type: ignore[assignment]  # and of an event
        self.data_received_at = self.loop.time()
        self.raw = WebSocketTransport(self)
        self._unparsed = bytearray()
        self._is_shut = self._is_served = False
        self._parse_seconds = 0.0
        self._pause_timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        self.data_received_at = self.loop.time()
        self._unparsed += data
        self.parse_pending()

    def parse_pending(self) -> None:
        """Parse received data until there is a message: a client may send ten thousand frames without one, like pings."""
        while self._unparsed and not self.read_paused and self._pause_timer is None and not self.transport.is_closing():
            began = perf_counter()
            piece = bytes(self._unparsed[:PARSE_BYTES])
            del self._unparsed[:PARSE_BYTES]
            super().data_received(piece)
            self._parse_seconds += perf_counter() - began
            if self._parse_seconds > TURN_SECONDS:
                self._pause()
        if not self.read_paused and self._pause_timer is None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _pause(self) -> None:
        """Pause reading for as long as parsing took, so that other clients have a turn."""
        self._pause_timer = self.loop.call_later(self._parse_seconds, self._end_pause)
        self._parse_seconds = 0.0
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _end_pause(self) -> None:
        self._pause_timer = None
        self.parse_pending()

    async def receive(self) -> Any:
        """The next message. When there is none left, parse and read more."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.parse_pending()
        return message

    async def send(self, message: Any) -> None:
        """Send, and mark a refusal with an HTTP status as an answer; uvicorn would log that the application sent none.

        Once the handshake is done, its request is needed no more: the application has its own copy of the headers.
        """
        await super().send(message)
        if message["type"] == "websocket.accept" and self.handshake_complete:
            self.request.headers.clear()  # the parser keeps it
            del self.request, self.response
            newcomers.came()
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    def handle_cont(self, event: Frame) -> None:
        """Keep a fragment, unless it is empty: of those, any number would fit into the limit of a message's size."""
        if event.data or event.fin:
            super().handle_cont(event)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][RAW_EXTENSION] = self.raw  # type: ignore[assignment]

    def handle_ping(self) -> None:
        """Answer a ping, unless the client does not read: the answers would use memory without limit."""
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
        """Disconnect a closing client that does not read; otherwise its socket and unsent data would stay for ever."""
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(ABORT_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self.raw.ended = True
        if self._pause_timer is not None:
            self._pause_timer.cancel()
        super().connection_lost(exc)
        self._let_go()

    def on_task_complete(self, task: Task[None]) -> None:
        super().on_task_complete(task)
        self._is_served = True
        self._let_go()

    def _let_go(self) -> None:
        """Once the connection is lost and the application has ended, take apart what refers to itself.

        So it is gone at once. When thousands leave, a search for garbage that finds all of them would keep the loop for long.
        """
        if self._is_served and self.disconnected:
            self.conn.parser.close()
            self.scope["extensions"].clear()
            self.raw.detach()

    def shutdown(self) -> None:
        """Close with 1012, once.

        Waiting messages are dropped, because to handle those of a flooding client would take too long.
        """
        if self._is_shut:
            return
        self._is_shut = self.raw.ended = True
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


_CLOSED_BY_PEER = (7, 8)
"""TCP_CLOSE and TCP_CLOSE_WAIT of Linux's tcp_states.h."""


def _file_descriptor(transport: Any) -> int:
    """The file descriptor of a transport's socket; -1 if the transport encrypts what it writes."""
    plain = transport.get_extra_info("sslcontext") is None
    return int(transport.get_extra_info("socket").fileno()) if plain else -1


class WebSocketTransport:
    """The `RawSocket` of one WebSocket, which `streaming.engine.senders.RawSender` writes to."""

    __slots__ = ("_descriptor", "_protocol", "ended", "on_writable", "writable")

    def __init__(self, protocol: WebSocketProtocol) -> None:
        self._protocol = protocol
        self._descriptor: int | None = None
        self.writable = True
        self.ended = False
        self.on_writable: Callable[[], None] = _nothing

    def detach(self) -> None:
        """The connection is gone, and so is its application."""
        del self._protocol
        self.on_writable = _nothing

    @property
    def data_received_at(self) -> float:
        """When the client last sent anything, on the loop's clock."""
        return self._protocol.data_received_at

    @property
    def peer_has_left(self) -> bool:
        """Whether the client has closed its side, although what it sent before is not read yet. Known on Linux only."""
        descriptor = self._protocol.transport.get_extra_info("socket").fileno()
        if descriptor < 0 or not hasattr(socket, "TCP_INFO"):
            return self.ended
        with socket.socket(fileno=os.dup(descriptor)) as same:
            try:
                return same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _CLOSED_BY_PEER
            except OSError:  # no TCP: a proxy on this machine
                return self.ended

    def write(self, data: bytes) -> None:
        """Write finished WebSocket frames; nothing happens once the connection is ending.

        While nothing waits in the transport, they are written to the socket itself. The transport would do so later, at
        the end of the loop's turn, and takes a third longer. What goes to many sockets at once is gathered first (`burst.py`).
        """
        if self.ended:
            return
        transport = self._protocol.transport
        if self._descriptor is None:
            self._descriptor = _file_descriptor(transport)
        if self._descriptor < 0 or transport.is_closing() or transport.get_write_buffer_size():
            transport.write(data)
        elif burst.depth:
            burst.add(self._descriptor, data, self)
        else:
            sent = write_some(self._descriptor, data)
            if sent < len(data):
                self.write_rest(memoryview(data)[sent:])

    def write_rest(self, data: memoryview) -> None:
        """Give the transport what the socket did not take."""
        self._protocol.transport.write(data)

    def ping(self) -> None:
        """Send a WebSocket ping."""
        self.write(b"\x89\x00")

    def close(self, code: int, reason: str) -> None:
        """Send a close frame after what is buffered.

        A client that does not read it is disconnected after a few seconds.
        """
        protocol = self._protocol
        if self.ended or protocol.transport.is_closing():
            return
        burst.flush()
        self.ended = True
        protocol.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        protocol.conn.send_close(code, reason)
        protocol.transport.write(b"".join(protocol.conn.data_to_send()))
        protocol.close_sent = True
        protocol.read_paused = False
        protocol.parse_pending()
        protocol.close_timer = protocol.loop.call_later(ABORT_SECONDS, protocol.transport.abort)
