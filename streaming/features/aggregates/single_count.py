"""Counts features once, without following them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from streaming.core.errors import StreamError
from streaming.core.filters import Filter
from streaming.core.items import Item
from streaming.engine.conf import conf

from .bulk import BulkCount
from .cells import Cell, CellWriter
from .counting import CellCounts
from .grids import GRIDS
from .spec import AggregateSpec


def cells_of(items: Iterable[Item], spec: AggregateSpec, condition: Filter) -> list[Cell]:
    """The cells that features are in. For a thread. `StreamError("too_many_cells")`."""
    counts = CellCounts(GRIDS[spec.by](spec.resolution), spec.properties, condition)
    bulk = BulkCount(counts)
    bulk.add(list(items))
    check_size(bulk.sort(), conf.MAX_AGGREGATE_CELLS)
    writer, now = CellWriter(counts.grid, counts.names), int(time.time() * 1000)
    return [writer.cell(number, tally, now) for number, tally in bulk.tallies().items()]


def check_size(cells: int, most: int) -> None:
    """`StreamError("too_many_cells")`."""
    if cells > most:
        raise StreamError("too_many_cells", f"{cells:,} cells, more than the {most:,} allowed: ask for larger ones")
