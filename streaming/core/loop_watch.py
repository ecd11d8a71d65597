"""The loop watch: which pieces of work kept the event loop, and with it every client, for too long.

Each piece names what it is by two words that clients do not choose: its part (a dialect, the hub, the turns) and its kind of work. What
takes long is counted; from time to time one line in the log names the latest one in more detail.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from time import perf_counter
from typing import Any, TypeVar

from .timed import timed

logger = logging.getLogger(__name__)

LONG_SECONDS = 0.01
"""A piece of work that takes longer is one too many."""
LOG_SECONDS = 10.0
"""Least time between two lines in the log."""

_NO_MORE = object()

T = TypeVar("T")


class LoopWatch:
    """What took long in this process."""

    def __init__(self) -> None:
        self.count: Counter[tuple[str, str]] = Counter()
        """Pieces by part and kind of work."""
        self.seconds: Counter[tuple[str, str]] = Counter()
        """How long they took together."""
        self._logged_at = -LOG_SECONDS
        self._unlogged = 0

    def took(self, seconds: float, part: str, work: str, detail: str = "") -> None:
        """A piece of work took so long. Costs nothing unless it was long."""
        if seconds <= LONG_SECONDS:
            return
        self.count[part, work] += 1
        self.seconds[part, work] += seconds  # type: ignore[assignment]  # counters add any numbers
        now = time.monotonic()
        if now - self._logged_at < LOG_SECONDS:
            self._unlogged += 1
            return
        logger.warning(
            "the event loop was held up for %.0f ms by %s: %s%s (%d more since the last such line)",
            1000 * seconds,
            part,
            work,
            f" ({detail})" if detail else "",
            self._unlogged,
        )
        self._logged_at, self._unlogged = now, 0

    def pieces(self, pieces: Iterator[None], part: str, work: str, detail: str = "") -> Iterator[None]:
        """The pieces of some work, each of which is watched."""
        more = True
        while more:
            began = perf_counter()
            more = next(pieces, _NO_MORE) is not _NO_MORE
            self.took(perf_counter() - began, part, work, detail)
            if more:
                yield

    def watch(self, work: Coroutine[Any, Any, T], took: Callable[[float], None]) -> Awaitable[T]:
        """Await a coroutine; `took` is called with the length of each of its pieces that was long, between two waits."""
        return timed(work, took, LONG_SECONDS, perf_counter)


loop_watch = LoopWatch()
"""That of this process."""
