"""A grid of boxes: which of very many the places of some changes touch, found for all of these at once, with arrays.

`BoxIndex` (see there) finds the candidates of one place; this finds, of all pairs of a place and a box, those that do touch. A box is
listed in the cells of one level of a grid, at most 2 x 2 of them. For each cell that a place is in, the box is compared with what is listed
there: few at a time together with those of other cells, many as the columns of that cell, which are kept for the next time.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Hashable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .bbox import Box
from .index import level_of

T = TypeVar("T", bound=Hashable)
Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

_STRIDE = 1 << 22
_FEW = 32
"""Candidates, about, that are sooner asked one by one than compared with arrays."""
_COLUMNS_FROM = 256
"""Of a cell that lists so many boxes their columns are kept."""
_MOST_CELLS = 64
"""A place that covers more cells of a level than this looks through the level's cells instead, if those are fewer."""


class Touching(NamedTuple):
    """Pairs of an entry and a place; a pair may be there twice."""

    entries: Numbers
    places: Numbers
    certain: NDArray[np.bool_]
    """The entry wants whatever touches its boxes, and the place is inside of one, so that whatever is there touches it."""


_NONE = Touching(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))


class _Cell(NamedTuple):
    level: _Level
    key: int
    rows: array[int]
    places: list[int]


class _Level:
    """The cells of one size: for each, by its number, the rows of the boxes that it lists."""

    __slots__ = ("cells", "columns", "scale")

    def __init__(self, number: int) -> None:
        self.scale = (1 << number) / 360.0
        self.cells: dict[int, array[int]] = {}
        self.columns: dict[int, tuple[NDArray[np.uint32], Floats]] = {}

    def span(self, box: Box) -> tuple[int, int, int, int]:
        west, south, east, north = box
        scale = self.scale
        return int((west + 180.0) * scale), int((south + 90.0) * scale), int((east + 180.0) * scale), int((north + 90.0) * scale)

    def keys(self, box: Box) -> list[int]:
        left, bottom, right, top = self.span(box)
        return [column * _STRIDE + row for column in range(left, right + 1) for row in range(bottom, top + 1)]

    def occupied(self, box: Box) -> list[int]:
        """The cells that a box covers, if anything is listed there."""
        left, bottom, right, top = self.span(box)
        if left == right and bottom == top:
            key = left * _STRIDE + bottom
            return [key] if key in self.cells else []
        if (right - left + 1) * (top - bottom + 1) <= max(_MOST_CELLS, len(self.cells)):
            return [key for key in self.keys(box) if key in self.cells]
        return [key for key in self.cells if left <= key // _STRIDE <= right and bottom <= key % _STRIDE <= top]

    def with_places(self, bounds: Floats, places: Sequence[Box], are_points: bool) -> list[_Cell]:
        """The cells with something in them that places are in."""
        cells, found = self.cells, dict[int, list[int]]()
        if are_points:
            for place, key in enumerate(self._of_points(bounds[:, :2])):
                if key in cells:
                    found.setdefault(key, []).append(place)
        else:
            for place, box in enumerate(places):
                for key in self.occupied(box):
                    found.setdefault(key, []).append(place)
        return [_Cell(self, key, cells[key], here) for key, here in found.items()]

    def _of_points(self, points: Floats) -> list[int]:
        """The cell of each of (n, 2) points."""
        cells = ((points + _FROM_CORNER) * self.scale).astype(np.int64)
        keys: list[int] = (cells[:, 0] * _STRIDE + cells[:, 1]).tolist()
        return keys


_FROM_CORNER = np.array([180.0, 90.0])


class BoxGrid(Generic[T]):
    """Entries by their boxes (degrees, within the world, none crossing the antimeridian). Entries have numbers, which are reused."""

    def __init__(self) -> None:
        self.entries: list[T | None] = []
        """By number."""
        self._rows: dict[T, tuple[int, ...]] = {}
        self._free: list[int] = []
        self._boxes = np.empty((4, 16))
        self._owners = np.empty(16, np.int64)
        self._plain = np.empty(16, np.bool_)
        self._levels: dict[int, _Level] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, entry: T, boxes: Collection[Box], plain: bool) -> None:
        """Add an entry that is not there yet; `plain`: it wants whatever touches its boxes. One without boxes touches nothing."""
        rows = tuple(self._new_row() for _ in boxes)
        self._rows[entry] = rows
        for row, box in zip(rows, boxes, strict=True):
            self.entries[row] = entry
            self._boxes[:, row] = box
            self._owners[row] = rows[0]
            self._plain[row] = plain
            number = level_of(box)
            level = self._levels.get(number) or self._levels.setdefault(number, _Level(number))
            for key in level.keys(box):
                cell = level.cells.get(key)
                if cell is None:
                    cell = level.cells[key] = array("I")
                cell.append(row)
                level.columns.pop(key, None)

    def remove(self, entry: T) -> None:
        """Forget an entry; KeyError if it is not there."""
        for row in self._rows.pop(entry):
            self.entries[row] = None
            self._free.append(row)
            west, south, east, north = self._boxes[:, row].tolist()
            self._unlist(row, (west, south, east, north))

    def few(self, places: Sequence[Box]) -> list[T] | None:
        """The entries that may touch one of a few places, each once; None if these are more than a few."""
        rows = set[int]()
        for level in self._levels.values():
            for place in places:
                for key in level.occupied(place):
                    cell = level.cells[key]
                    if len(rows) + len(cell) > _FEW:
                        return None
                    rows.update(cell)
        return list(dict.fromkeys(entry for row in rows if (entry := self.entries[row]) is not None))

    def touching(self, places: Sequence[Box], most: int | None = None) -> Touching | None:
        """Every pair of an entry and a place that touch: for the number of a place its position in the sequence stands.

        None if more than `most` pairs would have to be compared for that.
        """
        bounds = np.array(places, np.float64).reshape(-1, 4)
        are_points = bool((bounds[:, :2] == bounds[:, 2:]).all())
        cells = [cell for level in self._levels.values() for cell in level.with_places(bounds, places, are_points)]
        if most is not None and sum(len(cell.rows) * len(cell.places) for cell in cells) > most:
            return None
        few, of_few, counts = array("I"), list[int](), list[int]()
        found: list[tuple[NDArray[Any], NDArray[Any]]] = []
        for level, key, listed, here in cells:
            if len(listed) >= _COLUMNS_FROM:
                rows, boxes = self._columns_of(level, key)
                at, which = _meet(boxes[:, None, :], bounds[here].T[:, :, None]).nonzero()
                found.append((rows[which], np.array(here)[at]))
                continue
            for place in here:
                few.extend(listed)
                of_few.append(place)
                counts.append(len(listed))
        if few:
            rows, places_of = np.frombuffer(few, np.uint32), np.repeat(of_few, counts)
            meet = _meet(self._boxes[:, rows], bounds[places_of].T)
            found.append((rows[meet], places_of[meet]))
        if not found:
            return _NONE
        rows, places_of = np.concatenate([rows for rows, _ in found]), np.concatenate([places_of for _, places_of in found])
        certain = self._plain[rows]
        if not are_points:
            certain &= _holds(self._boxes[:, rows], bounds[places_of].T)
        return Touching(self._owners[rows], places_of, certain)

    def _columns_of(self, level: _Level, key: int) -> tuple[NDArray[np.uint32], Floats]:
        made = level.columns.get(key)
        if made is None:
            rows = np.array(level.cells[key], np.uint32)
            made = level.columns[key] = rows, self._boxes[:, rows]
        return made

    def _new_row(self) -> int:
        if self._free:
            return self._free.pop()
        self.entries.append(None)
        if len(self.entries) > len(self._owners):
            self._boxes = np.concatenate([self._boxes, np.empty_like(self._boxes)], axis=1)
            self._owners = np.concatenate([self._owners, np.empty_like(self._owners)])
            self._plain = np.concatenate([self._plain, np.empty_like(self._plain)])
        return len(self.entries) - 1

    def _unlist(self, row: int, box: Box) -> None:
        number = level_of(box)
        level = self._levels[number]
        for key in level.keys(box):
            cell = level.cells[key]
            cell.remove(row)
            level.columns.pop(key, None)
            if not cell:
                del level.cells[key]
        if not level.cells:
            del self._levels[number]


def _meet(boxes: Floats, places: Floats) -> NDArray[np.bool_]:
    """Whether boxes and places, given by west, south, east and north, have a place in common."""
    meet: NDArray[np.bool_] = boxes[0] <= places[2]
    meet &= boxes[2] >= places[0]
    meet &= boxes[1] <= places[3]
    meet &= boxes[3] >= places[1]
    return meet


def _holds(boxes: Floats, places: Floats) -> NDArray[np.bool_]:
    """Whether the boxes hold the whole of the places."""
    hold: NDArray[np.bool_] = boxes[0] <= places[0]
    hold &= boxes[2] >= places[2]
    hold &= boxes[1] <= places[1]
    hold &= boxes[3] >= places[3]
    return hold
