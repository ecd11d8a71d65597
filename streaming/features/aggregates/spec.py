"""What a client asks for when it asks for cells instead of features."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

BY = ("h3", "grid")
"""The grids that there are (`grids.py`)."""
COUNT = "count"
"""The property of a cell that says how many features are in it; of this name none can be summed up."""


@dataclass(frozen=True, slots=True)
class AggregateSpec:
    """A grid of one resolution, and the properties that are summed up, in the order of their names."""

    by: str
    resolution: int
    properties: tuple[str, ...] = ()

    @classmethod
    def check(
        cls, by: str, resolution: int | None = None, zoom: float | None = None, properties: Iterable[str] | None = None
    ) -> AggregateSpec:
        """`StreamError("bad_request")`."""
        from .grids import grid_of  # late, because most processes count nothing

        grid = grid_of(by, resolution, zoom)
        names = tuple(sorted(set(properties or ())))
        if len(names) > conf.MAX_AGGREGATE_PROPERTIES:
            raise StreamError("bad_request", f"an aggregate may sum up {conf.MAX_AGGREGATE_PROPERTIES} properties, not {len(names)}")
        if any(len(name) > conf.MAX_AGGREGATE_PROPERTY_LENGTH for name in names):
            raise StreamError("bad_request", f"the name of a summed-up property may have {conf.MAX_AGGREGATE_PROPERTY_LENGTH} characters")
        if COUNT in names:
            raise StreamError("bad_request", f"a property called {COUNT!r} cannot be summed up: cells have one of this name")
        return cls(by, grid.resolution, names)

    def info(self) -> dict[str, Any]:
        """As answers name it."""
        return {"by": self.by, "resolution": self.resolution, "properties": list(self.properties)}
