"""A client of Phoenix Channels over a real socket."""

from __future__ import annotations

import json
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.server_process import ServerProcess

from .peer import decoded, event_of

TIMEOUT = 10.0


class PhoenixSocket:
    """To be used in a `with` statement."""

    def __init__(
        self,
        server: ServerProcess,
        path: str = "/websocket?vsn=2.0.0",
        origin: str | None = None,
        subprotocols: list[str] | None = None,
    ) -> None:
        self._stack = ExitStack()
        self.websocket: ClientConnection = self._stack.enter_context(
            connect(
                f"ws://127.0.0.1:{server.port}{path}",
                origin=None if origin is None else Origin(origin),
                subprotocols=None if subprotocols is None else [Subprotocol(name) for name in subprotocols],
                compression=None,
                ping_interval=None,
                max_size=None,
                proxy=None,
                open_timeout=TIMEOUT,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def send(self, *frame: Any) -> None:
        self.websocket.send(json.dumps(frame))

    def receive(self) -> Any:
        return decoded(self.websocket.recv(TIMEOUT))

    def receive_event(self, event: str) -> Any:
        """The next frame of an event; others before it are skipped."""
        while event_of(frame := self.receive()) != event:
            pass
        return frame

    def heartbeat(self) -> Any:
        self.send(None, "1", "phoenix", "heartbeat", {})
        return self.receive()

    def leave(self) -> int | None:
        """Close as clients do; the code that the server answers."""
        self.websocket.close()
        return self.websocket.protocol.close_rcvd.code if self.websocket.protocol.close_rcvd else None

    def closed(self) -> tuple[int, str]:
        """Code and reason of the close that comes; frames before it are skipped."""
        try:
            while True:
                self.websocket.recv(TIMEOUT)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "no close frame"
            return closed.rcvd.code, closed.rcvd.reason
