"""A replica: this process's live copy of one feed, and the audiences that follow it.
It is the source of the old version of an item, so a change can be judged on both. Everything here is synchronous: between taking
a snapshot and joining, or between two changes of one turn, nothing else runs. That is what makes snapshot-then-stream exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from .deliveries import Delivery, Kind, judged
from .feed import Cursor, Feed, FeedState, LogEntry, parse_item
from .follower import Audience, Condition, Follower
from .index import BoxIndex
from .items import Change, Item


class Replica(Follower):
    """The live copy of one feed. Made by the hub from a state, then kept up to date with log entries."""

    def __init__(self, feed: Feed, state: FeedState) -> None:
        super().__init__(feed, state)
        self.items = _items(state)
        self._index: BoxIndex[Audience] = BoxIndex()

    def snapshot(self, compiled: Condition) -> list[Delivery]:
        """Everything that matches now, as `added`; the last one carries the promise."""
        matching = [("added", item) for item in self.items.values() if compiled.matches(item)]
        return self._told([(kind, item.key, item) for kind, item in matching], "left_view")

    def difference(self, before: Condition, after: Condition, redraw: bool = False) -> list[Delivery]:
        """What a client that held `before` must be told to hold `after`; with `redraw` also all that stays."""
        told: list[tuple[str, str, Item | None]] = []
        for item in self.items.values():
            was, now = before.matches(item), after.matches(item)
            if was and not now:
                told.append(("deleted", item.key, None))
            elif now and (redraw or not was):
                told.append(("updated" if was else "added", item.key, item))
        return self._told(told, "left_view")

    def missed(self, compiled: Condition, since: Cursor) -> list[Delivery] | None:
        """What a client complete up to `since` must be told; None if the changes since then are not at hand (see `reaches`)."""
        if not self.reaches(since):
            return None
        told: list[tuple[str, str, Item | None]] = []
        reasons: dict[str, str] = {}
        for key, (old, reason) in self._first_versions(since.seq).items():
            new = self.items.get(key)
            kind = self._judge(compiled, old, new)
            if kind == "deleted" or (kind and (old is None or new is None or old.value != new.value)):
                told.append((kind, key, None if kind == "deleted" else new))
                reasons[key] = "left_view" if new is not None else reason
        deliveries = self._told(told, "left_view")
        for delivery in deliveries:
            if delivery.kind == "deleted":
                delivery.reason = reasons[delivery.key]
        return deliveries

    def apply(self, entries: Iterable[LogEntry]) -> None:
        runs: dict[Audience, list[Delivery]] = {}
        for entry in entries:
            change = entry.change(self.items.get(entry.key))
            if change.new is None:
                self.items.pop(change.key, None)
            else:
                self.items[change.key] = change.new
            self.seq = change.seq
            self.changes += 1
            self.recent.append(change)
            self._judge_all(change, runs)
        for audience, run in runs.items():
            audience.tell(run)

    def replace(self, state: FeedState) -> None:
        old, self.items = self.items, _items(state)
        self.epoch, self.seq = state.cursor.epoch, state.cursor.seq
        self.recent.clear()
        changed = [
            (key, old.get(key), self.items.get(key))
            for key in {**old, **self.items}
            if key not in old or key not in self.items or old[key].value != self.items[key].value
        ]
        for audience in list(self.audiences.values()):
            self._tell_replaced(audience, changed)

    def _opened(self, audience: Audience) -> None:
        self._index.add(audience, audience.filter.boxes)

    def _closed(self, audience: Audience) -> None:
        self._index.remove(audience)

    def _judge_all(self, change: Change, runs: dict[Audience, list[Delivery]]) -> None:
        old, new = change.old, change.new
        deliveries: dict[Kind, Delivery] = {}
        candidates = self._index.candidates_of_change(None if old is None else old.box, None if new is None else new.box)
        for audience in candidates:
            kind = self._judge(audience.filter, old, new)
            if kind is None:
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

    def _told(self, told: list[tuple[str, str, Item | None]], reason: str) -> list[Delivery]:
        deliveries = [
            Delivery(kind, key, item, self.epoch, None, reason if kind == "deleted" else None)  # type: ignore[arg-type]
            for kind, key, item in told
        ]
        if deliveries:
            deliveries[-1].seq = self.seq
        return deliveries

    def _tell_replaced(self, audience: Audience, changed: list[tuple[str, Item | None, Item | None]]) -> None:
        told: list[tuple[str, str, Item | None]] = []
        for key, old, new in changed:
            kind = self._judge(audience.filter, old, new)
            if kind is not None:
                told.append((kind, key, None if kind == "deleted" else new))
        deliveries = self._told(told, "deleted")
        for view in list(audience.views):
            view.bulk(deliveries)

    def _first_versions(self, seq: int) -> dict[str, tuple[Item | None, str]]:
        """Per key changed after `seq`: its version at `seq` and the reason of its last change."""
        first: dict[str, tuple[Item | None, str]] = {}
        skip = seq + 1 - self.recent[0].seq if self.recent else 0
        for change in islice(self.recent, skip, None):
            old = first[change.key][0] if change.key in first else change.old
            first[change.key] = (old, change.reason or "deleted")
        return first


def _items(state: FeedState) -> dict[str, Item]:
    items = {}
    for key, stored in state.items.items():
        name = key.decode()
        items[name] = parse_item(name, stored)
    return items
