"""How many features the cells that a client looks at hold together."""

from __future__ import annotations

from itertools import islice
from time import perf_counter

from streaming.core.audience import Condition
from streaming.core.turns import STEP_SECONDS
from streaming.core.view import View

from .aggregate import Aggregate
from .cells import Cell

AT_ONCE = 200


class MatchedFeatures:
    """Counts them as they are at the moment at which this is made, in steps."""

    def __init__(self, aggregate: Aggregate, wanted: Condition) -> None:
        self.count = 0
        self._moment, self._matches = aggregate.moment(), wanted.matches
        self._numbers = iter(range(len(self._moment)))

    @classmethod
    def of(cls, view: View) -> MatchedFeatures:
        """Those in the cells that a view selects."""
        assert isinstance(view.follows, Aggregate)
        return cls(view.follows, view.filter)

    def step(self) -> bool:
        """Look at some more cells; returns whether there are more."""
        until = perf_counter() + STEP_SECONDS
        while some := list(islice(self._numbers, AT_ONCE)):
            cells = self._moment.items(some[0], some[-1] + 1)
            self.count += sum(cell.count for cell in cells if isinstance(cell, Cell) and self._matches(cell))
            if perf_counter() >= until:
                return True
        return False
