"""Where the items of a large feed are: their boxes as arrays, so that a snapshot or a moved view looks only at the items near its boxes.

To compare a box with a hundred thousand others takes a tenth of a millisecond. A tree would find a few of them sooner, but has to be
kept up to date with every change, which these arrays are in a fraction of a microsecond.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bbox import Box
from .selection import ADDED, DELETED, OPEN, UPDATED

if TYPE_CHECKING:
    from .audience import Condition
    from .items import Item

MOST_SHARE = 0.25
"""If more of all items are near, they are looked at one by one: to send them takes so much longer that nothing would be saved."""
FOUND = 1000
"""Items that are found at a time, in about a millisecond."""
_NOWHERE = (np.nan,) * 4
_MOST_BOXES = 2
"""That are looked at one by one; of more, what is around all of them."""


class Near(NamedTuple):
    """The keys of items, and what each of them is to a client: `selection.ADDED` and so on, `OPEN` where its place does not tell."""

    keys: list[str]
    kinds: NDArray[np.uint8]


class Places:
    """The boxes of items by key, in degrees. Items without geometry are not in it.

    Where the items are that are there already is found some at a time (`find_some`); meanwhile, and later, `put` what changes.
    """

    def __init__(self, items: Mapping[str, Item]) -> None:
        self.known = False
        """Whether all items have been found."""
        self._items = items
        self._unknown = iter(list(items))
        self._keys: list[str] = []
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._boxes = np.full((4, 1024), np.nan)

    def find_some(self) -> bool:
        """Find some more; returns whether there are more."""
        some = list(islice(self._unknown, FOUND))
        for key in some:
            item = self._items.get(key)  # as it is now: what has changed meanwhile is in its place already
            if item is not None:
                self.put(key, item.box)
        self.known = len(some) < FOUND
        return not self.known

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, key: str, box: Box | None) -> None:
        """An item is there now; None: it is gone, or has no geometry any more."""
        row = self._rows.get(key)
        if box is None:
            if row is not None:
                self._boxes[:, row] = _NOWHERE
                self._free.append(self._rows.pop(key))
            return
        if row is None:
            row = self._rows[key] = self._new_row(key)
        self._boxes[:, row] = box

    def near(self, before: Condition | None, after: Condition | None, redraw: bool) -> Near | None:
        """All items that may be told to a client that holds `before` and wants `after`; None if that may be a large part.

        With `redraw` also those that it holds and wants. Both have boxes.
        """
        may_be_held, may_be_wanted = self._touching(before), self._touching(after)
        rows = (may_be_held | may_be_wanted).nonzero()[0]
        held, wanted = self._matching(before, rows), self._matching(after, rows)
        kinds = np.full(len(rows), OPEN, np.uint8)
        kinds[wanted & ~may_be_held[rows]] = ADDED
        kinds[held & ~may_be_wanted[rows]] = DELETED
        kinds[held & wanted] = UPDATED
        if not redraw:
            told = (kinds != UPDATED).nonzero()[0]
            rows, kinds = rows[told], kinds[told]
        if len(rows) > MOST_SHARE * len(self):
            return None
        return Near(list(map(self._keys.__getitem__, rows.tolist())), kinds)

    def _touching(self, condition: Condition | None) -> NDArray[np.bool_]:
        """Which items may match."""
        west, south, east, north = self._boxes[:, : len(self._keys)]
        touching = np.zeros(len(self._keys), np.bool_)
        for box in _around(condition.boxes or ()) if condition is not None else ():
            touching |= (west <= box[2]) & (east >= box[0]) & (south <= box[3]) & (north >= box[1])
        return touching

    def _matching(self, condition: Condition | None, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of some items match for certain: those that are inside of a box, where boxes are all that counts."""
        west, south, east, north = self._boxes[:, rows]
        inside = np.zeros(len(rows), np.bool_)
        for box in condition.boxes or () if condition is not None and condition.plain else ():
            inside |= (west >= box[0]) & (east <= box[2]) & (south >= box[1]) & (north <= box[3])
        return inside

    def _new_row(self, key: str) -> int:
        if self._free:
            row = self._free.pop()
            self._keys[row] = key
            return row
        self._keys.append(key)
        if len(self._keys) > self._boxes.shape[1]:
            self._boxes = np.concatenate([self._boxes, np.full_like(self._boxes, np.nan)], axis=1)
        return len(self._keys) - 1


def _around(boxes: Collection[Box]) -> Collection[Box]:
    if len(boxes) <= _MOST_BOXES:
        return boxes
    wests, souths, easts, norths = zip(*boxes, strict=True)
    return [(min(wests), min(souths), max(easts), max(norths))]
