"""Followers: a process's copy of a feed that it follows. Position, recent changes, and the audiences that subscribe to it.

`Replica` (keyed state) and `Tail` (a log without state) are the two kinds; the hub feeds both in the same way: it has them take slices of
the log. A slice is judged and then delivered in pieces of a few milliseconds, between which everything else has its turn.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Protocol

from .audience import Audience
from .burst import burst
from .deliveries import Delivery
from .delivery_trace import DeliveryTrace
from .feed import Cursor, Feed, FeedState, LogEntry, parse_item
from .items import Change, Item
from .runs import PIECE_SECONDS
from .turns import STEP_SECONDS, Turns
from .view import View

logger = logging.getLogger(__name__)

JUDGING_SECONDS = 0.06
"""Of judging, before what was found is delivered. To judge a change for thousands of filters takes long, but to deliver fewer changes at a
time costs much more altogether: what a client is sent of them is one write."""
OBSERVED = 10
"""Changes given to observers at once: what each of them does with one takes up to some tenths of a millisecond."""

Replacement = tuple[str, Item | None, Item | None]
"""A key, its old version and its new one."""


def _nothing(view: View) -> None:
    pass


class Observer(Protocol):
    """A part of this process that receives every change of a feed, and keeps its own state of it."""

    def changed(self, changes: Sequence[Change]) -> None:
        """What happened, some changes at a time."""

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        """The follower has taken a whole new state: anything may have changed, or what is `different` has."""


class Follower(ABC):
    """One followed feed: position, recent changes, audiences."""

    def __init__(self, feed: Feed, state: FeedState) -> None:
        self.feed = feed
        self.epoch = state.cursor.epoch
        self.seq = state.cursor.seq
        self.recent: deque[Change] = deque(maxlen=feed.options.log_length)
        self.audiences: dict[Hashable, Audience] = {}
        self.observers: dict[Observer, None] = {}
        self.idle_since: float | None = None
        self.last: LogEntry | None = None
        """The line of the log that this copy is at, where that is known."""
        self.stamp = state.stamp
        """The stamp of the place that this copy is at (see `doorbell.py`), where that is known."""
        self.past_epochs: set[str] = set()
        self.costly_filters = 0
        """How many different ones the audiences have."""
        self.trace: DeliveryTrace | None = None
        """While somebody traces the feed."""
        self.turns: Turns | None = None
        """Where what costs much waits for its turn. Without, nothing waits."""
        self._costly_seconds = 0.0
        """How long costly filters may still take of the present slice of the log."""
        self._found_for: list[Audience] = []
        """The audiences for which something was found in the present slice, in the order in which it was."""
        self.on_held: Callable[[View], None] = _nothing
        """Called with a view whose throttle holds something."""

    @property
    def cursor(self) -> Cursor:
        """Where this copy is."""
        return Cursor(self.epoch, self.seq)

    @property
    def views(self) -> list[View]:
        """Every view that follows."""
        return [view for audience in self.audiences.values() for view in audience.views]

    @property
    def idle(self) -> bool:
        """Whether it has neither views nor observers."""
        return not self.audiences and not self.observers

    def observe(self, observer: Observer) -> None:
        """The observer receives changes from now on."""
        self.observers[observer] = None
        self.idle_since = None

    def unobserve(self, observer: Observer) -> None:
        """The observer receives no more changes."""
        self.observers.pop(observer, None)

    def join(self, view: View) -> None:
        """The view receives changes from now on."""
        audience = self.audiences.get(view.filter.key)
        if audience is None:
            audience = self.audiences[view.filter.key] = Audience(view.filter)
            self.costly_filters += audience.costly
            self._opened(audience)
        audience.join(view)
        view.outbox.costly_filters += audience.costly
        view.follows = self
        self.idle_since = None
        if view.holds:
            self.on_held(view)

    def leave(self, view: View) -> None:
        """The view receives no more changes."""
        audience = self.audiences[view.filter.key]
        audience.leave(view)
        view.outbox.costly_filters -= audience.costly
        if not audience.views:
            del self.audiences[view.filter.key]
            self.costly_filters -= audience.costly
            self._closed(audience)
        view.follows = None

    def position(self, view: View) -> Cursor:
        """Up to where the view has received what it wants: not up to here, if there was no time yet to judge or deliver everything."""
        audience = self.audiences.get(view.filter.key)
        waiting = None if audience is None else audience.first_undelivered(view)
        return self.cursor if waiting is None else Cursor(self.epoch, waiting - 1)

    def catch_up(self, view: View) -> None:
        """Deliver now what was found for the view so far: something is to be put behind it."""
        audience = self.audiences.get(view.filter.key)
        if audience is not None:
            audience.catch_up(view)

    def unjudged(self, view: View) -> dict[str, Item | None]:
        """The items of which the last changes were not judged for the view yet, as they were before these. What was is delivered first."""
        self.catch_up(view)
        audience = self.audiences[view.filter.key]
        return audience.backlog.replaced(audience.views[view])

    def reaches(self, since: Cursor) -> bool:
        """Whether every change after `since` is at hand."""
        return since.epoch == self.epoch and self._first - 1 <= since.seq <= self.seq

    def backfill(self, entries: list[LogEntry]) -> None:
        """Put older log entries, read from Redis, before the recent changes (for resumes)."""
        for entry in reversed([entry for entry in entries if entry.seq < self._first]):
            if entry.seq != self._first - 1 or len(self.recent) == self.recent.maxlen:
                return
            old = parse_item(entry.key, entry.old) if entry.old is not None else None
            self.recent.appendleft(entry.change(old))

    @property
    def _first(self) -> int:
        """The number of the oldest change at hand (of the next one, if there is none)."""
        return self.recent[0].seq if self.recent else self.seq + 1

    # -- the log -------------------------------------------------------------

    def apply(self, entries: Iterable[LogEntry]) -> None:
        """`pieces`, at once."""
        for _ in self.pieces(entries):
            pass

    def pieces(self, entries: Iterable[LogEntry]) -> Iterator[None]:
        """Take the next entries of the log, in order and without a hole, and deliver them to the views.

        A piece of the work is done each time another one is asked for, until there are no more: all of them must be done, and those of
        one slice before the next one is taken. Between two of them views may join, move and leave, and filters be asked.
        """
        waiting = deque(entries)
        began = perf_counter()
        changes, until, deliver_at = list[Change](), began + PIECE_SECONDS, began + JUDGING_SECONDS
        self._costly_seconds = STEP_SECONDS
        while waiting:
            changes += self._take(waiting)
            if len(changes) >= OBSERVED:  # the time that observers take is of this piece too
                self._notify_observers(changes)
                changes = []
            if (now := perf_counter()) < until:
                continue
            self._notify_observers(changes)
            changes = []
            if now > deliver_at:
                yield from self._deliver_found()
                now = perf_counter()
                deliver_at = now + JUDGING_SECONDS
            yield
            until = perf_counter() + PIECE_SECONDS
        self._notify_observers(changes)
        yield from self._deliver_found(until)

    @abstractmethod
    def _take(self, entries: deque[LogEntry]) -> list[Change]:
        """Take some entries from the front, at least one, and find out whom they concern (`_add`). Sets `last` to the last of them."""

    def _add(self, audience: Audience, delivery: Delivery) -> None:
        """A change concerns an audience."""
        if not audience.found:
            self._found_for.append(audience)
        audience.found.append(delivery)

    def _deliver_found(self, until: float = 0.0) -> Iterator[None]:
        """Deliver what was found, the first piece until then."""
        audiences, self._found_for = deque(self._found_for), []
        while audiences:
            if self.trace is None and self._deliver_alone(audiences, until):
                if perf_counter() >= until:
                    yield
                    until = perf_counter() + PIECE_SECONDS
                continue
            audience = audiences.popleft()
            audience.close(trace=self.trace)
            until = yield from self._deliver(audience, until)

    @staticmethod
    def _deliver_alone(audiences: deque[Audience], until: float) -> bool:
        """Deliver to those in front that have one view each, until then: thousands of clients may each have a viewport of their own."""
        some = False
        with burst:
            while audiences and audiences[0].deliver_alone():
                audiences.popleft()
                some = True
                if perf_counter() >= until:
                    break
        return some

    @staticmethod
    def _deliver(audience: Audience, until: float) -> Generator[None, None, float]:
        """Deliver the runs of an audience; returns when the piece is to end in which that was done."""
        more = True
        while more:
            more = audience.deliver(until)
            if perf_counter() >= until:
                yield
                until = perf_counter() + PIECE_SECONDS
        return until

    async def compare(self, state: FeedState) -> list[Replacement] | None:
        """What is different in a whole new state. Nothing else may change meanwhile."""
        return None

    def replace(self, state: FeedState) -> None:
        """`replacing`, at once."""
        for _ in self.replacing(state):
            pass

    @abstractmethod
    def replacing(self, state: FeedState, different: list[Replacement] | None = None) -> Iterator[None]:
        """Take a whole new state, because the log did not reach back to us, in pieces (see there). `different` is what `compare` found."""

    # -- costly filters ------------------------------------------------------

    @abstractmethod
    def _judged(self, audience: Audience, change: Change) -> Delivery | None:
        """What a change is for an audience."""

    def _postponed(self, audience: Audience, change: Change) -> bool:
        """Whether an audience with a costly filter judges this change later, in its turn."""
        backlog = audience.backlog
        if self.turns is None or (not backlog and self._costly_seconds > 0):
            return False
        if not backlog and not audience.delivering:
            owner = next(iter(audience.views)).outbox
            self.turns.add((owner, "filters"), lambda: self._judge_some(audience), "filters")
        self._lose(audience, backlog.add(change, self._conflates))
        return True

    _conflates = True
    """Whether several changes of one key may become one."""

    def _lose(self, audience: Audience, count: int) -> None:
        for view in list(audience.views) if count else ():
            view.lost(count)

    def _judge_some(self, audience: Audience) -> bool:
        """Deliver and judge what waits for about as long as a step may take; returns whether more waits."""
        backlog = audience.backlog
        if not audience.views:
            backlog.clear()
            return False
        end, number = perf_counter() + STEP_SECONDS, backlog.round
        audience.close(trace=self.trace)  # what was judged before any of this waited
        if audience.deliver(end):
            return True
        try:
            for change in backlog.take() if backlog else ():
                delivery = self._judged(audience, change)
                if delivery is not None:
                    audience.found.append(delivery)
                if perf_counter() >= end:
                    break
        except Exception:
            logger.exception("a filter on %s failed", self.feed.name)
            audience.give_up()
            return False
        audience.close(number, self.trace)
        return audience.deliver(end) or bool(backlog)

    def _notify_observers(self, changes: Sequence[Change]) -> None:
        for observer in list(self.observers) if changes else ():
            try:
                observer.changed(changes)
            except Exception:
                logger.exception("an observer of %s failed", self.feed.name)

    def _notify_replaced(self, different: Sequence[Replacement] | None = None) -> None:
        for observer in list(self.observers):
            observer.replaced(different)

    def _opened(self, audience: Audience) -> None:  # noqa: B027 (an optional hook)
        """A filter has its first view."""

    def _closed(self, audience: Audience) -> None:  # noqa: B027
        """A filter lost its last view."""
