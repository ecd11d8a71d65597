"""Counts features in cells: which cell a feature is in, the numbers it brings, and what a cell holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import nan
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

import msgspec
import shapely

from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.items import Item
from streaming.core.json_decoding import JsonDecoder

from .exact_numbers import ExactNumbers, as_number
from .grids import Grid

EVERYTHING = compile_filter(FilterSpec())
Numbers = tuple[float | None, ...]
"""Of one feature: the value of each summed-up property, None where it is no number."""


class Tally(msgspec.Struct, gc=False, eq=False):
    """What one cell holds: how many features, and the numbers of each property. The garbage collector passes over it, as over items."""

    count: int
    numbers: tuple[ExactNumbers, ...]

    def add(self, values: Numbers) -> None:
        """One feature more."""
        self.count += 1
        for numbers, value in zip(self.numbers, values, strict=True):
            if value is not None:
                numbers.add(value)

    def remove(self, values: Numbers) -> None:
        """One feature less."""
        self.count -= 1
        for numbers, value in zip(self.numbers, values, strict=True):
            if value is not None:
                numbers.remove(value)


class Place(NamedTuple):
    """Where a feature counts, in degrees."""

    longitude: float
    latitude: float


def place_of(item: Item) -> Place | None:
    """Of what is no point: a place that is certainly on it (`ST_PointOnSurface`). None without a geometry."""
    found = item.forms.get(Place)
    if found is None and item.geometry is not None:
        point = shapely.point_on_surface(item.geometry)
        if point is None or point.is_empty:
            return None
        found = item.forms[Place] = Place(point.x, point.y)
    place: Place | None = found
    return place


class NumberReader:
    """Reads the values of some properties out of features, without decoding the rest."""

    def __init__(self, names: Sequence[str]) -> None:
        self._readers: list[Callable[[Any], Any]]
        if any(map(_needs_escapes, names)):
            members: Any = dict[str, Any]
            self._readers = [methodcaller("get", name) for name in names]
        else:
            fields = [f"value_{number}" for number in range(len(names))]
            members = msgspec.defstruct("Members", [(field, Any, None) for field in fields], rename=dict(zip(fields, names, strict=True)))
            self._readers = [attrgetter(field) for field in fields]
        feature = msgspec.defstruct("Feature", [("properties", members | None, None)])
        self._decode = JsonDecoder[Any](feature).decode
        self._nothing = members()

    def columns(self, items: Iterable[Item]) -> list[list[float]]:
        """The values of many features, property by property; NaN where it is no number."""
        found = [self._decode(item.value).properties or self._nothing for item in items]
        return [
            [value if type(value) is float else float(value) if type(value) is int else nan for value in map(read, found)]
            for read in self._readers
        ]

    def numbers(self, item: Item) -> Numbers:
        """The values of one feature."""
        if not self._readers:
            return ()
        members = self._decode(item.value).properties or self._nothing
        return tuple([as_number(read(members)) for read in self._readers])


def _needs_escapes(name: str) -> bool:
    """Whether JSON writes a name otherwise than it is, which no field of a struct can be called."""
    return any(each < " " or each in '"\\' for each in name)


class CellCounts:
    """The features of a layer that match a filter, counted in the cells of a grid."""

    def __init__(self, grid: Grid, names: Sequence[str], condition: Filter) -> None:
        """`names` are those of the properties that are summed up."""
        self.grid = grid
        self.names = tuple(names)
        self.matches = None if condition.key == EVERYTHING.key else condition.matches
        self.costly = condition.costly
        self.reader = NumberReader(names)
        self.numbers = self.reader.numbers
        self.tallies: dict[int, Tally] = {}
        """By the numbers of the cells; none is empty."""
        self.changes = 0
        """Counted so far."""

    def cell_of(self, item: Item | None) -> int | None:
        """The cell that a feature counts in; None if it is not counted."""
        if item is None or (self.matches is not None and not self.matches(item)):
            return None
        place = item.box if item.is_point else place_of(item)
        return None if place is None else self.grid.cell(place[0], place[1])

    def change(self, old: Item | None, new: Item | None) -> list[int]:
        """Count one feature that has changed; returns the cells that are different now."""
        self.changes += 1
        left, entered = self.cell_of(old), self.cell_of(new)
        before = () if left is None or old is None else self.numbers(old)
        after = () if entered is None or new is None else self.numbers(new)
        if left == entered and before == after:
            return []
        if entered is not None:
            self._tally(entered).add(after)
        if left is not None:
            tally = self.tallies[left]
            tally.remove(before)
            if not tally.count:
                del self.tallies[left]
        return [cell for cell in (left, entered) if cell is not None]

    def _tally(self, number: int) -> Tally:
        tally = self.tallies.get(number)
        if tally is None:
            tally = self.tallies[number] = Tally(0, tuple(ExactNumbers() for _ in self.names))
        return tally
