"""A replica: this process's live copy of one feed, and the audiences that follow it.
It is the source of the old version of an item, so a change can be judged on both. Everything here is synchronous: between taking
a snapshot and joining, or between two changes of one turn, nothing else runs. That is what makes snapshot-then-stream exact.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice

from .deliveries import Delivery, Kind, judged
from .feed import Cursor, Feed, FeedState, LogEntry
from .follower import Audience, Condition, Follower
from .index import BoxIndex
from .items import Change, Item

logger = logging.getLogger(__name__)


class Replica(Follower):
    """The live copy of one feed. Made by the hub from a state, then kept up to date with log entries."""

    def __init__(self, feed: Feed, state: FeedState) -> None:
        super().__init__(feed, state)
        self.items = state.items
        self._index: BoxIndex[Audience] = BoxIndex()

    def versions(self, since: Cursor | None = None) -> list[Item]:
        """Every item as it is; with a cursor, also as it was in the changes at hand since then."""
        found = list(self.items.values())
        if since is not None and self.reaches(since):
            for change in islice(self.recent, since.seq + 1 - self._first, None):
                found += [version for version in (change.old, change.new) if version is not None]
        return found

    def snapshot(self, condition: Condition) -> list[Delivery]:
        """Everything that matches now, as `added`; the last one carries the promise."""
        return self._promising([self._delivery("added", item.key, item) for item in self.items.values() if condition.matches(item)])

    def difference(self, before: Condition, after: Condition, redraw: bool = False) -> list[Delivery]:
        """What a client that holds `before` must receive to hold `after`; with `redraw` also all that stays."""
        deliveries: list[Delivery] = []
        for item in self.items.values():
            was, now = before.matches(item), after.matches(item)
            if was and not now:
                deliveries.append(self._delivery("deleted", item.key, None, "left_view"))
            elif now and (redraw or not was):
                deliveries.append(self._delivery("updated" if was else "added", item.key, item))
        return self._promising(deliveries)

    def emptied(self, condition: Condition) -> list[Delivery]:
        """The deletion of everything that matches, for a client that may no longer hold it."""
        held = [item for item in self.items.values() if condition.matches(item)]
        return self._promising([self._delivery("deleted", item.key, None, "left_view") for item in held])

    def missed(self, condition: Condition, since: Cursor) -> list[Delivery] | None:
        """What a client complete up to `since` must receive; None if the changes since then are not at hand (see `reaches`).

        The client may have received more than its cursor promises (a conflated change), so every key touched since is sent as it is
        now, and as deleted if any of its versions since can have reached the client.
        """
        if not self.reaches(since):
            return None
        deliveries: list[Delivery] = []
        for key, (was, ever, reason) in self._touched(condition, since.seq).items():
            new = self.items.get(key)
            if new is not None and condition.matches(new):
                deliveries.append(self._delivery("updated" if was else "added", key, new))
            elif ever:
                deliveries.append(self._delivery("deleted", key, None, reason if new is None else "left_view"))
        return self._promising(deliveries)

    def apply(self, entries: Iterable[LogEntry]) -> None:
        runs: dict[Audience, list[Delivery]] = {}
        changes: list[Change] = []
        for entry in entries:
            change = entry.change(self.items.get(entry.key))
            if change.new is None:
                self.items.pop(change.key, None)
            else:
                self.items[change.key] = change.new
            self.seq = change.seq
            self.recent.append(change)
            changes.append(change)
            self._judge_all(change, runs)
        for audience, run in runs.items():
            audience.deliver(run)
        self._notify_observers(changes)

    def replace(self, state: FeedState) -> None:
        old, self.items = self.items, state.items
        self.epoch, self.seq = state.cursor.epoch, state.cursor.seq
        self.recent.clear()
        changed = [
            (key, old.get(key), self.items.get(key))
            for key in {**old, **self.items}
            if key not in old
            or key not in self.items
            or (old[key].value, old[key].arrived) != (self.items[key].value, self.items[key].arrived)
        ]
        for audience in list(self.audiences.values()):
            self._deliver_replaced(audience, changed)
        self._notify_replaced()

    def _opened(self, audience: Audience) -> None:
        self._index.add(audience, audience.filter.boxes)

    def _closed(self, audience: Audience) -> None:
        self._index.remove(audience)

    def _judge_all(self, change: Change, runs: dict[Audience, list[Delivery]]) -> None:
        old, new = change.old, change.new
        deliveries: dict[Kind, Delivery] = {}
        candidates = self._index.candidates_of_change(None if old is None else old.box, None if new is None else new.box)
        kind: Kind
        for audience in candidates:  # the hottest loop there is: `_judge`, written out
            matches = audience.matches
            try:
                was = old is not None and matches(old)
                now = new is not None and matches(new)
            except Exception:
                logger.exception("a filter on %s failed at %s", self.feed.name, change.key)
                audience.give_up()
                continue
            if now:
                kind = "updated" if was else "added"
            elif was:
                kind = "deleted"
            else:
                continue
            delivery = deliveries.get(kind)
            if delivery is None:
                delivery = deliveries[kind] = judged(change, kind, self.epoch)
            runs.setdefault(audience, []).append(delivery)

    @staticmethod
    def _judge(compiled: Condition, old: Item | None, new: Item | None) -> Kind | None:
        was = old is not None and compiled.matches(old)
        if new is not None and compiled.matches(new):
            return "updated" if was else "added"
        return "deleted" if was else None

    def _delivery(self, kind: Kind, key: str, item: Item | None, reason: str | None = None) -> Delivery:
        return Delivery(kind, key, item, self.epoch, None, reason)

    def _promising(self, deliveries: list[Delivery]) -> list[Delivery]:
        if deliveries:
            deliveries[-1].seq = self.seq
        return deliveries

    def _deliver_replaced(self, audience: Audience, changed: list[tuple[str, Item | None, Item | None]]) -> None:
        deliveries: list[Delivery] = []
        for key, old, new in changed:
            kind = self._judge(audience.filter, old, new)
            if kind == "deleted":
                deliveries.append(self._delivery(kind, key, None, "deleted" if new is None else "left_view"))
            elif kind is not None:
                deliveries.append(self._delivery(kind, key, new))
        self._promising(deliveries)
        for view in list(audience.views):
            view.bulk(deliveries)

    def _touched(self, condition: Condition, seq: int) -> dict[str, tuple[bool, bool, str]]:
        """Per key changed after `seq`: did it match at `seq`, did any version since, and the reason of its last change."""
        touched: dict[str, tuple[bool, bool, str]] = {}
        for change in islice(self.recent, seq + 1 - self._first, None):
            if change.key in touched:
                was, ever, _ = touched[change.key]
            else:
                was = ever = change.old is not None and condition.matches(change.old)
            ever = ever or (change.new is not None and condition.matches(change.new))
            touched[change.key] = (was, ever, change.reason or "deleted")
        return touched
