"""Counts a whole layer at once: places and values are collected in arrays, which a thread then sorts into cells.

Nothing here is done feature by feature but the collecting, which is done in pieces.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.core.items import Item

from .counting import CellCounts, Tally, place_of
from .exact_numbers import ExactNumbers

_box, _is_point = attrgetter("_box"), attrgetter("is_point")
_longitude, _latitude = itemgetter(0), itemgetter(1)
HALF = 26
"""A number's 53 bits are summed up in two halves, so that sums of billions of them fit into 64 bits."""


class BulkCount:
    """Features that are to be counted together."""

    def __init__(self, counts: CellCounts) -> None:
        """`counts` says what is counted, and where; it is not changed."""
        self._counts = counts
        self._cells = array("q")
        self._values = [array("d") for _ in counts.names]
        self._names = self._numbers = self._sizes = np.empty(0, np.int64)
        """Of the cells, once sorted; of each feature, the place of its cell among them; of each cell, how many features."""

    def add(self, items: Sequence[Item | None]) -> None:
        """Collect some."""
        matches = self._counts.matches
        found: Sequence[Item] = [item for item in items if item is not None and (matches is None or matches(item))]
        if all(map(_is_point, found)):  # without a step of Python for each
            places: list[Any] = list(map(_box, found))
        else:
            both = [(item, item.box if item.is_point else place_of(item)) for item in found]
            found = [item for item, place in both if place is not None]
            places = [place for _, place in both if place is not None]
        self._cells.extend(self._counts.grid.cells(map(_longitude, places), map(_latitude, places)))
        if self._values:
            for column, values in zip(self._values, self._counts.reader.columns(found), strict=True):
                column.extend(values)

    def sort(self) -> int:
        """Sort what was collected into cells; returns how many there are. For a thread: takes tenths of a second for a million features."""
        cells = np.frombuffer(self._cells, np.int64) if self._cells else np.empty(0, np.int64)
        if self._values:
            self._names, self._numbers, self._sizes = np.unique(cells, return_inverse=True, return_counts=True)
        else:
            self._names, self._sizes = np.unique(cells, return_counts=True)
        return len(self._names)

    def tallies(self) -> dict[int, Tally]:
        """What is in each cell, once they are sorted. For a thread."""
        names, sizes = self._names.tolist(), self._sizes.tolist()
        if not self._values:
            return {cell: Tally(count, ()) for cell, count in zip(names, sizes, strict=True)}
        columns = [grouped(np.frombuffer(values, np.float64), self._numbers, len(names)) for values in self._values if len(values)]
        per_cell = zip(*columns, strict=True) if columns else (() for _ in names)
        return {cell: Tally(count, summed) for cell, count, summed in zip(names, sizes, per_cell, strict=True)}


def grouped(values: NDArray[np.float64], groups: NDArray[np.int64], count: int) -> list[ExactNumbers]:
    """The numbers of each group, in order and with their exact sum."""
    known = ~np.isnan(values)
    values, groups = values[known], groups[known]
    order = np.lexsort((values, groups))
    values, groups = values[order], groups[order]
    bounds = np.searchsorted(groups, np.arange(count + 1)).tolist()
    sums = _sums(values, groups, count)
    ordered = array("d", values.tobytes())
    return [ExactNumbers.of(ordered[bounds[at] : bounds[at + 1]], *sums[at]) for at in range(count)]


def _sums(values: NDArray[np.float64], groups: NDArray[np.int64], count: int) -> list[tuple[int, int]]:
    """The sum of each group as (numerator, shift), without rounding: numbers of the same exponent are summed up as integers."""
    sums = [(0, 0)] * count
    if not len(values):
        return sums
    fractions, exponents = np.frexp(values)
    integers = np.ldexp(fractions, 53).astype(np.int64)
    exponents = exponents.astype(np.int64) - 53
    order = np.lexsort((exponents, groups))
    integers, exponents, groups = integers[order], exponents[order], groups[order]
    starts = np.flatnonzero(np.concatenate(([True], (np.diff(groups) != 0) | (np.diff(exponents) != 0))))
    highs = np.add.reduceat(integers >> HALF, starts).tolist()
    lows = np.add.reduceat(integers & ((1 << HALF) - 1), starts).tolist()
    for group, exponent, high, low in zip(groups[starts].tolist(), exponents[starts].tolist(), highs, lows, strict=True):
        numerator, shift = sums[group]
        more = (high << HALF) + low
        if -exponent > shift:
            numerator, shift = numerator << (-exponent - shift), -exponent
        sums[group] = numerator + (more << (shift + exponent)), shift
    return sums
