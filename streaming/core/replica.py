"""A replica: this process's live copy of one feed, and the audiences that follow it.
It is the source of the old version of an item, so a change can be judged on both. Everything here is synchronous: between taking
a snapshot and joining, or while a change is taken and judged, nothing else runs. That is what makes snapshot-then-stream exact.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from time import perf_counter

from . import judging
from .audience import Audience, Condition
from .box_grid import BoxGrid
from .deliveries import Delivery, Kind, Reserved, judged
from .feed import Cursor, Feed, FeedState, LogEntry
from .follower import OBSERVED, Follower, Replacement
from .items import Change, Item
from .places import Near, Places
from .runs import PIECE_SECONDS
from .selection import AtMoment, Difference, Missed, Replaced, Steps
from .turns import STEP_SECONDS
from .versions import Moment, Versions
from .view import View

logger = logging.getLogger(__name__)

ARRAYS_FROM = 32
"""Different filters with boxes; fewer are asked one by one."""
PLACES_FROM = 1000
"""Items; fewer are looked at one by one, in less than a millisecond."""
READING_SECONDS = 0.001
"""Of reading changes, before those are judged together."""
COMPARED = 1000
"""Items of a whole new state that are compared at a time."""


class Replica(Follower):
    """The live copy of one feed. Made by the hub from a state, then kept up to date with log entries."""

    def __init__(self, feed: Feed, state: FeedState) -> None:
        super().__init__(feed, state)
        self._grid: BoxGrid[Audience] = BoxGrid()
        self._everywhere: dict[Audience, None] = {}  # without boxes
        self._together = judging.MOST_CHANGES
        self._places: Places | None = None
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
        near, kinds = self._near(before, after, redraw), None
        if near is None:
            moment = self._versions.moment(self.seq, held or ())
        elif held:
            moment = self._versions.moment_of(list(dict.fromkeys([*near.keys, *held])), self.seq)
        else:
            moment, kinds = self._versions.moment_of(near.keys, self.seq), near.kinds
        return Difference(self.epoch, self.seq, AtMoment(moment, held), before, after, redraw, kinds)

    def _near(self, before: Condition | None, after: Condition | None, redraw: bool) -> Near | None:
        """See `Places.near`; None also if that is not known yet, or would not help."""
        anywhere = any(each is not None and each.boxes is None for each in (before, after))
        if anywhere or len(self.items) < PLACES_FROM:
            return None
        if self._places is None:
            self._places = Places(self.items)
            if self.turns is not None:
                self.turns.add(self, self._places.find_some, "selecting")
            else:
                while self._places.find_some():
                    pass
        return self._places.near(before, after, redraw) if self._places.known else None

    def select_missed(self, condition: Condition, since: Cursor) -> Missed | None:
        """What a client complete up to `since` must receive; None if the changes since then are not at hand (see `reaches`)."""
        changes = self.changes_since(since)
        return None if changes is None else Missed(self.epoch, self.seq, changes, condition)

    def changes_since(self, since: Cursor) -> list[Change] | None:
        """Every change after a cursor, in order; None if they are not at hand (see `reaches`)."""
        return list(islice(self.recent, since.seq + 1 - self._first, None)) if self.reaches(since) else None

    def select_steps(self, condition: Condition, since: Cursor) -> Steps | None:
        """What a client that was there until `since` would have received, change by change; None if that is not at hand."""
        changes = self.changes_since(since)
        return None if changes is None else Steps(self.epoch, self.seq, changes, condition)

    def snapshot(self, condition: Condition) -> list[Delivery]:
        """`select`, at once: everything that matches now, as `added`; the last one carries the promise."""
        return list(self.select(condition).run())

    def difference(self, before: Condition, after: Condition, redraw: bool = False) -> list[Delivery]:
        """`select`, at once."""
        return list(self.select(after, before, redraw).run())

    def moment(self, held: dict[str, Item | None] | None = None) -> Moment:
        """The items as they are now, to be read later; its keys include those of `held`."""
        return self._versions.moment(self.seq, held or ())

    def missed(self, condition: Condition, since: Cursor) -> list[Delivery] | None:
        """`select_missed`, at once."""
        selection = self.select_missed(condition, since)
        return None if selection is None else list(selection.run())

    def _take(self, entries: deque[LogEntry]) -> list[Change]:
        if len(self._grid) < ARRAYS_FROM:
            changes = self._read(entries, 1)
            self._accept(changes, entries)
            self._judge_each(self.audiences.values(), changes)
            return changes
        changes = self._read(entries, self._most_together)
        if len(changes) == 1 and (few := self._grid.few(judging.places_of(changes[0]))) is not None:
            self._accept(changes, entries)
            self._judge_each([*self._everywhere, *few], changes)
            return changes
        questions = judging.questions(changes, self._grid)
        fitted, changes = questions.changes == len(changes), changes[: questions.changes]
        self._together = min(self._together + self._together // 4 + 1, judging.MOST_CHANGES) if fitted else len(changes)
        self._accept(changes, entries)
        self._judge_each(self._everywhere, changes)
        self._judge_together(questions, changes)
        return changes

    @property
    def _most_together(self) -> int:
        """How many changes may be judged without a pause."""
        fitting = min(self._together, max(1, judging.MOST_ASKED // max(len(self._everywhere), 1)))
        return min(fitting, OBSERVED) if self.observers else fitting

    def _read(self, entries: deque[LogEntry], most: int) -> list[Change]:
        """The first changes, as many as can be read in a moment."""
        changes, until, latest = list[Change](), perf_counter() + READING_SECONDS, dict[str, Item | None]()
        for entry in entries:
            old = latest[entry.key] if entry.key in latest else self.items.get(entry.key)
            change = entry.change(old)
            latest[entry.key] = change.new
            changes.append(change)
            if len(changes) >= most or perf_counter() >= until:
                break
        return changes

    def _accept(self, changes: list[Change], entries: deque[LogEntry]) -> None:
        for change in changes:
            self.last = entries.popleft()
            self._versions.apply(change)
            if self._places is not None:
                self._places.put(change.key, None if change.new is None else change.new.box)
            self.recent.append(change)
        self.seq = changes[-1].seq

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

    def replacing(self, state: FeedState, different: list[Replacement] | None = None) -> Iterator[None]:
        if different is None:
            different = []
            self._compare_some(iter({**self.items, **state.items}), state.items, different, most=None)
        self._take_state(state)
        self.epoch, self.seq = state.cursor.epoch, state.cursor.seq
        self.recent.clear()
        audiences = list(self.audiences.values())
        for audience in audiences:
            if audience.backlog:  # its clients have not received the state that is compared
                audience.give_up()
            else:
                audience.each(self._replacement(audience, different))
        self._notify_replaced(different)
        until = perf_counter() + PIECE_SECONDS
        for audience in audiences:
            until = yield from self._deliver(audience, until)

    def _take_state(self, state: FeedState) -> None:
        self._versions = Versions(state.items)
        self._places = None

    def _opened(self, audience: Audience) -> None:
        boxes = audience.filter.boxes
        if boxes is None:
            self._everywhere[audience] = None
        else:
            self._grid.add(audience, boxes, audience.filter.plain)

    def _closed(self, audience: Audience) -> None:
        if audience in self._everywhere:
            del self._everywhere[audience]
        else:
            self._grid.remove(audience)

    def _judge_each(self, audiences: Collection[Audience], changes: list[Change]) -> None:
        for change in changes:
            self._judge_one(list(audiences), change)

    def _judge_one(self, audiences: list[Audience], change: Change) -> None:
        old, new = change.old, change.new
        deliveries: dict[Kind, Delivery] = {}
        kind: Kind
        for audience in audiences:  # `_judge`, written out
            if audience.costly:
                self._judge_costly(audience, change)
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
            self._add(audience, delivery)

    def _judge_together(self, questions: judging.Questions, changes: list[Change]) -> None:
        """Of changes that many audiences with boxes may want: who wants what."""
        entries = self._grid.entries
        wanted, costly = [], None
        for mark, number, at, is_new in judging.asked(questions.open):
            audience = entries[number]
            if audience is None:  # it has failed
                continue
            change = changes[at]
            if audience.costly:
                if costly != (number, at):  # both of its versions are judged
                    costly = number, at
                    self._judge_costly(audience, change)
                continue
            item = change.new if is_new else change.old
            try:
                if item is not None and audience.matches(item):
                    wanted.append(mark)
            except Exception:
                logger.exception("a filter on %s failed at %s", self.feed.name, change.key)
                audience.give_up()
        marks = judging.with_answers(questions.certain, wanted)
        for number, found in judging.told(marks, lambda at, kind: judged(changes[at], kind, self.epoch)):
            audience = entries[number]
            if audience is None:
                continue
            if audience.found:
                audience.found += found
            else:
                audience.found = found
                self._found_for.append(audience)

    def _judge_costly(self, audience: Audience, change: Change) -> None:
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
            self._add(audience, delivery)

    def _judged(self, audience: Audience, change: Change) -> Delivery | None:
        kind = self._judge(audience, change.old, change.new)
        return None if kind is None else judged(change, kind, self.epoch)

    @staticmethod
    def _judge(audience: Audience, old: Item | None, new: Item | None) -> Kind | None:
        was = old is not None and audience.matches(old)
        if new is not None and audience.matches(new):
            return "updated" if was else "added"
        return "deleted" if was else None

    def _replacement(self, audience: Audience, changed: list[Replacement]) -> Callable[[View], None]:
        """Sends a view what is different, before whatever comes after; if that is much and there are turns, it is found in them."""
        selection = Difference(self.epoch, self.seq, Replaced(changed), audience.filter, audience.filter)
        if self.turns is None or selection.small:
            return lambda view: view.bulk(selection.run())
        places: deque[tuple[View, Reserved]] = deque()
        selecting = True

        def step() -> bool:
            nonlocal selecting
            if selecting:
                selecting = selection.step()
                return True
            until = perf_counter() + STEP_SECONDS
            while places:
                view, place = places.popleft()
                view.outbox.fill(place, [view.bulk_of(selection)])
                if perf_counter() >= until:
                    break
            return bool(places)

        def put(view: View) -> None:
            if selecting:
                places.append((view, view.reserve()))
            else:
                view.bulk(selection)

        self.turns.add(self, step, "selecting")
        return put
