"""A tail: the end of a log without state (events), as this process follows it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice
from math import inf
from time import perf_counter

from .deliveries import Delivery
from .feed import Cursor, FeedState, LogEntry
from .follower import Audience, Condition, Follower, Replacement
from .items import Change
from .selection import Lines
from .turns import STEP_SECONDS

logger = logging.getLogger(__name__)


class Tail(Follower):
    """Delivers every new line to the views that want it. Lines are never conflated; what is lost is counted."""

    def apply(self, entries: Iterable[LogEntry], seconds: float = inf) -> int:
        runs: dict[Audience, list[Delivery]] = {}
        changes: list[Change] = []
        end, self._costly_seconds = perf_counter() + seconds, STEP_SECONDS
        for entry in entries:
            change = entry.change(None)
            self.seq = change.seq
            self.recent.append(change)
            changes.append(change)
            delivery = Delivery("event", str(change.seq), change.new, self.epoch, change.seq)
            for audience in list(self.audiences.values()):
                if audience.costly and self._postponed(audience, change):
                    continue
                began = perf_counter() if audience.costly else 0.0
                try:
                    if change.new is not None and audience.filter.matches(change.new):
                        runs.setdefault(audience, []).append(delivery)
                except Exception:
                    logger.exception("a filter on %s failed at %s", self.feed.name, change.seq)
                    audience.give_up()
                if audience.costly:
                    self._costly_seconds -= perf_counter() - began
            if perf_counter() > end:
                break
        for audience, run in runs.items():
            audience.deliver(run)
        self._notify_observers(changes)
        return len(changes)

    def replace(self, state: FeedState, different: list[Replacement] | None = None) -> None:
        lost = state.cursor.seq - self.seq if state.cursor.epoch == self.epoch else state.cursor.seq
        self.epoch, self.seq = state.cursor.epoch, state.cursor.seq
        self.recent.clear()
        for audience in self.audiences.values():
            audience.backlog.clear()
        for view in self.views:
            view.lost(max(lost, 0))
        self._notify_replaced()

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
