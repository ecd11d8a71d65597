"""uvicorn as GeoStream runs it: its configuration, and a server that sleeps while it has nothing to do."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from socket import socket
from typing import Any

import uvicorn

from . import systemd
from .drain import drain
from .garbage import leave_out_what_is_there
from .http_protocol import HttpProtocol
from .websocket_protocol import WebSocketProtocol

TICK_SECONDS = 1.0
"""How often the header `Date` is made anew."""
GRACE_SECONDS = 5
"""Time that requests have to be answered when all WebSockets have been closed."""


def server_config(*, host: str, port: int, max_message_bytes: int, **options: Any) -> uvicorn.Config:
    """uvicorn's configuration: our protocols, no per-message deflate, and no pings, because connections send their own.

    `options` are further ones of `uvicorn.Config`.
    """
    return uvicorn.Config(
        "streaming.server.application:load_application",
        factory=True,
        host=host,
        port=port,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
        access_log=False,
        log_config=None,
        server_header=False,
        **options,
    )


class Server(uvicorn.Server):
    """uvicorn's server, which wakes up when it should exit, instead of ten times a second.

    `on_started` is called once it listens.
    """

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None] = lambda: None) -> None:
        self._on_started = on_started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        """Whether the server is to end. Set by signals, and from other threads."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ending.set)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start; a server that is to end meanwhile does not wait for what its application waits for."""
        self._loop = asyncio.get_running_loop()
        starting, ending = asyncio.current_task(), asyncio.create_task(self._ending.wait())
        assert starting is not None
        ending.add_done_callback(lambda task: None if task.cancelled() or self.started else starting.cancel())
        try:
            await super().startup(sockets)
        except asyncio.CancelledError:
            if not self.should_exit or starting.uncancel():
                raise
        finally:
            ending.cancel()
        if self.started:
            leave_out_what_is_there()
            self._on_started()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Take nothing new, have WebSockets come back some at a time, and wait for requests, but not for what is held open."""
        from streaming.engine.conf import conf  # late: a worker unpickles this class before Django is set up
        from streaming.engine.lifespan import announce_end

        announce_end()
        for server in self.servers:
            server.close()
        await drain(self.server_state.connections, conf.DRAIN_SECONDS, lambda: self.force_exit)
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        """Tick once a second, for the header `Date`, until the server is to end."""
        tenths = 0  # the unit in which uvicorn counts
        while not await self.on_tick(tenths):
            tenths = (tenths + 10) % 864_000
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._ending.wait()


def run(config: uvicorn.Config, listener: socket) -> None:
    """Serve in this process on a socket that listens, until SIGINT, SIGTERM or (a terminal that is closed) SIGHUP."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    Server(config, lambda: systemd.notify(systemd.READY)).run(sockets=[listener])
