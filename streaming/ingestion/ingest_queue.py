"""The queue of ingests: which files wait and which are being looked at, a few at a time and each of them once at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from streaming.core.tasks import cancel
from streaming.engine.conf import conf

GATHER_SECONDS = 0.1
"""How long an ingest waits for other changes of the same files."""


@dataclass
class Waiting:
    """A file to be looked at: what has happened to it, and behind which other one."""

    action: str | None = None
    moved_from: str | None = None
    seq: int | None = None
    after: str | None = None
    due: float = 0.0


class IngestQueue:
    """Has `look` called with each file that waits, while it is `open`."""

    def __init__(self, look: Callable[[str, Waiting], Coroutine[Any, Any, None]], is_open: Callable[[], bool]) -> None:
        self._look = look
        self._is_open = is_open
        self._waiting: dict[str, Waiting] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Files that wait or are being looked at."""
        return len(self._waiting) + len(self._running)

    def is_running(self, path: str) -> bool:
        """Whether a file is being looked at."""
        return path in self._running

    def add(self, path: str, happened: Waiting) -> None:
        """A file is to be looked at. What is not known to have happened to it leaves what was known."""
        waiting = self._waiting.setdefault(path, happened)
        waiting.due, waiting.after = time.monotonic() + GATHER_SECONDS, happened.after
        if happened.action is not None:
            waiting.action, waiting.moved_from, waiting.seq = happened.action, happened.moved_from, happened.seq
        self._start_later()

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting.clear()

    async def stop(self) -> None:
        """Give up what runs."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        await cancel(list(self._running.values()))

    def _start_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._start_some)

    def _start_some(self) -> None:
        """Start what is due, while there may be more."""
        self._timer = None
        now = time.monotonic()
        for path, waiting in list(self._waiting.items()) if self._is_open() else ():
            if len(self._running) >= conf.INGEST_JOBS:
                return
            if path in self._running or waiting.after in self._running or waiting.after in self._waiting:
                continue
            if waiting.due > now:
                self._start_later()
                continue
            del self._waiting[path]
            task = self._running[path] = asyncio.create_task(self._look(path, waiting))
            task.add_done_callback(lambda _, path=path: self._done(path))  # type: ignore[misc]

    def _done(self, path: str) -> None:
        del self._running[path]
        if self._waiting and self._timer is None:
            self._start_some()
