"""Turns: work on the event loop that can wait, a little of each in turn.

A long piece of work is cut into steps of about a millisecond. In each round of the loop as many steps are taken as fit into some
milliseconds; then sockets, timers and everything else has its turn. Owners come one after the other: one with a hundred pieces of work
gets no more of a round than one with a single piece, and waits a hundred times as long.

This is not done in threads: what judges and encodes holds the interpreter's lock, so threads would compute no faster and make the loop wait
for the lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable
from time import perf_counter

from .loop_watch import loop_watch

logger = logging.getLogger(__name__)

ROUND_SECONDS = 0.004
"""Time that steps take of one round of the event loop."""
STEP_SECONDS = 0.001
"""Time that one step should take."""

WORKS = ("aggregates", "arrivals", "filters", "selecting", "sending", "throttles", "topics", "other")
"""What steps are called in metrics."""

Step = Callable[[], bool]
"""Does a little of the work; returns whether there is more."""


class Pace:
    """How much to do at a time so that it takes about a step: found by trying."""

    __slots__ = ("_least", "_most", "size")

    def __init__(self, first: int, least: int, most: int) -> None:
        self.size = first
        self._least, self._most = least, most

    def took(self, seconds: float) -> None:
        """So long did it take the last time."""
        if seconds > 2 * STEP_SECONDS:
            self.size = max(self._least, self.size // 2)
        elif seconds < STEP_SECONDS / 2:
            self.size = min(self._most, self.size * 2)


class Turns:
    """What waits for a turn on one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[tuple[Step, str]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, owner: Hashable, step: Step, work: str = "other") -> None:
        """Take this step, again and again until it returns False. What it raises is logged, and ends it.

        `work` names it to the loop watch.
        """
        self._waiting.setdefault(owner, deque()).append((step, work))
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._round)

    async def finish(self, owner: Hashable, step: Step, work: str = "other") -> None:
        """Take this step until it returns False; raises what it raises."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def watched() -> bool:
            if done.done():  # its caller was cancelled
                return False
            try:
                more = step()
            except Exception as error:  # noqa: BLE001 (it is raised in the caller)
                done.set_exception(error)
                return False
            if not more:
                done.set_result(None)
            return more

        self.add(owner, watched, work)
        await done

    def _round(self) -> None:
        end = perf_counter() + ROUND_SECONDS
        while self._waiting:
            self._step()
            if perf_counter() >= end:
                break
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._round)
        else:
            self._loop = None

    def _step(self) -> None:
        owner = next(iter(self._waiting))
        steps = self._waiting.pop(owner)
        step, work = steps.popleft()
        began = perf_counter()
        try:
            more = step()
        except Exception:
            logger.exception("a piece of work failed")
            more = False
        loop_watch.took(perf_counter() - began, "turns", work)
        if more:
            steps.append((step, work))
        if steps:
            added = self._waiting.pop(owner, None)  # by the step itself
            self._waiting[owner] = steps if added is None else deque([*steps, *added])
