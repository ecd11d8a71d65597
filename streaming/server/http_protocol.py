"""HTTP as uvicorn speaks it, with limits for the head of a request."""

from __future__ import annotations

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streaming.core.arrivals import arrivals

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with limits for the size of a request's head and for the time until it is complete.

    uvicorn has neither: joining the parts of an endless header takes longer and longer, and a silent client is never
    disconnected.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_head_timer()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Begin a WebSocket when it is its turn; until then nothing is read that comes behind the request for it."""
        if not arrivals.do(self._begin_websocket):
            self.transport.pause_reading()

    def _begin_websocket(self) -> None:
        if self.transport.is_closing():
            return
        try:
            super().handle_websocket_upgrade()  # has parsed the request, and reads on
            del self.parser  # each has the other: only a search for garbage would find them
        except BaseException:
            self.transport.abort()
            raise

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_head_timer(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
