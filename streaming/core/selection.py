"""Selections: what of a feed's items a client is to be sent, found a step at a time, and made as the socket takes it.

Of a selection only numbers are kept, four bytes an item. It is a sequence of deliveries, made when they are asked for.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Hashable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .deliveries import Delivery, Kind, judged
from .items import Change, Item
from .turns import Pace, Turns
from .versions import Moment

if TYPE_CHECKING:
    from .audience import Condition

SMALL = 100
"""So many items are looked at in one go."""
AT_ONCE = 5000
_KINDS: tuple[Kind, ...] = ("added", "updated", "deleted")
ADDED, UPDATED, DELETED, OPEN, NOTHING = range(5)
"""What an item is to a client: one of these kinds, what is not known yet, or nothing that it is told."""


Items = Sequence[Item | None]


class Subjects(Protocol):
    """What is judged: of each item the version that the client may hold, and the one that there is now."""

    def __len__(self) -> int:
        """How many there are."""

    def some(self, start: int, stop: int) -> tuple[Items, Items]:
        """The versions of some of them: those that the client may hold, and those of now."""

    def now(self, number: int) -> tuple[str, Item | None]:
        """The key of one, and what there is now."""


class Selection(Sequence[Delivery]):
    """Base class: `step` until it returns False; then it is the sequence of deliveries, of which the last one carries the promise."""

    def __init__(self, epoch: str, seq: int, pace: Pace) -> None:
        self.epoch = epoch
        self.seq = seq
        self._pace = pace
        self._next = 0

    def step(self) -> bool:
        """Look at some more; returns whether there is more to look at."""
        began, start = perf_counter(), self._next
        self._next = stop = min(start + self._pace.size, self._total)
        self._judge(start, stop)
        self._pace.took(perf_counter() - began)
        return self._next < self._total

    def run(self) -> Selection:
        """Look at everything at once."""
        while self.step():
            pass
        return self

    @property
    def small(self) -> bool:
        """Whether there is so little to look at that it can be done at once."""
        return self._total <= SMALL

    @property
    @abstractmethod
    def _total(self) -> int:
        """How many there are to look at."""

    @abstractmethod
    def _judge(self, start: int, stop: int) -> None:
        """Look at these."""

    def _delivery(self, at: int, kind: Kind, key: str, item: Item | None, reason: str | None) -> Delivery:
        return Delivery(kind, key, item, self.epoch, self.seq if at == len(self) - 1 else None, reason)


class Difference(Selection):
    """What a client that holds `before` must receive to hold `after`; with `redraw` also all that stays. None matches nothing."""

    def __init__(
        self,
        epoch: str,
        seq: int,
        subjects: Subjects,
        before: Condition | None,
        after: Condition | None,
        redraw: bool = False,
        kinds: NDArray[np.uint8] | None = None,
    ) -> None:
        """`kinds`: what is known of each subject beforehand; only those that are `OPEN` are judged. The array is used up."""
        costly = any(each is not None and each.costly for each in (before, after))
        super().__init__(epoch, seq, Pace(1 if costly else SMALL, 1, AT_ONCE))
        self._subjects = subjects
        self._before, self._after, self._redraw = before, after, redraw
        self._kinds = kinds
        self._found = array("I")

    @property
    def _total(self) -> int:
        return len(self._subjects)

    def _judge(self, start: int, stop: int) -> None:
        found = self._found
        if self._kinds is not None:
            self._judge_open(self._kinds[start:stop], start, stop)
            return
        before, after = self._subjects.some(start, stop)
        if self._before is None and self._after is not None:
            matches = self._after.matches
            found.extend(number << 2 | ADDED for number, now in enumerate(after, start) if now is not None and matches(now))
            return
        number = start
        for was, now in zip(before, after, strict=True):
            kind = self._kind(was, now)
            if kind is not None:
                found.append(number << 2 | kind)
            number += 1

    def _judge_open(self, kinds: NDArray[np.uint8], start: int, stop: int) -> None:
        if (kinds == OPEN).any():
            before, after = self._subjects.some(start, stop)
            for at in (kinds == OPEN).nonzero()[0].tolist():
                kind = self._kind(before[at], after[at])
                kinds[at] = NOTHING if kind is None else kind
        told = (kinds < OPEN).nonzero()[0]
        self._found.frombytes(((told + start) << 2 | kinds[told]).astype(self._found.typecode).tobytes())

    def _kind(self, was: Item | None, now: Item | None) -> int | None:
        held = was is not None and self._before is not None and self._before.matches(was)
        wanted = now is not None and self._after is not None and self._after.matches(now)
        if held and wanted:
            return UPDATED if self._redraw or not _same(was, now) else None
        return ADDED if wanted else DELETED if held else None

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, at: Any) -> Any:
        found = self._found[at]
        key, now = self._subjects.now(found >> 2)
        kind = _KINDS[found & 3]
        if kind == "deleted":
            return self._delivery(at, kind, key, None, "deleted" if now is None else "left_view")
        return self._delivery(at, kind, key, now, None)


class AtMoment(Subjects):
    """A feed's items at one moment. `held` are versions that the client holds instead, where it has not received the last changes yet."""

    def __init__(self, moment: Moment, held: Mapping[str, Item | None] | None = None) -> None:
        self._moment = moment
        self._held = held

    def __len__(self) -> int:
        return len(self._moment)

    def some(self, start: int, stop: int) -> tuple[Items, Items]:
        """Some of them."""
        items = self._moment.items(start, stop)
        if not self._held:
            return items, items
        key, held = self._moment.key, self._held
        return [held.get(key(number), item) for number, item in enumerate(items, start)], items

    def now(self, number: int) -> tuple[str, Item | None]:
        """One of them."""
        return self._moment.key(number), self._moment.item(number)


class Between(Subjects):
    """Two feeds at one moment each: a client that holds items of the one is to hold those of the other. Equal keys replace each other."""

    def __init__(self, before: Moment, after: Moment, held: Mapping[str, Item | None] | None = None) -> None:
        """`held` are versions that the client holds instead, where it has not received the last changes yet."""
        self._before, self._after, self._held = before, after, held or {}

    def __len__(self) -> int:
        return len(self._before) + len(self._after)

    def some(self, start: int, stop: int) -> tuple[Items, Items]:
        """Some of them: first everything that there was, then everything that is new."""
        middle = len(self._before)
        keys = list(map(self._before.key, range(start, min(stop, middle))))
        was = [self._was(key) for key in keys]
        now = [self._after.of(key) if old is not None else None for key, old in zip(keys, was, strict=True)]
        for number in range(max(start, middle), stop):
            key = self._after.key(number - middle)
            was.append(None)
            now.append(None if self._was(key) is not None else self._after.of(key))
        return was, now

    def now(self, number: int) -> tuple[str, Item | None]:
        """One of them."""
        middle = len(self._before)
        key = self._before.key(number) if number < middle else self._after.key(number - middle)
        return key, self._after.of(key)

    def _was(self, key: str) -> Item | None:
        return self._held[key] if key in self._held else self._before.of(key)


class Replaced(Subjects):
    """What is different in a whole new state: (key, old version, new version)."""

    def __init__(self, changed: Sequence[tuple[str, Item | None, Item | None]]) -> None:
        self._changed = changed

    def __len__(self) -> int:
        return len(self._changed)

    def some(self, start: int, stop: int) -> tuple[Items, Items]:
        """Some of them."""
        some = self._changed[start:stop]
        return [old for _, old, _ in some], [new for _, _, new in some]

    def now(self, number: int) -> tuple[str, Item | None]:
        """One of them."""
        key, _, new = self._changed[number]
        return key, new


class Missed(Selection):
    """What a client complete up to some number must receive to be complete up to `seq`; `changes` are all those in between.

    The client may have received more than its cursor promises (a conflated change), so every key touched since is sent as it is
    now, and as deleted if any of its versions since can have reached the client.
    """

    def __init__(self, epoch: str, seq: int, changes: Sequence[Change], condition: Condition) -> None:
        super().__init__(epoch, seq, Pace(1 if condition.costly else SMALL, 1, AT_ONCE))
        self._changes = changes
        self._matches = condition.matches
        self._touched: dict[str, tuple[bool, bool, bool, Change]] = {}  # matched at first, at any time, now; and the last change
        self._found: list[tuple[Kind, Change]] | None = None

    @property
    def _total(self) -> int:
        return len(self._changes)

    def _judge(self, start: int, stop: int) -> None:
        matches, touched = self._matches, self._touched
        for change in self._changes[start:stop]:
            if change.key in touched:
                was, ever, _, _ = touched[change.key]
            else:
                was = ever = change.old is not None and matches(change.old)
            now = change.new is not None and matches(change.new)
            touched[change.key] = (was, ever or now, now, change)
        if stop == self._total:
            self._finish()

    def _finish(self) -> None:
        found: list[tuple[Kind, Change]] = []
        for was, ever, now, change in self._touched.values():
            if now:
                found.append(("updated" if was else "added", change))
            elif ever:
                found.append(("deleted", change))
        self._found, self._touched, self._changes = found, {}, []

    def __len__(self) -> int:
        return len(self._found or ())

    def __getitem__(self, at: Any) -> Any:
        assert self._found is not None
        kind, change = self._found[at]
        if kind == "deleted":
            return self._delivery(at, kind, change.key, None, change.reason or "deleted" if change.new is None else "left_view")
        return self._delivery(at, kind, change.key, change.new, None)


async def find(selection: Selection, turns: Turns, owner: Hashable) -> None:
    """Find out what is selected; if there is much to look at, in turns with others."""
    if selection.small:
        selection.run()
    else:
        await turns.finish((owner, "selections"), selection.step, "selecting")


class Lines(Selection):
    """The lines of a log that are wanted of some changes, each with its own number."""

    def __init__(self, epoch: str, seq: int, changes: Sequence[Change], condition: Condition) -> None:
        super().__init__(epoch, seq, Pace(1 if condition.costly else SMALL, 1, AT_ONCE))
        self._changes = changes
        self._matches = condition.matches
        self._found = array("I")

    @property
    def _total(self) -> int:
        return len(self._changes)

    def _judge(self, start: int, stop: int) -> None:
        for number, change in enumerate(self._changes[start:stop], start):
            if change.new is not None and self._matches(change.new):
                self._found.append(number)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, at: Any) -> Any:
        change = self._changes[self._found[at]]
        return Delivery("event", str(change.seq), change.new, self.epoch, change.seq)


class Steps(Selection):
    """Changes one by one as a view would have received them, each with its own number and reason: several of one key stay several."""

    def __init__(self, epoch: str, seq: int, changes: Sequence[Change], condition: Condition) -> None:
        super().__init__(epoch, seq, Pace(1 if condition.costly else SMALL, 1, AT_ONCE))
        self._changes = changes
        self._matches = condition.matches
        self._found: list[tuple[Kind, Change]] = []

    @property
    def _total(self) -> int:
        return len(self._changes)

    def _judge(self, start: int, stop: int) -> None:
        matches = self._matches
        for change in self._changes[start:stop]:
            was = change.old is not None and matches(change.old)
            if change.new is not None and matches(change.new):
                self._found.append(("updated" if was else "added", change))
            elif was:
                self._found.append(("deleted", change))

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, at: Any) -> Any:
        kind, change = self._found[at]
        return judged(change, kind, self.epoch)


def _same(was: Item | None, now: Item | None) -> bool:
    """Whether the client sees no difference."""
    return was is now or (was is not None and now is not None and (was.value, was.arrived) == (now.value, now.arrived))
