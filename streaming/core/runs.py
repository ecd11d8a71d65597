"""Runs: what is delivered to many, one after the other, a few milliseconds' worth of them at a time.

Each of them receives all runs in order, and each run once. Who joins receives only later runs; who leaves, none any more; and to one that
something else is to be sent to, what waits can be delivered before the others have theirs (`catch_up`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from math import inf
from time import perf_counter
from typing import Generic, TypeVar

from .burst import burst

PIECE_SECONDS = 0.004
"""Of work on the event loop, before everything else has a turn."""

T = TypeVar("T", bound=Hashable)


class Run(Generic[T]):
    """Something for each of many, and those that have not received it yet, each with the number of its first part."""

    __slots__ = ("waiting",)

    def __init__(self, receivers: Iterable[T]) -> None:
        self.waiting: dict[T, int] = dict.fromkeys(reversed([*receivers]), 0)  # the last one is served first

    @abstractmethod
    def deliver(self, receiver: T, start: int) -> None:
        """Deliver it to one of them; does not raise."""

    def ended(self, last: T) -> None:
        """Everybody has received it, this one last."""


class RunQueue(Generic[T]):
    """The runs of which somebody waits for one."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: deque[Run[T]] | None = None  # none while nobody waits: an empty deque has 760 bytes

    def __bool__(self) -> bool:
        return self._runs is not None

    def __iter__(self) -> Iterator[Run[T]]:
        return iter(self._runs or ())

    def add(self, run: Run[T]) -> None:
        """Behind those that are there."""
        if self._runs is None:
            self._runs = deque()
        self._runs.append(run)

    def deliver(self, until: float = inf) -> bool:
        """Deliver to one after the other, until that time; returns whether there is more."""
        while self._runs is not None:
            run = self._runs[0]
            with burst:
                _deliver(run, until)
            if run.waiting:
                return True
            self._runs.popleft()
            if not self._runs:
                self._runs = None
        return False

    def catch_up(self, receiver: T) -> None:
        """Deliver to one what waits for it."""
        for run in list(self):
            start = run.waiting.pop(receiver, None)
            if start is not None:
                run.deliver(receiver, start)

    def leave(self, receiver: T) -> None:
        """Deliver nothing to it any more."""
        for run in self:
            run.waiting.pop(receiver, None)


def _deliver(run: Run[T], until: float) -> None:
    """Deliver to one after the other, at least to one, until that time."""
    while run.waiting:
        receiver, start = run.waiting.popitem()
        run.deliver(receiver, start)
        if not run.waiting:
            run.ended(receiver)
        elif perf_counter() >= until:
            return
