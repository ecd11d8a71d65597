"""One of several server processes: what runs in it, and how its supervisor sees it.

It reports over a pipe that it has started, that it is ready, and once a second that its event loop turns. If nobody reads the pipe any
more, the supervisor was killed: then it ends too, or it would serve for ever.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import socket
from types import FrameType

import django
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from .uvicorn_server import Server

logger = logging.getLogger("geostream.worker")

STARTED, READY, ALIVE = b"started", b"ready", b"alive"

multiprocessing.allow_connection_pickling()  # of the socket that it serves on
_SPAWN = multiprocessing.get_context("spawn")
"""A fork would take over the supervisor's threads and connections half way through something; and a new worker runs the new code."""

Prepare = Callable[[], str | None]
"""What a worker does first: returns why it cannot serve, or None. A function of a module, for it is pickled."""


def nothing_to_prepare() -> str | None:
    """No reason not to serve."""
    return None


class Worker:
    """One server process, as its supervisor sees it."""

    def __init__(self, config: uvicorn.Config, listener: socket, prepare: Prepare) -> None:
        self.reports, self._there = _SPAWN.Pipe(duplex=False)
        self._process = _SPAWN.Process(target=_serve, args=(config, listener, self._there, prepare))

    def start(self) -> None:
        """Start it. Ctrl-C, which every process of a terminal is sent, is for the supervisor."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        self._there.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` tells the end of the process by."""
        return self._process.sentinel

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.exitcode

    def received(self) -> list[bytes]:
        """What it has reported since the last time."""
        reports = []
        with suppress(EOFError, OSError):
            while self.reports.poll():
                reports.append(self.reports.recv_bytes())
        return reports

    def terminate(self) -> None:
        """Have it drain and end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close(self) -> None:
        """It has ended: let go of what belongs to it."""
        self._process.join()
        self.reports.close()


class WorkerServer(Server):
    """The server in a worker, which reports how it is."""

    def __init__(self, config: uvicorn.Config, reports: Connection) -> None:
        os.set_blocking(reports.fileno(), False)  # a supervisor that is stopped holds nobody up
        self._reports = reports
        self._becoming_ready: asyncio.Task[None] | None = None
        super().__init__(config, self._started)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Only the supervisor ends it."""
        if sig != signal.SIGINT:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Once a second."""
        self._report(ALIVE)
        return await super().on_tick(counter)

    def _started(self) -> None:
        self._report(STARTED)
        self._becoming_ready = asyncio.get_running_loop().create_task(self._become_ready())

    async def _become_ready(self) -> None:
        from streaming.engine.readiness import readiness  # late: a worker unpickles its arguments before Django is set up

        while not all((await readiness()).values()):
            await asyncio.sleep(0.1)
        self._report(READY)

    def _report(self, what: bytes) -> None:
        try:
            self._reports.send_bytes(what)
        except BlockingIOError:
            pass
        except OSError:
            self.should_exit = True


def _serve(config: uvicorn.Config, listener: socket, reports: Connection, prepare: Prepare) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that is closed tells everybody; the supervisor decides
    try:
        django.setup()
    except Exception:  # a record of the log, which is configured first, like all others
        logger.exception("this worker cannot start")
        raise SystemExit(STARTUP_FAILURE) from None
    config.configure_logging()  # no access log, which would have queries with tokens in them
    if (reason := prepare()) is not None:
        raise SystemExit(reason)
    server = WorkerServer(config, reports)
    server.run(sockets=[listener])
    if not server.started and not server.should_exit:
        raise SystemExit(STARTUP_FAILURE)
