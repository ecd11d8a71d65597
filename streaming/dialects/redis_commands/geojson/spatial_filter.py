"""The places of a value in one CRS, and which of them are in an area.

Coordinates are transformed in one call. Most questions are answered by bounds, those about many places by all bounds at once; only what
they leave open is compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from math import nan

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from shapely.errors import GEOSException
from shapely.geometry.base import BaseGeometry

from streaming.core.items import Box

from .areas import Area, drawn
from .geometry import Place, bounds_of, drawings

Flags = npt.NDArray[np.bool_]


class Placing:
    """Where the places of a value are in one CRS. What the CRS cannot express has no bounds."""

    def __init__(self, places: list[Place], transformer: Transformer | None) -> None:
        self._places = places
        self._drawings: dict[int, list[BaseGeometry] | None] = {}
        positions = places[0].positions if len(places) == 1 else [*chain.from_iterable(place.positions for place in places)]
        if len(positions) == 1 and transformer is not None:
            x, y = transformer.transform(positions[0][0], positions[0][1])
            self.xs, self.ys = [x], [y]
        else:
            self.xs, self.ys = [position[0] for position in positions], [position[1] for position in positions]
            if transformer is not None and positions:
                self.xs, self.ys = transformer.transform(self.xs, self.ys)
        self._spans = list(_spans(places))
        self.bounds: list[Box | None] = [bounds_of(self.xs[span], self.ys[span]) for span in self._spans]

    def touches(self, index: int, area: Area) -> bool:
        """Whether a place is in the area, if only with its edge."""
        place, bounds = self._places[index], self.bounds[index]
        if place.anywhere or bounds is None:
            return place.anywhere
        return area.holds(bounds) or (len(place.positions) > 1 and area.may_touch(bounds) and self._touches_exactly(index, area))

    def touching(self, area: Area) -> Iterator[int]:
        """The places in the area, those that are quickly found first."""
        if not self._places:
            return
        surely, perhaps = self._anywhere, np.zeros(len(self._places), bool)
        left, bottom, right, top = self._table
        for box in area.boxes:
            surely = surely | ((left >= box[0]) & (bottom >= box[1]) & (right <= box[2]) & (top <= box[3]))
            perhaps |= (left <= box[2]) & (bottom <= box[3]) & (right >= box[0]) & (top >= box[1])
        yield from map(int, surely.nonzero()[0])
        for index in map(int, (perhaps & ~surely).nonzero()[0]):
            if self.touches(index, area):
                yield index

    @cached_property
    def _anywhere(self) -> Flags:
        return np.array([place.anywhere for place in self._places], bool)

    @cached_property
    def _table(self) -> npt.NDArray[np.float64]:
        """Lefts, bottoms, rights and tops; not a number, which compares as false with all, without bounds."""
        nowhere = (nan, nan, nan, nan)
        return np.array([bounds or nowhere for bounds in self.bounds], np.float64).T

    def positions(self, index: int) -> Iterator[list[float]]:
        """Of a place, with its heights."""
        span = self._spans[index]
        before = self._places[index].positions
        return ([x, y, *position[2:]] for x, y, position in zip(self.xs[span], self.ys[span], before, strict=True))

    def _touches_exactly(self, index: int, area: Area) -> bool:
        """Drawing costs more than looking at all positions, but only once: it is worth it from the second area on."""
        if index not in self._drawings:
            self._drawings[index] = None
            if area.holds_one(self._pairs(index)):
                return True
        made = self._drawings[index] or self._draw(index)
        try:
            return any(drawn(box).intersects(one) for box in area.boxes for one in made)
        except GEOSException:  # Beyond what GEOS can compute with; its bounds do touch.
            return True

    def _draw(self, index: int) -> list[BaseGeometry]:
        made = self._drawings[index] = drawings(self._places[index].shapes, self._pairs(index))
        return made

    def _pairs(self, index: int) -> Iterator[tuple[float, float]]:
        span = self._spans[index]
        return zip(self.xs[span], self.ys[span], strict=True)


def _spans(places: list[Place]) -> Iterator[slice]:
    start = 0
    for place in places:
        yield slice(start, start := start + len(place.positions))
