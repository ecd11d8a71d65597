"""Progress of long work, as the server's own `progress` events."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

from .event_audience import EVERYBODY, Audience
from .server_events import server_events

FIRST_SECONDS = 1.0
"""Shorter work is not reported."""
EACH_PART = 1 / 60
"""Of the time that work has taken, between two reports: once a second in the first minute, once a minute after an hour."""

MEASURING = 10.0
"""Measuring may take a tenth of the time, as in a folder of many files."""

Part = TypeVar("Part", bound=Sized)


class Progress:
    """Reports work on a layer or a tileset, if it takes longer than a second, and its end.

    `audience` is asked with each report: the layer may become private meanwhile.
    """

    def __init__(self, task: str, source: str, total: int, audience: Callable[[], Audience] = lambda: EVERYBODY) -> None:
        """`task` is what is done (`publish:flights`); `total` is how much of it there is, 0 if nobody knows."""
        self._task_id = f"{task}:{secrets.token_hex(4)}"
        self._source, self._total, self._audience = source, total, audience
        self._began = time.monotonic()
        self._due = self._began + FIRST_SECONDS
        self._reported = False

    def at(self, current: int, message: str = "") -> None:
        """So much of the total is done."""
        if time.monotonic() >= self._due:
            self._report(current, message)

    def done(self, message: str = "") -> None:
        """The work has ended. Short work is not reported at all."""
        if self._reported:
            self._report(self._total, message, is_last=True)

    def over(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts of the work, reported by their lengths as they are taken."""
        taken = 0
        for part in parts:
            yield part
            taken += len(part)
            self.at(taken)
        self.done()

    @contextmanager
    def watched(self, measure: Callable[[], int], message: str = "") -> Iterator[None]:
        """Work in this thread that cannot report: from another one it is measured how much is done. One that fails just ends."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(max(self._due - time.monotonic(), 0.0)):
                began = time.monotonic()
                self._report(min(measure(), self._total), message)
                self._due += MEASURING * (time.monotonic() - began)

        watcher = threading.Thread(target=watch, name="geostream-progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
        self.done()

    def _report(self, current: int, message: str, is_last: bool = False) -> None:
        now = time.monotonic()
        self._due = now + max(FIRST_SECONDS, (now - self._began) * EACH_PART)
        percent = round(100.0 * current / self._total, 1) if self._total else 0.0
        payload: dict[str, Any] = {"task_id": self._task_id, "current": current, "total": self._total, "progress_percent": percent}
        if message:
            payload["message"] = message
        self._reported |= server_events.emit("progress", self._source, payload, self._audience(), is_last=is_last)
