"""An aggregate: a feed of cells that is derived, in this process, from the replica of a layer.

It is a replica like any other: views join it, with a box that selects cells, and are sent snapshots, changes and differences. It observes
the layer and works in rounds, in turns with other work: the changes since the last round are counted (one a feature, however often it has
changed), the cells that they touched are written anew, and what is different is delivered. Between two rounds there is some time, so that a
busy cell is sent a few times a second and not with each feature.

Its cursors are those of the layer, with a mark of what is counted: they mean the same in every process, and one of another aggregate is
refused. While a round is under way the aggregate's own cursor stays where it was; it never promises what has not been delivered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha1
from time import perf_counter
from typing import TYPE_CHECKING

from streaming.core.audience import Audience
from streaming.core.deliveries import Kind, judged
from streaming.core.feed import Cursor, FeedState
from streaming.core.filters import Filter
from streaming.core.follower import Replacement
from streaming.core.hub import Hub
from streaming.core.index import BoxIndex
from streaming.core.items import Change, Item
from streaming.core.replica import Replica
from streaming.core.selection import AtMoment, Difference
from streaming.core.turns import STEP_SECONDS, Pace, Turns
from streaming.core.versions import Moment

from .bulk import BulkCount
from .cells import Cell, CellWriter
from .counting import CellCounts
from .grids import GRIDS
from .missed import MissedCells
from .single_count import check_size
from .spec import AggregateSpec

if TYPE_CHECKING:
    from streaming.core.audience import Condition
    from streaming.core.view import View

logger = logging.getLogger(__name__)

COUNTED = 1000
"""Features of a whole layer that are counted at first in one go."""
MOST_COUNTED = 5000
UNWATCHED_SECONDS = 2.0
"""At the least between two rounds of one that nobody looks at: each cell is written once in them. Whoever comes has the next begin."""
MARK = "~"
"""Between the layer's epoch and the mark of what is counted."""


class Aggregate(Replica):
    """The cells of one layer, grid and filter. `build` it before anything else."""

    def __init__(
        self,
        source: Replica,
        spec: AggregateSpec,
        condition: Filter,
        turns: Turns,
        pause: Callable[[], float],
        most: Callable[[Aggregate], int],
    ) -> None:
        """`pause` is seconds between two rounds, `most` how many cells this one may have now."""
        self.source = source
        self.spec = spec
        self._mark = MARK + sha1(repr((spec, condition.key)).encode(), usedforsecurity=False).hexdigest()[:8]
        super().__init__(source.feed, FeedState(self._marked(source.cursor), {}))
        self.turns = turns
        self.on_held = source.on_held
        self._pause, self._most = pause, most
        self._counts = CellCounts(GRIDS[spec.by](spec.resolution), spec.properties, condition)
        self._writer = CellWriter(self._counts.grid, spec.properties)
        self._cells: dict[int, Cell] = {}
        self._expected = 0
        self._boxes: BoxIndex[Audience] = BoxIndex()
        self._pending: dict[str, tuple[Item | None, Item | None]] = {}
        self._round: Iterator[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self._resting: list[asyncio.Future[None]] = []
        self._steps = 0
        self._looking = asyncio.Lock()
        self._calls = self._served = 0
        self._built = False
        self.closed = False
        self.holders = 0
        """Who is about to join."""

    # -- life ----------------------------------------------------------------

    async def build(self) -> None:
        """Count what is there, and follow the layer from there on. `StreamError("too_many_cells")`."""
        self.source.observe(self)
        self.source.costly_filters += self._counts.costly
        self.idle_since = time.monotonic()
        try:
            await self._count_all(self.source.moment(), self.source.cursor)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Follow the layer no longer."""
        if self in self.source.observers:
            self.source.unobserve(self)
            self.source.costly_filters -= self._counts.costly
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._round, self._pending = None, {}
        self._notify_resting()

    async def reach(self, hub: Hub, since: Cursor) -> bool:
        """Make what was missed since a cursor available, if the layer's log still has it. That holds until something awaits.

        The client may hold cells that are newer than its cursor, from a process that was ahead of this one. Everything stored so far is
        counted first, or a cell that comes and goes within one round here would stay with it for ever.
        """
        theirs = self._unmarked(since)
        if theirs is None:
            return False
        await self.catch_up_with(hub)
        return await hub.reach(self.source, theirs) and await self._rest(theirs) and self.reaches(since)

    async def catch_up_with(self, hub: Hub) -> None:
        """Count everything that was stored before this call. Those who ask at the same time share a look at Redis."""
        self._calls += 1
        mine = self._calls
        async with self._looking:
            if self._served < mine:
                covered = self._calls
                await hub.refresh(self.source)
                self._served = covered
        await self._rest(self.source.cursor)

    async def _rest(self, there: Cursor) -> bool:
        """Wait until it is at rest, and has counted what the layer had there; returns whether it has."""
        while not self.closed and self.source.epoch == there.epoch:
            if self.at_rest and self.epoch == self._marked(there).epoch and self.seq >= there.seq:
                return True
            resting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._resting.append(resting)
            if self.at_rest:
                self._hurry()
            await resting
        return False

    @property
    def size(self) -> int:
        """How many cells it has, or will have once they are written."""
        return len(self._counts.tallies) or self._expected

    @property
    def changes_counted(self) -> int:
        """Changes of features so far."""
        return self._counts.changes

    @property
    def at_rest(self) -> bool:
        """Whether no round is under way: all that was counted has been delivered."""
        return self._built and self._round is None and not self.closed

    @property
    def behind(self) -> bool:
        """Whether the layer has changed since the last round began."""
        return bool(self._pending) or self.cursor != self._marked(self.source.cursor)

    # -- what views ask for --------------------------------------------------

    def join(self, view: View) -> None:
        was_unwatched = not self.audiences
        super().join(view)
        view.outbox.aggregates += 1
        view.outbox.costly_filters += self._counts.costly
        if was_unwatched and self._timer is not None:
            self._hurry()

    def leave(self, view: View) -> None:
        super().leave(view)
        view.outbox.aggregates -= 1
        view.outbox.costly_filters -= self._counts.costly
        if self.idle:
            self.idle_since = time.monotonic()

    def moment(self, held: dict[str, Item | None] | None = None) -> Moment:
        return self._versions.moment(self._steps, held or ())

    def select(
        self, after: Condition | None, before: Condition | None = None, redraw: bool = False, held: dict[str, Item | None] | None = None
    ) -> Difference:
        return Difference(self.epoch, self.seq, AtMoment(self.moment(held), held), before, after, redraw)

    def position(self, view: View) -> Cursor:
        """What is delivered in a round promises what came before it."""
        audience = self.audiences.get(view.filter.key)
        waiting = None if audience is None else audience.first_undelivered(view)
        return self.cursor if waiting is None else Cursor(self.epoch, waiting)

    def reaches(self, since: Cursor) -> bool:
        theirs = self._unmarked(since)
        return self.at_rest and theirs is not None and since.epoch == self.epoch and since.seq <= self.seq and self.source.reaches(theirs)

    def select_missed(self, condition: Condition, since: Cursor) -> MissedCells | None:
        theirs = self._unmarked(since)
        changes = self.source.changes_since(theirs) if theirs is not None and self.reaches(since) else None
        if changes is None:
            return None
        missed = [change for change in changes if change.seq <= self.seq]
        return MissedCells(self.epoch, self.seq, missed, self._counts, self._writer, self.moment(), condition)

    # -- the layer -----------------------------------------------------------

    def changed(self, changes: Sequence[Change]) -> None:
        """Features have changed (as an observer of the layer)."""
        pending = self._pending
        for change in changes:
            before = pending.get(change.key)
            pending[change.key] = (change.old if before is None else before[0], change.new)
        self._schedule()

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        """The replica of the layer was read anew (as an observer)."""
        for key, old, new in different or ():
            before = self._pending.get(key)
            self._pending[key] = (old if before is None else before[0], new)
        self._schedule()

    # -- rounds --------------------------------------------------------------

    def _schedule(self) -> None:
        if not self.at_rest or self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(self._next_at - loop.time(), 0.0), self._begin)

    def _hurry(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._begin()

    def _begin(self) -> None:
        assert self.turns is not None
        self._timer = None
        self._round = self._one_round()
        self.turns.add(self, self._step, "aggregates")

    def _step(self) -> bool:
        """Some of a round; returns whether there is more."""
        try:
            if self._round is not None and _some(self._round):
                return True
        except Exception:
            logger.exception("an aggregate of %s failed", self.feed.name)
            self._fail()
            return False
        if not self.closed:
            self._round = None
            pause = self._pause() if self.audiences else max(self._pause(), UNWATCHED_SECONDS)
            self._next_at = asyncio.get_running_loop().time() + pause
            self._notify_resting()
            if self.behind:
                self._schedule()
        return False

    def _one_round(self) -> Iterator[None]:
        """In pieces: count what has changed, write the cells that this has touched, deliver."""
        pending, self._pending = self._pending, {}
        there = self._marked(self.source.cursor)
        touched: dict[int, None] = {}
        for old, new in pending.values():
            touched.update(dict.fromkeys(self._counts.change(old, new)))
            yield
        if len(self._counts.tallies) > self._most(self):
            logger.warning("an aggregate of %s has more than %d cells", self.feed.name, self._most(self))
            self._fail()
            return
        now = int(time.time() * 1000)
        for number in touched:
            self._write(number, now)
            yield
        yield from self._deliver_found()
        self.epoch, self.seq = there.epoch, there.seq

    def _write(self, number: int, now: int) -> None:
        """A new version of a cell, if it is different; each promises what came before this round."""
        before, tally = self._cells.get(number), self._counts.tallies.get(number)
        after = None if tally is None else self._writer.cell(number, tally, now, before)
        if (before is None and after is None) or (before is not None and after is not None and before.value == after.value):
            return
        self._tell(Change(self.seq, self._keep(number, before, after), before, after))

    def _tell(self, change: Change) -> None:
        """A cell stays where it is: whoever looks there is told."""
        either = change.new or change.old
        kind: Kind = "added" if change.old is None else "deleted" if change.new is None else "updated"
        delivery = judged(change, kind, self.epoch)
        assert either is not None
        for audience in self._boxes.candidates(either.box):
            if audience.matches(either):
                self._add(audience, delivery)

    def _opened(self, audience: Audience) -> None:
        super()._opened(audience)
        self._boxes.add(audience, audience.filter.boxes)

    def _closed(self, audience: Audience) -> None:
        super()._closed(audience)
        self._boxes.remove(audience)

    def _keep(self, number: int, before: Cell | None, after: Cell | None) -> str:
        if after is None:
            del self._cells[number]
        else:
            self._cells[number] = after
        either = after or before
        assert either is not None
        self._steps += 1
        self._versions.apply(Change(self._steps, either.key, before, after))
        return either.key

    # -- at first ------------------------------------------------------------

    async def _count_all(self, moment: Moment, there: Cursor) -> None:
        """What is there at a moment. What comes later waits for the first round."""
        assert self.turns is not None
        bulk = BulkCount(self._counts)
        pace, start = Pace(1 if self._counts.costly else COUNTED, 1, MOST_COUNTED), 0

        def step() -> bool:
            nonlocal start
            began, stop = perf_counter(), min(start + pace.size, len(moment))
            bulk.add(moment.items(start, stop))
            start = stop
            pace.took(perf_counter() - began)
            return start < len(moment)

        await self.turns.finish(self, step, "aggregates")
        self._expected = await asyncio.to_thread(bulk.sort)
        check_size(self._expected, self._most(self))
        self._counts.tallies = await asyncio.to_thread(bulk.tallies)
        self._expected = 0
        writing = self._write_all(int(time.time() * 1000))
        await self.turns.finish(self, lambda: _some(writing), "aggregates")
        self.epoch, self.seq = self._marked(there).epoch, there.seq
        self._built = True
        if self.behind:
            self._schedule()

    def _write_all(self, now: int) -> Iterator[None]:
        for number, tally in self._counts.tallies.items():
            self._keep(number, None, self._writer.cell(number, tally, now))
            yield

    # -- ends ----------------------------------------------------------------

    def _fail(self) -> None:
        """Its clients end, and find out when they come again."""
        for view in self.views:
            view.give_up()
        self.close()

    def _notify_resting(self) -> None:
        resting, self._resting = self._resting, []
        for each in resting:
            if not each.done():
                each.set_result(None)

    def _marked(self, cursor: Cursor) -> Cursor:
        return Cursor(cursor.epoch + self._mark, cursor.seq)

    def _unmarked(self, cursor: Cursor) -> Cursor | None:
        epoch, mark, rest = cursor.epoch.partition(MARK)
        return Cursor(epoch, cursor.seq) if mark + rest == self._mark else None


def _some(work: Iterator[None]) -> bool:
    """Do some of the work; returns whether there is more."""
    until = perf_counter() + STEP_SECONDS
    return any(perf_counter() >= until for _ in work)
