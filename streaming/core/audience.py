"""Audiences: the views of one feed that share a filter.

A change is judged once for all of them. What was found in one slice of the log is a *run*: it is delivered to one view after the other, a
few milliseconds' worth of them at a time, each variant encoded once. A view that joins meanwhile has what was before in its snapshot and
receives only what comes after; one that is moved is first delivered what was found for it (`catch_up`).
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from math import inf
from typing import Protocol

from .backlog import Backlog
from .bbox import Box
from .deliveries import Delivery, Encoder
from .delivery_trace import DeliveryTrace
from .items import Item
from .runs import Run, RunQueue
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
    def plain(self) -> bool:
        """Whether an item that touches one of the boxes is wanted, whatever else it is."""

    @property
    def costly(self) -> bool:
        """Whether to find that out may take a millisecond rather than a microsecond."""


class _ViewRun(Run[View]):
    __slots__ = ()

    def deliver(self, view: View, start: int) -> None:
        """Deliver it to one view. One for which that fails ends."""
        try:
            self._deliver(view, start)
        except Exception:
            logger.exception("a change of %s could not be delivered", view.follows and view.follows.feed.name)
            view.give_up()

    @abstractmethod
    def _deliver(self, view: View, start: int) -> None: ...


class _Found(_ViewRun):
    """What was found in one slice."""

    __slots__ = ("_receivers", "deliveries", "shared")

    def __init__(self, deliveries: Sequence[Delivery], views: Iterable[View] = ()) -> None:
        super().__init__(views)
        self.deliveries = deliveries
        self.shared: dict[Encoder, object] = {}
        self._receivers = len(self.waiting)

    def _deliver(self, view: View, start: int) -> None:
        if not start:
            view.deliver(self.deliveries, self.shared)
        elif start < len(self.deliveries):
            view.deliver(self.deliveries[start:], {})

    def ended(self, last: View) -> None:
        if len(self.shared) < self._receivers and not len(last.queue):
            last.outbox.note_latency(self.deliveries[0].item)


class _Traced(_Found):
    """What was found in one slice of a feed that somebody traces."""

    __slots__ = ("_trace",)

    def __init__(self, deliveries: Sequence[Delivery], views: Iterable[View], trace: DeliveryTrace) -> None:
        super().__init__(deliveries, views)
        self._trace = trace

    def _deliver(self, view: View, start: int) -> None:
        if start:
            super()._deliver(view, start)
        else:
            self._trace.deliver(view, self.deliveries, self.shared)


class _Call(_ViewRun):
    """Something else that is done for each view, in its place between the runs."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[View], None], views: Iterable[View]) -> None:
        super().__init__(views)
        self.call = call

    def _deliver(self, view: View, start: int) -> None:
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
        self._runs: RunQueue[View] = RunQueue()

    def join(self, view: View) -> None:
        """The view receives what comes from now on."""
        self.views[view] = self.backlog.begin_round()
        if self.found:
            self._starts[view] = len(self.found)

    def leave(self, view: View) -> None:
        """The view receives nothing any more, not even what was found for it."""
        del self.views[view]
        self._starts.pop(view, None)
        self._runs.leave(view)

    def close(self, of_round: int | None = None, trace: DeliveryTrace | None = None) -> None:
        """What was found so far is a run: for every view, or for those that were there in this round of the backlog."""
        if not self.found:
            return
        views = [view for view, joined in self.views.items() if of_round is None or joined <= of_round]
        run = _Found(self.found, views) if trace is None else _Traced(self.found, views, trace)
        for view, start in self._starts.items():
            if view in run.waiting:
                run.waiting[view] = start
        self._runs.add(run)
        self.found, self._starts = [], {}

    def deliver_alone(self) -> bool:
        """Deliver what was found at once, if there is a single view and nothing else waits for it; returns whether that was so."""
        if len(self.views) != 1 or not self.found or self._runs or self._starts:
            return False
        (view,) = self.views
        found, self.found = self.found, []
        try:
            view.deliver(found, {})
        except Exception:
            logger.exception("a change of %s could not be delivered", view.follows and view.follows.feed.name)
            view.give_up()
        return True

    def each(self, call: Callable[[View], None]) -> None:
        """Call with every view, behind what is to be delivered to it. Until then it is complete up to nowhere."""
        self.close()
        self._runs.add(_Call(call, self.views))

    @property
    def delivering(self) -> bool:
        """Whether some views have not received all runs."""
        return bool(self._runs)

    def deliver(self, until: float = inf) -> bool:
        """Deliver the runs to the views, until that time; returns whether there are more of them."""
        return self._runs.deliver(until)

    def catch_up(self, view: View) -> None:
        """Deliver to one view, before the others, what was found for it so far."""
        self._runs.catch_up(view)
        if self.found and view in self.views:
            start, self._starts[view] = self._starts.get(view, 0), len(self.found)
            _Found(list(self.found)).deliver(view, start)

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
            if view not in run.waiting:
                continue
            if isinstance(run, _Found):
                yield from _numbers(run.deliveries[run.waiting[view] :])
            else:
                yield 1
        yield from _numbers(self.found[self._starts.get(view, 0) :])
        waiting = self.backlog.first(joined)
        if waiting is not None:
            yield waiting


def _numbers(deliveries: Sequence[Delivery]) -> Iterator[int]:
    return (delivery.seq for delivery in deliveries[:1] if delivery.seq is not None)
