"""What a client that was away must be sent of an aggregate: every cell that a feature has entered or left since, as it is now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from streaming.core.audience import Condition
from streaming.core.deliveries import Delivery, Kind
from streaming.core.items import Change
from streaming.core.selection import AT_ONCE, SMALL, Missed
from streaming.core.turns import Pace
from streaming.core.versions import Moment

from .cells import Cell, CellWriter
from .counting import CellCounts


class MissedCells(Missed):
    """`changes` are those of the features since the client's cursor, up to the moment whose cells it is sent."""

    def __init__(
        self,
        epoch: str,
        seq: int,
        changes: Sequence[Change],
        counts: CellCounts,
        writer: CellWriter,
        moment: Moment,
        wanted: Condition,
    ) -> None:
        """`wanted` selects cells."""
        super().__init__(epoch, seq, changes, wanted)
        self._pace = Pace(1 if counts.costly else SMALL, 1, AT_ONCE)
        self._cell_of, self._writer = counts.cell_of, writer
        self._moment = moment
        self._balance: Counter[int] = Counter()
        """Of each cell touched: how many features more it has than it had."""
        self._left: Iterator[tuple[int, int]] | None = None
        self._cells: list[tuple[Kind, str, Cell | None]] = []

    def step(self) -> bool:
        """Look at some more changes, then at some more of the cells that they have touched."""
        if self._left is None:
            if not super().step():
                self._left = iter(list(self._balance.items()))
                self._changes, self._balance = [], Counter()
            return True
        return self._look(list(islice(self._left, SMALL)))

    @property
    def _total(self) -> int:
        return len(self._changes)

    def _judge(self, start: int, stop: int) -> None:
        for change in self._changes[start:stop]:
            for item, more in ((change.old, -1), (change.new, 1)):
                cell = self._cell_of(item)
                if cell is not None:
                    self._balance[cell] += more

    def _look(self, cells: list[tuple[int, int]]) -> bool:
        for number, balance in cells:
            now = self._moment.of(self._writer.key_of(number))
            either = now if isinstance(now, Cell) else self._writer.cell(number, None, 0)
            if self._matches(either):
                kind: Kind = "deleted" if now is None else "updated" if either.count > balance else "added"
                self._cells.append((kind, either.key, None if now is None else either))
        return len(cells) == SMALL

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, at: Any) -> Any:
        kind, key, cell = self._cells[at]
        return Delivery(kind, key, cell, self.epoch, self.seq if at == len(self) - 1 else None, "deleted" if cell is None else None)
