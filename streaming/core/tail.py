"""A tail: the end of a log without state (events), as this process follows it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from itertools import islice
from time import perf_counter

from .audience import Audience, Condition
from .deliveries import Delivery
from .feed import Cursor, FeedState, LogEntry
from .follower import Follower, Replacement
from .items import Change
from .runs import PIECE_SECONDS
from .selection import Lines

logger = logging.getLogger(__name__)


class Tail(Follower):
    """Delivers every new line to the views that want it. Lines are never conflated; what is lost is counted."""

    def _take(self, entries: deque[LogEntry]) -> list[Change]:
        self.last = entries.popleft()
        change = self.last.change(None)
        self.seq = change.seq
        self.recent.append(change)
        delivery = Delivery("event", str(change.seq), change.new, self.epoch, change.seq)
        for audience in list(self.audiences.values()):
            self._judge(audience, change, delivery)
        return [change]

    def _judge(self, audience: Audience, change: Change, delivery: Delivery) -> None:
        if audience.costly and self._postponed(audience, change):
            return
        began = perf_counter() if audience.costly else 0.0
        try:
            if change.new is not None and audience.matches(change.new):
                self._add(audience, delivery)
        except Exception:
            logger.exception("a filter on %s failed at %s", self.feed.name, change.seq)
            audience.give_up()
        if audience.costly:
            self._costly_seconds -= perf_counter() - began

    def replacing(self, state: FeedState, different: list[Replacement] | None = None) -> Iterator[None]:
        lost = state.cursor.seq - self.seq if state.cursor.epoch == self.epoch else state.cursor.seq
        self.epoch, self.seq = state.cursor.epoch, state.cursor.seq
        self.recent.clear()
        audiences = list(self.audiences.values())
        for audience in audiences:
            audience.backlog.clear()
            audience.each(lambda view: view.lost(max(lost, 0)))
        self._notify_replaced()
        until = perf_counter() + PIECE_SECONDS
        for audience in audiences:
            until = yield from self._deliver(audience, until)

    _conflates = False

    def _judged(self, audience: Audience, change: Change) -> Delivery | None:
        if change.new is None or not audience.matches(change.new):
            return None
        return Delivery("event", str(change.seq), change.new, self.epoch, change.seq)

    def select_missed(self, condition: Condition, since: Cursor) -> tuple[Lines, int]:
        """What a client that was there until `since` has missed, and how many lines before that are gone for good."""
        known = since.epoch == self.epoch and since.seq <= self.seq
        gap = max(self._first - 1 - since.seq, 0) if known else 0
        skip = max(since.seq + 1 - self._first, 0) if known else len(self.recent)
        return Lines(self.epoch, self.seq, list(islice(self.recent, skip, None)), condition), gap

    def missed(self, condition: Condition, since: Cursor) -> tuple[list[Delivery], int]:
        """`select_missed`, at once."""
        lines, gap = self.select_missed(condition, since)
        return list(lines.run()), gap
