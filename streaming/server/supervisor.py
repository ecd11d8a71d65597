"""Keeps several server processes running: starts those that died, replaces all on SIGHUP one at a time, and drains all at the end.

They share one listening socket, which is the supervisor's and is inherited: what has connected and waits is accepted by whichever is left.
(With a socket each, SO_REUSEPORT, those that wait at a process that ends would be cut.) The supervisor itself loads no application, so that
there is little that can end it.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import wait

from . import systemd
from .worker import READY, STARTED, Worker

logger = logging.getLogger("geostream.supervisor")

TICK_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
"""Between the starts of processes that die again and again."""
STABLE_SECONDS = 60.0
"""A process that has lived so long has not failed to start."""


class State(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    READY = "ready"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits for what, in seconds."""

    start: float = 60.0
    """Until a worker serves, and one that replaces another is ready; after that it is given up."""
    silence: float = 60.0
    """Without a sign of life of a worker's event loop; then it is killed. 0: for ever."""
    end: float = 20.0
    """Until a worker has drained; then it is killed."""


@dataclass(slots=True, eq=False)
class _Entry:
    worker: Worker
    since: float
    heard: float
    state: State = State.STARTING
    killed: bool = False

    def kill(self) -> None:
        """It had its time."""
        self.killed = True
        self.worker.kill()


class Supervisor:
    """`count` workers, each made by `make`. `on_ready` is called once all of them serve."""

    def __init__(
        self, make: Callable[[], Worker], count: int, patience: Patience | None = None, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        self._make = make
        self._count = count
        self._patience = patience or Patience()
        self._on_ready = on_ready
        self._entries: list[_Entry] = []
        self._to_replace: list[_Entry] = []
        self._replacing = False
        self._has_served = False
        self._announced = False
        self._ending = False
        self._failures = 0
        self._next_start = 0.0

    def run(self) -> int:
        """Until SIGINT or SIGTERM; returns the exit code: 0, or 1 if no worker could start."""
        with _signals() as news:
            for _ in range(self._count):
                self._start()
            while True:
                ends = [entry.worker.sentinel for entry in self._entries]
                wait([news, *ends, *(entry.worker.reports for entry in self._living)], TICK_SECONDS)
                for number in _read(news):
                    self.handle(number)
                if (code := self.step(time.monotonic())) is not None:
                    return code

    def handle(self, number: int) -> None:
        """A signal has come."""
        if number == signal.SIGHUP and not self._ending:
            logger.info("replacing %d workers, one at a time", len(self._living))
            systemd.notify(systemd.reloading())
            self._to_replace, self._replacing = self._living, True
            self._failures, self._next_start = 0, 0.0
        elif number in (signal.SIGINT, signal.SIGTERM):
            systemd.notify(systemd.STOPPING)
            if self._ending and number == signal.SIGINT:
                for entry in self._entries:
                    entry.worker.kill()
            self._ending = True
            for entry in self._living:
                self._end(entry)

    def step(self, now: float) -> int | None:
        """Look at all workers once, and do what is due; returns the exit code when there is nothing left to do."""
        self._listen(now)
        for entry in [entry for entry in self._entries if entry.worker.exit_code is not None]:
            self._bury(entry, now)
        self._lose_patience(now)
        if self._ending:
            return None if self._entries else 0
        if not self._has_served:
            if self._entries:
                return None
            logger.error("No worker could start. What is wrong is said above, by each of them.")
            return 1
        self._replace()
        extra = bool(self._to_replace) and not any(entry.state is State.ENDING for entry in self._entries)
        if len(self._living) < self._count + extra and now >= self._next_start:
            self._start()
        if not self._announced and sum(entry.state in (State.SERVING, State.READY) for entry in self._entries) >= self._count:
            self._announced = True
            self._on_ready()
            systemd.notify(systemd.READY)
        return None

    @property
    def _living(self) -> list[_Entry]:
        return [entry for entry in self._entries if entry.state is not State.ENDING]

    def _start(self) -> None:
        worker = self._make()
        worker.start()
        now = time.monotonic()
        self._entries.append(_Entry(worker, now, now))

    def _end(self, entry: _Entry) -> None:
        entry.state, entry.since = State.ENDING, time.monotonic()
        entry.worker.terminate()

    def _listen(self, now: float) -> None:
        for entry in self._entries:
            for report in entry.worker.received():
                entry.heard = now
                if entry.state is State.STARTING and report == STARTED:
                    entry.state, self._has_served = State.SERVING, True
                elif entry.state is State.SERVING and report == READY:
                    entry.state = State.READY

    def _bury(self, entry: _Entry, now: float) -> None:
        self._entries.remove(entry)
        entry.worker.close()
        if entry.state is State.ENDING:
            return
        if entry in self._to_replace:
            self._to_replace.remove(entry)
        logger.error("worker %d has ended by itself: %s", entry.worker.pid, _how(entry.worker.exit_code))
        if entry.state is State.STARTING and self._to_replace:
            self._give_up_replacing("a new worker ended before it served")
        self._failures = 0 if now - entry.since > STABLE_SECONDS else self._failures + 1
        pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** (self._failures - 2)) if self._failures > 1 else 0.0
        if pause:
            logger.warning("the next one starts in %g seconds", pause)
        self._next_start = now + pause

    def _lose_patience(self, now: float) -> None:
        patience = self._patience
        for entry in list(self._entries):
            if entry.killed:  # and it is not gone yet
                continue
            if entry.state is State.ENDING:
                if now - entry.since > patience.end:
                    logger.warning("worker %d has not ended within %g seconds: killed", entry.worker.pid, patience.end)
                    entry.kill()
            elif entry.state is State.STARTING:
                if now - entry.since > patience.start:
                    logger.error("worker %d does not serve after %g seconds: killed", entry.worker.pid, patience.start)
                    entry.kill()
            elif patience.silence and now - entry.heard > patience.silence:
                logger.error("worker %d has given no sign of life for %g seconds: killed", entry.worker.pid, patience.silence)
                entry.kill()
            elif entry.state is State.SERVING and self._to_replace and entry not in self._to_replace and now - entry.since > patience.start:
                self._give_up_replacing(f"the new worker {entry.worker.pid} is not ready (/readyz says why)")
                self._end(entry)

    def _replace(self) -> None:
        """End the next of those that are to be replaced, if one more than needed is ready and none is ending."""
        living = self._living
        if self._to_replace and len(living) == len(self._entries) and len(living) > self._count:
            new = [entry for entry in living if entry not in self._to_replace]
            if all(entry.state is State.READY for entry in new):
                self._end(self._next_to_replace())
        if self._replacing and not self._to_replace and len(self._living) == len(self._entries):
            self._replacing = False
            logger.info("all workers have been replaced")
            systemd.notify(systemd.READY)

    def _next_to_replace(self) -> _Entry:
        """One that is not ready, as from an earlier SIGHUP, before those that are."""
        chosen = next((entry for entry in reversed(self._to_replace) if entry.state is not State.READY), self._to_replace[0])
        self._to_replace.remove(chosen)
        return chosen

    def _give_up_replacing(self, why: str) -> None:
        logger.error("%s: %d workers stay as they are", why, len(self._to_replace))
        self._to_replace, self._replacing = [], False
        systemd.notify(systemd.READY)


def _how(code: int | None) -> str:
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


class _signals:
    """A context with a file descriptor from which the numbers of signals can be read that would otherwise end or interrupt something."""

    def __enter__(self) -> int:
        self._read, self._write = os.pipe()
        for descriptor in (self._read, self._write):
            os.set_blocking(descriptor, False)
        self._before = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
        self._before_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self._read

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(self._before_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)


def _read(descriptor: int) -> bytes:
    with suppress(BlockingIOError):
        return os.read(descriptor, 1024)
    return b""
