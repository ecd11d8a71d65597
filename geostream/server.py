"""uvicorn as GeoStream runs it: bounded request heads, and a WebSocket protocol with a way to write finished frames to the transport.
The protocol below offers itself in the scope as `geostream.raw_socket`. Frames written through it bypass uvicorn's framing (no
extensions are negotiated, so a frame is a frame); everything else, handshake, reading, close handshake and shutdown with 1012,
stays uvicorn's.
"""

from __future__ import annotations

import logging
from asyncio import TimerHandle
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from streaming.senders import RAW_EXTENSION

LOGGER = logging.getLogger("geostream.websockets")
"""For what uvicorn says of a WebSocket. At INFO that is the whole URL of each and at DEBUG every frame, with what is secret in them."""
LOGGER.setLevel(logging.WARNING)
HIGH_WATER = 256 * 1024
ABORT_SECONDS = 5.0
HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0


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
        self.heard_at = self.loop.time()
        self.raw = RawSocket(self)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)

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

    def connection_lost(self, exc: Exception | None) -> None:
        self.raw.ended = True
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self.raw.ended = True
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.raw.writable = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.raw.writable = True
        self.raw.on_writable()


class RawSocket:
    """The transport of one WebSocket, as `streaming.senders.RawSender` uses it."""

    __slots__ = ("_protocol", "ended", "on_writable", "writable")

    def __init__(self, protocol: RawSocketProtocol) -> None:
        self._protocol = protocol
        self.writable = True
        self.ended = False
        self.on_writable: Callable[[], None] = _nothing

    @property
    def heard_at(self) -> float:
        """When the peer last sent anything, on the loop's clock."""
        return self._protocol.heard_at

    def write(self, data: bytes) -> None:
        """Write finished WebSocket frames; nothing happens once the connection is ending."""
        if not self.ended:
            self._protocol.transport.write(data)

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
        if protocol.read_paused:
            protocol.read_paused = False
            protocol.transport.resume_reading()
        protocol.close_timer = protocol.loop.call_later(ABORT_SECONDS, protocol.transport.abort)


def config(*, host: str, port: int, workers: int, max_message_bytes: int, **options: Any) -> uvicorn.Config:
    """uvicorn's configuration: raw frames, no per-message deflate, no pings of its own (connections ping for themselves)."""
    return uvicorn.Config(
        "geostream.asgi:application",
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


def run(config: uvicorn.Config) -> None:
    """Serve until SIGINT or SIGTERM; with several workers, supervise them."""
    if config.workers > 1:
        from uvicorn.supervisors import Multiprocess

        Multiprocess(config, sockets=[config.bind_socket()]).run()
    else:
        uvicorn.Server(config).run()
