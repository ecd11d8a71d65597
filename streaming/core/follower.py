"""Followers: a process's copy of a feed that it follows. Position, recent changes, and the audiences that subscribe to it.

`Replica` (keyed state) and `Tail` (a log without state) are the two kinds; the hub feeds both in the same way.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from math import inf
from time import perf_counter
from typing import Protocol

from .backlog import Backlog
from .bbox import Box
from .deliveries import Delivery, Encoder
from .feed import Cursor, Feed, FeedState, LogEntry, parse_item
from .items import Change, Item
from .turns import STEP_SECONDS, Turns
from .view import View

logger = logging.getLogger(__name__)


Replacement = tuple[str, Item | None, Item | None]
"""A key, its old version and its new one."""


def _nothing(view: View) -> None:
    pass


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


class Observer(Protocol):
    """A part of this process that receives every change of a feed, and keeps its own state of it."""

    def changed(self, changes: Sequence[Change]) -> None:
        """What happened in one turn."""

    def replaced(self) -> None:
        """The follower has taken a whole new state: anything may have changed."""


class Audience:
    """The views of one feed that share a filter.

    Changes are judged as they come; if the filter is costly and there is no time for that, later, in turns (`backlog`). Views that joined
    meanwhile have what was before in their snapshots, and receive what came after.
    """

    __slots__ = ("backlog", "costly", "filter", "matches", "views")

    def __init__(self, condition: Condition) -> None:
        self.filter = condition
        self.matches = condition.matches
        self.costly = condition.costly
        self.backlog = Backlog()
        self.views: dict[View, int] = {}
        """With the round of the backlog from which on each receives changes."""

    def join(self, view: View) -> None:
        """The view receives what comes from now on."""
        self.views[view] = self.backlog.begin_round()

    def deliver(self, run: Sequence[Delivery], of_round: int | None = None) -> None:
        """Deliver a turn to every view, or to those that were there in this round; each variant is encoded once."""
        shared: dict[Encoder, object] = {}
        for view, joined in list(self.views.items()):
            if of_round is not None and joined > of_round:
                continue
            try:
                view.deliver(run, shared)
            except Exception:
                logger.exception("a change of %s could not be delivered", view.follows and view.follows.feed.name)
                view.give_up()

    def give_up(self) -> None:
        """The filter failed: its views end, so that all others are still served."""
        for view in list(self.views):
            view.give_up()


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
        self.past_epochs: set[str] = set()
        self.costly_filters = 0
        """How many different ones the audiences have."""
        self.turns: Turns | None = None
        """Where what costs much waits for its turn. Without, nothing waits."""
        self._costly_seconds = 0.0
        """How long costly filters may still take of the present slice of the log."""
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
        del audience.views[view]
        view.outbox.costly_filters -= audience.costly
        if not audience.views:
            del self.audiences[view.filter.key]
            self.costly_filters -= audience.costly
            self._closed(audience)
        view.follows = None

    def position(self, view: View) -> Cursor:
        """Up to where the view has received what it wants: not up to here, if there was no time yet to judge everything for it."""
        audience = self.audiences.get(view.filter.key)
        waiting = None if audience is None else audience.backlog.first(audience.views.get(view, 0))
        return self.cursor if waiting is None else Cursor(self.epoch, waiting - 1)

    def unjudged(self, view: View) -> dict[str, Item | None]:
        """The items of which the view has not received the last changes, as they were before these."""
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

    @abstractmethod
    def apply(self, entries: Iterable[LogEntry], seconds: float = inf) -> int:
        """Take the next entries of the log, in order and without a hole, and deliver them to the views.

        After so many seconds no more are taken; returns how many were.
        """

    async def compare(self, state: FeedState) -> list[Replacement] | None:
        """What is different in a whole new state. Nothing else may change meanwhile."""
        return None

    @abstractmethod
    def replace(self, state: FeedState, different: list[Replacement] | None = None) -> None:
        """Take a whole new state, because the log did not reach back to us. `different` is what `compare` found."""

    # -- costly filters ------------------------------------------------------

    @abstractmethod
    def _judged(self, audience: Audience, change: Change) -> Delivery | None:
        """What a change is for an audience."""

    def _postponed(self, audience: Audience, change: Change) -> bool:
        """Whether an audience with a costly filter judges this change later, in its turn."""
        backlog = audience.backlog
        if self.turns is None or (not backlog and self._costly_seconds > 0):
            return False
        if not backlog:
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
        """Judge what waits for about as long as a step may take; returns whether more waits."""
        backlog = audience.backlog
        if not audience.views or not backlog:
            backlog.clear()
            return False
        end, number, run = perf_counter() + STEP_SECONDS, backlog.round, []
        try:
            for change in backlog.take():
                delivery = self._judged(audience, change)
                if delivery is not None:
                    run.append(delivery)
                if perf_counter() >= end:
                    break
        except Exception:
            logger.exception("a filter on %s failed", self.feed.name)
            audience.give_up()
            return False
        if run:
            audience.deliver(run, number)
        return bool(backlog)

    def _notify_observers(self, changes: Sequence[Change]) -> None:
        for observer in list(self.observers):
            try:
                observer.changed(changes)
            except Exception:
                logger.exception("an observer of %s failed", self.feed.name)

    def _notify_replaced(self) -> None:
        for observer in list(self.observers):
            observer.replaced()

    def _opened(self, audience: Audience) -> None:  # noqa: B027 (an optional hook)
        """A filter has its first view."""

    def _closed(self, audience: Audience) -> None:  # noqa: B027
        """A filter lost its last view."""
