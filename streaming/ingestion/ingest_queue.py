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
AT_ONCE = 500
"""Files looked at before others have a turn."""


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
        self._due: dict[str, None] = {}
        """Those that wait for their time only, in the order in which that comes."""
        self._behind: dict[str, dict[str, None]] = {}
        """Those that wait for another one to be done, by that. So nobody goes through all that wait to find what can be started."""
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
        self._due.pop(path, None)
        self._due[path] = None
        self._start_later(GATHER_SECONDS)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting.clear()
        self._due.clear()
        self._behind.clear()

    async def stop(self) -> None:
        """Give up what runs."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
        await cancel(list(self._running.values()))

    def _start_later(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._start_some)

    def _start_some(self) -> None:
        """Start what is due, while there may be more."""
        self._timer = None
        now = time.monotonic()
        for _ in range(AT_ONCE):
            if not self._due or not self._is_open() or len(self._running) >= conf.INGEST_JOBS:
                return
            path = next(iter(self._due))
            if self._waiting[path].due > now:
                self._start_later(GATHER_SECONDS)
                return
            del self._due[path]
            self._start(path)
        self._start_later(0.0)

    def _start(self, path: str) -> None:
        """Look at a file now, or once the one is done that it waits for."""
        waiting = self._waiting[path]
        other = path if path in self._running else waiting.after
        if other is not None and (other in self._running or other in self._waiting):
            self._behind.setdefault(other, {})[path] = None
            return
        del self._waiting[path]
        task = self._running[path] = asyncio.create_task(self._look(path, waiting))
        task.add_done_callback(lambda _: self._done(path))

    def _done(self, path: str) -> None:
        del self._running[path]
        self._due |= {each: None for each in self._behind.pop(path, ()) if each in self._waiting}
        if self._waiting and self._timer is None:
            self._start_some()
