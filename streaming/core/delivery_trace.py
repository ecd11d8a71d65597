"""What a process does with the changes of one feed while somebody traces it: when it pulled them, and how long judging, encoding and
writing took.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .deliveries import Delivery, Encoder
    from .view import View

MOST_PULLS = 200
"""The newest are kept."""


@dataclass(slots=True)
class PullTrace:
    """One pull of the log, and what became of it. `began`, `pulled` and `done` are seconds since 1970, the others durations."""

    began: float
    pulled: float
    done: float = 0.0
    until: int = 0
    """The number of its last change."""
    encoded: float = 0.0
    written: float = 0.0
    deliveries: int = 0
    waiting: int = 0
    """Those of them that wait because the client is slow."""

    @property
    def judged(self) -> float:
        """Everything between pulling and the end that was neither encoding nor writing."""
        return max(self.done - self.pulled - self.encoded - self.written, 0.0)


class DeliveryTrace:
    """The last pulls of one follower."""

    def __init__(self) -> None:
        self.pulls: deque[PullTrace] = deque(maxlen=MOST_PULLS)
        self.seq = 0
        """Everything up to this change was delivered."""
        self._current: PullTrace | None = None
        self._progress = asyncio.Event()

    def pulled(self, began: float) -> None:
        """Redis has answered a pull."""
        self._current = PullTrace(began, time())

    def done(self, seq: int) -> None:
        """What was pulled was delivered."""
        if (pull := self._current) is not None:
            pull.done, pull.until, self._current = time(), seq, None
            self.pulls.append(pull)
        self.seq = seq
        self._progress.set()

    async def reaches(self, seq: int) -> None:
        """Return once everything up to this change was delivered."""
        while self.seq < seq:
            self._progress.clear()
            await self._progress.wait()

    def of(self, first: int, last: int) -> list[PullTrace]:
        """The pulls that brought these changes, with whatever else came with them."""
        found = []
        for pull in self.pulls:
            if pull.until >= first:
                found.append(pull)
            if pull.until >= last:
                break
        return found

    def deliver(self, view: View, run: Sequence[Delivery], shared: dict[Encoder, object]) -> None:
        """`View.deliver`, with the clock in the hand."""
        pull = self._current or PullTrace(0.0, 0.0)  # a costly filter, in its turn: nobody waits for the figures
        began = perf_counter()
        if view.encoder not in shared:
            shared[view.encoder] = view.encoder.frames(run)
        encoded = perf_counter()
        view.deliver(run, shared)
        pull.encoded += encoded - began
        pull.written += perf_counter() - encoded
        pull.deliveries += len(run)
        pull.waiting += min(len(view.queue), len(run))
