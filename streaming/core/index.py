"""A spatial index of boxes: which filters or viewports a change at a place may concern.

A grid of several levels, each twice as fine as the one above. A box is stored at the finest level whose cells are at least as large as
the box, so it covers at most 2 x 2 cells; a query looks at its own cells of each level in use. A candidate only *may* touch the queried
box; what does touch it is never left out: places are turned into cells by a monotonic function, so edges cannot fall between cells.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable
from typing import Generic, TypeVar

from streaming.core.bbox import Box

T = TypeVar("T", bound=Hashable)

_MAX_LEVEL = 20
"""Cells of 360 / 2**20 degrees, 38 m; anything smaller, points too, is stored there."""
_STRIDE = 1 << 22
_SCAN = 64
"""A query that covers more cells of a level than this looks through the level's cells instead, if those are fewer."""


class _Level(Generic[T]):
    __slots__ = ("cells", "scale")

    def __init__(self, number: int) -> None:
        self.scale = (1 << number) / 360.0
        self.cells: dict[int, dict[T, None]] = {}

    def keys(self, box: Box) -> list[int]:
        """Every cell the box touches."""
        left, bottom, right, top = self._span(box)
        return [column * _STRIDE + row for column in range(left, right + 1) for row in range(bottom, top + 1)]

    def touched(self, box: Box) -> Iterable[dict[T, None]]:
        """The occupied cells that the box touches."""
        left, bottom, right, top = self._span(box)
        if (right - left + 1) * (top - bottom + 1) <= max(_SCAN, len(self.cells)):
            return [cell for key in self.keys(box) if (cell := self.cells.get(key))]
        return [cell for key, cell in self.cells.items() if left <= key // _STRIDE <= right and bottom <= key % _STRIDE <= top]

    def _span(self, box: Box) -> tuple[int, int, int, int]:
        west, south, east, north = box
        scale = self.scale
        return int((west + 180.0) * scale), int((south + 90.0) * scale), int((east + 180.0) * scale), int((north + 90.0) * scale)


class BoxIndex(Generic[T]):
    """Entries by the boxes (degrees, within the world, none crossing the antimeridian) they are interested in."""

    def __init__(self) -> None:
        self._levels: dict[int, _Level[T]] = {}
        self._everywhere: dict[T, None] = {}
        self._boxes: dict[T, tuple[Box, ...] | None] = {}

    def __len__(self) -> int:
        return len(self._boxes)

    def __contains__(self, entry: T) -> bool:
        return entry in self._boxes

    def add(self, entry: T, boxes: Collection[Box] | None) -> None:
        """Add or move an entry. Without boxes (None) it is a candidate for everything, with an empty list for nothing."""
        if entry in self._boxes:
            self.remove(entry)
        self._boxes[entry] = None if boxes is None else tuple(boxes)
        if boxes is None:
            self._everywhere[entry] = None
            return
        for box in boxes:
            number = level_of(box)
            level = self._levels.get(number) or self._levels.setdefault(number, _Level(number))
            for key in level.keys(box):
                level.cells.setdefault(key, {})[entry] = None

    def remove(self, entry: T) -> None:
        """Forget an entry; KeyError if it is not there."""
        boxes = self._boxes.pop(entry)
        if boxes is None:
            del self._everywhere[entry]
            return
        for box in boxes:
            self._remove_box(entry, box)

    def candidates(self, box: Box | None) -> Collection[T]:
        """The entries that may touch the box, each once, in a collection of the caller's own. Without a box: those of everywhere."""
        found = self._everywhere.copy()
        if box is not None:
            self._collect(box, found)
        return found

    def candidates_of_change(self, old: Box | None, new: Box | None) -> Collection[T]:
        """The entries that may touch either box, each once: those whom a change from old to new may concern."""
        found = self._everywhere.copy()
        if new is not None:
            self._collect(new, found)
        if old is not None and old != new:
            self._collect(old, found)
        return found

    def _collect(self, box: Box, found: dict[T, None]) -> None:
        west, south, east, north = box
        if west == east and south == north:
            for level in self._levels.values():
                scale = level.scale
                cell = level.cells.get(int((west + 180.0) * scale) * _STRIDE + int((south + 90.0) * scale))
                if cell:
                    found.update(cell)
            return
        for level in self._levels.values():
            for cell in level.touched(box):
                found.update(cell)

    def _remove_box(self, entry: T, box: Box) -> None:
        number = level_of(box)
        level = self._levels.get(number)
        if level is None:
            return
        for key in level.keys(box):
            cell = level.cells.get(key)
            if cell is not None:
                cell.pop(entry, None)
                if not cell:
                    del level.cells[key]
        if not level.cells:
            del self._levels[number]


def level_of(box: Box) -> int:
    """The finest level whose cells are at least as large as the box."""
    side = max(box[2] - box[0], box[3] - box[1])
    if side <= 360.0 / (1 << _MAX_LEVEL):
        return _MAX_LEVEL
    return max(0, math.floor(math.log2(360.0 / side)))
