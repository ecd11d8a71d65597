"""Cells as the items of a feed: each is a GeoJSON Feature whose geometry is the cell's area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streaming.core.items import Item

from .counting import Tally
from .grids import Grid, box_of

_encode = msgspec.json.Encoder(order="sorted").encode


class Cell(Item, gc=False, eq=False):
    """One version of a cell. Its box is given, so that its text need not be read again."""

    count: int = 0
    head: bytes = b""
    """Its text up to the properties, the same in each version."""

    def __post_init__(self) -> None:
        """Nothing is read from the text."""


class CellWriter:
    """Writes the cells of a grid with the properties `count` and, for each name, what its numbers come to."""

    def __init__(self, grid: Grid, names: Sequence[str]) -> None:
        self.grid = grid
        self._names = tuple(names)

    def key_of(self, number: int) -> str:
        """The key of a cell: its id as JSON, as those of features are."""
        return f'"{self.grid.id_of(number)}"'

    def cell(self, number: int, tally: Tally | None, now: int, like: Cell | None = None) -> Cell:
        """A version of a cell, made at `now` (milliseconds since 1970). `like` is another one, which spares drawing it again."""
        count = 0 if tally is None else tally.count
        properties: dict[str, Any] = {"count": count}
        if self._names and tally is not None:
            properties |= {name: numbers.summary() for name, numbers in zip(self._names, tally.numbers, strict=True)}
        if like is not None:
            return Cell(like.key, like.head + _encode(properties) + _AFTER, now, _box=like._box, count=count, head=like.head)
        geometry, key = self.grid.geometry_of(number), self.key_of(number)
        head = b'{"geometry":' + _encode(geometry) + b',"id":' + key.encode() + b',"properties":'
        return Cell(key, head + _encode(properties) + _AFTER, now, _box=box_of(geometry), count=count, head=head)


_AFTER = b',"type":"Feature"}'
