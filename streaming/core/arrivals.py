"""Arrivals: what is done for clients that have just come, a few milliseconds' worth in each turn of the event loop.

When thousands come at once, or leave, all of them are ready in one turn, and each takes some tenths of a millisecond: together they would
keep those who are there already waiting for as long as that. Those for whom there is no time left in a turn wait, first come, first served;
who comes while nobody waits is served at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from time import thread_time
from typing import Any, TypeVar

from .loop_watch import loop_watch
from .timed import timed

TURN_SECONDS = 0.002
"""Processor time that newcomers take of one turn of the event loop: by the clock, fewer would be served the busier the machine is."""
FEWEST, MOST = 4, 32
"""Coroutines that are let go in one turn: adapted so that they take about that time."""

T = TypeVar("T")


class Arrivals:
    """What newcomers of one process wait for."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None] | asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._spent = 0.0  # of this turn
        self._together = FEWEST
        self._let_go = 0  # in this turn: they go on in the next one
        self._went_on = False  # whether some were let go in the turn before

    def __len__(self) -> int:
        return len(self._waiting)

    def do(self, work: Callable[[], None]) -> bool:
        """Do it now if there is time left in this turn, otherwise in a later one; returns whether it was done."""
        if self._has_time():
            self._do(work)
            return True
        self._waiting.append(work)
        return False

    async def begin(self, work: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine that begins when there is time for it. All its pieces count, however long it waits between them."""
        if not self._has_time():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except BaseException:
                work.close()
                raise
        return await timed(work, self._spend, 0.0, thread_time)

    def _spend(self, seconds: float) -> None:
        self._spent += seconds

    def _has_time(self) -> bool:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and self._loop.is_closed():
                self._waiting.clear()
            self._loop, self._spent, self._let_go, self._went_on = loop, 0.0, 0, False
            loop.call_soon(self._turn)
        return not self._waiting and self._spent < TURN_SECONDS

    def _turn(self) -> None:
        """The next turn of the loop has begun."""
        if self._went_on and self._spent >= TURN_SECONDS:
            self._together = max(FEWEST, self._together // 2)
        elif self._went_on and self._spent < TURN_SECONDS / 2:
            self._together = min(MOST, self._together * 2)
        self._spent, self._let_go, self._went_on = 0.0, 0, bool(self._let_go)
        if not self._waiting:
            self._loop = None
            return
        asyncio.get_running_loop().call_soon(self._turn)  # before those who are let go: what they take counts for the turn after this one
        while self._waiting and self._spent < TURN_SECONDS and self._let_go < self._together:
            first = self._waiting.popleft()
            if not isinstance(first, asyncio.Future):
                self._do(first)
            elif not first.done():  # its client is still there
                first.set_result(None)
                self._let_go += 1

    def _do(self, work: Callable[[], None]) -> None:
        began = thread_time()
        try:
            work()
        finally:
            seconds = thread_time() - began
            self._spent += seconds
            loop_watch.took(seconds, "turns", "arrivals")


arrivals = Arrivals()
"""Those of this process."""
