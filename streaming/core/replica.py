"""A replica: this process's live copy of one feed, and the audiences that follow it.
It is the source of the old version of an item, so a change can be judged on both. Everything here is synchronous: between taking
a snapshot and joining, or between two changes of one turn, nothing else runs. That is what makes snapshot-then-stream exact.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from math import inf
from time import perf_counter

from .deliveries import Delivery, Kind, judged
from .feed import Cursor, Feed, FeedState, LogEntry
from .follower import Audience, Condition, Follower, Replacement
from .index import BoxIndex
from .items import Change, Item
from .selection import AtMoment, Difference, Missed, Replaced
from .turns import STEP_SECONDS
from .versions import Versions

logger = logging.getLogger(__name__)

COMPARED = 1000
"""Items of a whole new state that are compared at a time."""


class Replica(Follower):
    """The live copy of one feed. Made by the hub from a state, then kept up to date with log entries."""

    def __init__(self, feed: Feed, state: FeedState) -> None:
        super().__init__(feed, state)
        self._index: BoxIndex[Audience] = BoxIndex()
        self._take_state(state)

    @property
    def items(self) -> dict[str, Item]:
        """The items by key as they are now."""
        return self._versions.current

    def select(
        self, after: Condition | None, before: Condition | None = None, redraw: bool = False, held: dict[str, Item | None] | None = None
    ) -> Difference:
        """What a client that holds `before` must receive to hold `after` as it is now; with `redraw` also all that stays.

        Without `before` that is a snapshot. `held` are versions that the client has instead of those of now (`unjudged`).
        """
        return Difference(self.epoch, self.seq, AtMoment(self._versions.moment(self.seq), held), before, after, redraw)

    def select_missed(self, condition: Condition, since: Cursor) -> Missed | None:
        """What a client complete up to `since` must receive; None if the changes since then are not at hand (see `reaches`)."""
        if not self.reaches(since):
            return None
        return Missed(self.epoch, self.seq, list(islice(self.recent, since.seq + 1 - self._first, None)), condition)

    def versions(self, since: Cursor | None = None) -> list[Item]:
        """Every item as it is; with a cursor, also as it was in the changes at hand since then."""
        found = list(self.items.values())
        if since is not None and self.reaches(since):
            for change in islice(self.recent, since.seq + 1 - self._first, None):
                found += [version for version in (change.old, change.new) if version is not None]
        return found

    def snapshot(self, condition: Condition) -> list[Delivery]:
        """`select`, at once: everything that matches now, as `added`; the last one carries the promise."""
        return list(self.select(condition).run())

    def difference(self, before: Condition, after: Condition, redraw: bool = False) -> list[Delivery]:
        """`select`, at once."""
        return list(self.select(after, before, redraw).run())

    def missed(self, condition: Condition, since: Cursor) -> list[Delivery] | None:
        """`select_missed`, at once."""
        selection = self.select_missed(condition, since)
        return None if selection is None else list(selection.run())

    def apply(self, entries: Iterable[LogEntry], seconds: float = inf) -> int:
        runs: dict[Audience, list[Delivery]] = {}
        changes: list[Change] = []
        items = self.items
        end, self._costly_seconds = perf_counter() + seconds, STEP_SECONDS
        for entry in entries:
            change = entry.change(items.get(entry.key))
            self._versions.apply(change)
            self.seq = change.seq
            self.recent.append(change)
            changes.append(change)
            self._judge_all(change, runs)
            if perf_counter() > end:
                break
        for audience, run in runs.items():
            audience.deliver(run)
        self._notify_observers(changes)
        return len(changes)

    async def compare(self, state: FeedState) -> list[Replacement]:
        found: list[Replacement] = []
        keys, comparing = iter({**self.items, **state.items}), True
        while comparing:
            comparing = self._compare_some(keys, state.items, found)
            await asyncio.sleep(0)
        return found

    def _compare_some(self, keys: Iterator[str], items: dict[str, Item], found: list[Replacement], most: int | None = COMPARED) -> bool:
        some = list(islice(keys, most))
        for key in some:
            old, new = self.items.get(key), items.get(key)
            if old is None or new is None or (old.value, old.arrived) != (new.value, new.arrived):
                found.append((key, old, new))
        return len(some) == most

    def replace(self, state: FeedState, different: list[Replacement] | None = None) -> None:
        if different is None:
            different = []
            self._compare_some(iter({**self.items, **state.items}), state.items, different, most=None)
        self._take_state(state)
        self.epoch, self.seq = state.cursor.epoch, state.cursor.seq
        self.recent.clear()
        for audience in list(self.audiences.values()):
            if audience.backlog:  # its clients have not received the state that is compared
                audience.give_up()
            else:
                self._deliver_replaced(audience, different)
        self._notify_replaced()

    def _take_state(self, state: FeedState) -> None:
        self._versions = Versions(state.items)

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
            if audience.costly:
                self._judge_costly(audience, change, runs)
                continue
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

    def _judge_costly(self, audience: Audience, change: Change, runs: dict[Audience, list[Delivery]]) -> None:
        if self._postponed(audience, change):
            return
        began = perf_counter()
        try:
            delivery = self._judged(audience, change)
        except Exception:
            logger.exception("a filter on %s failed at %s", self.feed.name, change.key)
            audience.give_up()
            return
        self._costly_seconds -= perf_counter() - began
        if delivery is not None:
            runs.setdefault(audience, []).append(delivery)

    def _judged(self, audience: Audience, change: Change) -> Delivery | None:
        kind = self._judge(audience, change.old, change.new)
        return None if kind is None else judged(change, kind, self.epoch)

    @staticmethod
    def _judge(audience: Audience, old: Item | None, new: Item | None) -> Kind | None:
        was = old is not None and audience.matches(old)
        if new is not None and audience.matches(new):
            return "updated" if was else "added"
        return "deleted" if was else None

    def _deliver_replaced(self, audience: Audience, changed: list[Replacement]) -> None:
        """What is different; found in turns where there are any, and sent before whatever comes after."""
        selection = Difference(self.epoch, self.seq, Replaced(changed), audience.filter, audience.filter)
        if self.turns is None or selection.small:
            selection.run()
            for view in list(audience.views):
                view.bulk(selection)
            return
        places = [(view, view.reserve()) for view in list(audience.views)]

        def step() -> bool:
            more = selection.step()
            for view, place in () if more else places:
                view.outbox.fill(place, [view.bulk_of(selection)])
            return more

        self.turns.add(self, step, "selecting")
