"""Spatial filter: which geometries of a value are in a client's box, in the CRS in which that is meant.

Edges belong to the box. Coordinates are transformed in one call. Most geometries are decided by their bounds, many of them by all bounds
at once; only what bounds leave open is compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from math import inf, nan

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from shapely.errors import GEOSException
from shapely.geometry.base import BaseGeometry

from streaming.core.bbox import Box
from streaming.core.spatial import rectangle

from .crs import Crs
from .geometry import ParsedGeometry, bounds_of, to_shapely

FAR = 1e12
"""Stands for infinity in exact tests: beyond everything that can be on a map, in degrees and metres."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Area:
    """What a client's box covers: nothing, one box, or two if it crosses the antimeridian. Their sides may be infinite."""

    crs: Crs
    boxes: tuple[Box, ...]

    def may_intersect(self, bounds: Box) -> bool:
        """Whether something with these bounds may intersect it."""
        left, bottom, right, top = bounds
        return any(box[0] <= right and left <= box[2] and box[1] <= top and bottom <= box[3] for box in self.boxes)

    def contains(self, bounds: Box) -> bool:
        """Whether everything with these bounds is in one of its boxes."""
        left, bottom, right, top = bounds
        return any(box[0] <= left and box[1] <= bottom and right <= box[2] and top <= box[3] for box in self.boxes)

    def contains_any(self, positions: Iterable[tuple[float, float]]) -> bool:
        """Whether one of the positions is in it."""
        return any(left <= x <= right and bottom <= y <= top for x, y in positions for left, bottom, right, top in self.boxes)


def area_of(box: Box, crs: Crs) -> Area:
    """The area from left, bottom to right, top.

    In degrees a box whose left is greater than its right crosses the antimeridian; in any other CRS, and if its bottom is above its top,
    it is empty.
    """
    left, bottom, right, top = box
    if bottom <= top and left <= right:
        return Area(crs, (box,))
    if bottom <= top and left > right and crs.geographic:
        return Area(crs, ((left, bottom, inf, top), (-inf, bottom, right, top)))
    return Area(crs, ())


@lru_cache(1024)
def _box_geometry(box: Box) -> BaseGeometry:
    """Prepared for exact tests."""
    left, bottom, right, top = (min(max(side, -FAR), FAR) for side in box)
    return rectangle((left, bottom, right, top))


class ProjectedGeometries:
    """The geometries of one value in one CRS. One with a position that the CRS cannot express has no bounds."""

    def __init__(self, geometries: list[ParsedGeometry], transformer: Transformer | None) -> None:
        self._geometries = geometries
        self._exact: dict[int, list[BaseGeometry] | None] = {}
        """By index: geometries of shapely, once they are made."""
        positions = geometries[0].positions if len(geometries) == 1 else [*chain.from_iterable(one.positions for one in geometries)]
        if len(positions) == 1 and transformer is not None:
            x, y = transformer.transform(positions[0][0], positions[0][1])
            self.xs, self.ys = [x], [y]
        else:
            self.xs, self.ys = [position[0] for position in positions], [position[1] for position in positions]
            if transformer is not None and positions:
                self.xs, self.ys = transformer.transform(self.xs, self.ys)
        self._spans = list(_spans(geometries))
        self.bounds: list[Box | None] = [bounds_of(self.xs[span], self.ys[span]) for span in self._spans]

    def intersects(self, index: int, area: Area) -> bool:
        """Whether a geometry is in the area, if only with its edge."""
        geometry, bounds = self._geometries[index], self.bounds[index]
        if geometry.passes_always or bounds is None:
            return geometry.passes_always
        return area.contains(bounds) or (
            len(geometry.positions) > 1 and area.may_intersect(bounds) and self._intersects_exactly(index, area)
        )

    def intersecting(self, area: Area) -> Iterator[int]:
        """The geometries in the area, those first that are decided by their bounds."""
        if not self._geometries:
            return
        surely, perhaps = self._passing_always, np.zeros(len(self._geometries), bool)
        left, bottom, right, top = self._sides
        for box in area.boxes:
            surely = surely | ((left >= box[0]) & (bottom >= box[1]) & (right <= box[2]) & (top <= box[3]))
            perhaps |= (left <= box[2]) & (bottom <= box[3]) & (right >= box[0]) & (top >= box[1])
        yield from map(int, surely.nonzero()[0])
        for index in map(int, (perhaps & ~surely).nonzero()[0]):
            if self.intersects(index, area):
                yield index

    def positions(self, index: int) -> Iterator[list[float]]:
        """The positions of a geometry, with its heights."""
        span = self._spans[index]
        before = self._geometries[index].positions
        return ([x, y, *position[2:]] for x, y, position in zip(self.xs[span], self.ys[span], before, strict=True))

    @cached_property
    def _passing_always(self) -> Flags:
        return np.array([one.passes_always for one in self._geometries], bool)

    @cached_property
    def _sides(self) -> npt.NDArray[np.float64]:
        """Lefts, bottoms, rights and tops. Without bounds they are NaN, which compares as false with everything."""
        return np.array([bounds or (nan, nan, nan, nan) for bounds in self.bounds], np.float64).T

    def _intersects_exactly(self, index: int, area: Area) -> bool:
        """Making geometries of shapely costs more than looking at all positions, but only once: it is worth it from the second area on."""
        if index not in self._exact:
            self._exact[index] = None
            if area.contains_any(self._pairs(index)):
                return True
        made = self._exact[index]
        if not made:
            made = self._exact[index] = to_shapely(self._geometries[index].parts, self._pairs(index))
        try:
            return any(_box_geometry(box).intersects(one) for box in area.boxes for one in made)
        except GEOSException:  # Beyond what GEOS can compute with; its bounds do intersect.
            return True

    def _pairs(self, index: int) -> Iterator[tuple[float, float]]:
        span = self._spans[index]
        return zip(self.xs[span], self.ys[span], strict=True)


def _spans(geometries: list[ParsedGeometry]) -> Iterator[slice]:
    start = 0
    for geometry in geometries:
        yield slice(start, start := start + len(geometry.positions))
