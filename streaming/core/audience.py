"""Audiences: the views of one feed that share a filter.

A change is judged once for all of them. What was found in one slice of the log is a *run*: it is delivered to one view after the other, a
few milliseconds' worth of them at a time, each variant encoded once. A view that joins meanwhile has what was before in its snapshot and
receives only what comes after; one that is moved is first delivered what was found for it (`catch_up`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from math import inf
from time import perf_counter
from typing import Protocol

from .backlog import Backlog
from .bbox import Box
from .deliveries import Delivery, Encoder
from .items import Item
from .view import View

logger = logging.getLogger(__name__)


class Condition(Protocol):
    """The condition that the views of an audience share: equal keys, equal answers."""

    @property
    def key(self) -> Hashable:
        """Equal for equal conditions."""

    @property
    def boxes(self) -> Collection[Box] | None:
        """Where it can match at all, None for everywhere."""

    @property
    def matches(self) -> Callable[[Item], bool]:
        """Whether an item is wanted."""

    @property
    def costly(self) -> bool:
        """Whether to find that out may take a millisecond rather than a microsecond."""


class _Run:
    """What was found in one slice, and the views that have not received it yet, each with the number of its first delivery."""

    __slots__ = ("deliveries", "shared", "waiting")

    def __init__(self, deliveries: Sequence[Delivery], waiting: dict[View, int]) -> None:
        self.deliveries = deliveries
        self.waiting = waiting
        self.shared: dict[Encoder, object] = {}

    def deliver(self, view: View, start: int) -> None:
        """Deliver it to one view."""
        if not start:
            view.deliver(self.deliveries, self.shared)
        elif start < len(self.deliveries):
            view.deliver(self.deliveries[start:], {})


class _Call(_Run):
    """Something else that is done for each view, in its place between the runs."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[View], None], waiting: dict[View, int]) -> None:
        super().__init__((), waiting)
        self.call = call

    def deliver(self, view: View, start: int) -> None:
        """Do it for one view."""
        self.call(view)


class Audience:
    """The views of one feed that share a filter.

    Changes are judged as they come; if the filter is costly and there is no time for that, later, in turns (`backlog`). `found` is the run
    that changes are being judged for; `close` hands it to the views.
    """

    __slots__ = ("_runs", "_starts", "backlog", "costly", "filter", "found", "matches", "views")

    def __init__(self, condition: Condition) -> None:
        self.filter = condition
        self.matches = condition.matches
        self.costly = condition.costly
        self.backlog = Backlog()
        self.views: dict[View, int] = {}
        """With the round of the backlog from which on each receives changes."""
        self.found: list[Delivery] = []
        self._starts: dict[View, int] = {}  # where in `found` the views begin that were not there before
        self._runs: deque[_Run] = deque()

    def join(self, view: View) -> None:
        """The view receives what comes from now on."""
        self.views[view] = self.backlog.begin_round()
        if self.found:
            self._starts[view] = len(self.found)

    def leave(self, view: View) -> None:
        """The view receives nothing any more, not even what was found for it."""
        del self.views[view]
        self._starts.pop(view, None)
        for run in self._runs:
            run.waiting.pop(view, None)

    def close(self, of_round: int | None = None) -> None:
        """What was found so far is a run: for every view, or for those that were there in this round of the backlog."""
        if not self.found:
            return
        views = [view for view, joined in self.views.items() if of_round is None or joined <= of_round]
        waiting = dict.fromkeys(reversed(views), 0)  # the last one is served first
        for view, start in self._starts.items():
            if view in waiting:
                waiting[view] = start
        self._runs.append(_Run(self.found, waiting))
        self.found, self._starts = [], {}

    def each(self, call: Callable[[View], None]) -> None:
        """Call with every view, behind what is to be delivered to it. Until then it is complete up to nowhere."""
        self.close()
        self._runs.append(_Call(call, dict.fromkeys(reversed(self.views), 0)))

    @property
    def delivering(self) -> bool:
        """Whether some views have not received all runs."""
        return bool(self._runs)

    def deliver(self, until: float = inf) -> bool:
        """Deliver the runs to the views, until that time; returns whether there are more of them."""
        while self._runs:
            run = self._runs[0]
            while run.waiting:
                self._deliver(run, *run.waiting.popitem())
                if perf_counter() >= until:
                    break
            if run.waiting:
                return True
            self._runs.popleft()
        return False

    def catch_up(self, view: View) -> None:
        """Deliver to one view, before the others, what was found for it so far."""
        for run in list(self._runs):
            if view in run.waiting:
                self._deliver(run, view, run.waiting.pop(view))
        if self.found and view in self.views:
            start, self._starts[view] = self._starts.get(view, 0), len(self.found)
            self._deliver(_Run(list(self.found), {}), view, start)

    def first_undelivered(self, view: View) -> int | None:
        """The number of the first change that the view has not received, though it may want it; None if there is none."""
        return next(self._undelivered(view), None)

    def give_up(self) -> None:
        """The filter failed: its views end, so that all others are still served."""
        for view in list(self.views):
            view.give_up()

    def _undelivered(self, view: View) -> Iterator[int]:
        joined = self.views.get(view)
        if joined is None:
            return
        for run in self._runs:
            if isinstance(run, _Call) and view in run.waiting:
                yield 1
            yield from _numbers(run.deliveries[run.waiting.get(view, len(run.deliveries)) :])
        yield from _numbers(self.found[self._starts.get(view, 0) :])
        waiting = self.backlog.first(joined)
        if waiting is not None:
            yield waiting

    def _deliver(self, run: _Run, view: View, start: int) -> None:
        try:
            run.deliver(view, start)
        except Exception:
            logger.exception("a change of %s could not be delivered", view.follows and view.follows.feed.name)
            view.give_up()


def _numbers(deliveries: Sequence[Delivery]) -> Iterator[int]:
    return (delivery.seq for delivery in deliveries[:1] if delivery.seq is not None)
