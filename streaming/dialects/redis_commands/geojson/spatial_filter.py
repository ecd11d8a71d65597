"""Spatial filter: which features of a value are in a client's box, in the CRS in which that is meant.

Edges belong to the box. Most features are decided by their bounds, all of them at once; only what bounds leave open is compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf, isfinite

import numpy as np
import numpy.typing as npt
from shapely.errors import GEOSException
from shapely.geometry.base import BaseGeometry

from streaming.core.bbox import Box
from streaming.core.spatial import rectangle

from .crs import Crs
from .drawing import draw
from .features import Features
from .positions import Floats, project

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

    def contains_any(self, xs: Floats, ys: Floats) -> bool:
        """Whether one of the positions is in it."""
        return any(bool(((xs >= left) & (xs <= right) & (ys >= bottom) & (ys <= top)).any()) for left, bottom, right, top in self.boxes)


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


class Places:
    """Where the features of one value are in a CRS. One with a position that the CRS cannot express has no bounds."""

    def __init__(self, features: Features, crs: Crs) -> None:
        self._features = features
        self._drawn: dict[int, list[BaseGeometry]] = {}
        """By index: geometries of shapely, once they are made."""
        self.xs, self.ys = features.positions.xs, features.positions.ys
        transformer = crs.transformer
        if transformer is not None and len(self.xs):
            self.xs, self.ys = project(transformer, self.xs, self.ys)

    @cached_property
    def sides(self) -> Floats:
        """Lefts, bottoms, rights and tops. Without bounds they are NaN, which compares as false with everything."""
        features = self._features
        sides = np.full((4, len(features)), np.nan)
        placed = np.flatnonzero(np.diff(features.starts))
        if len(placed):
            starts = features.starts[placed]
            sides[0, placed], sides[1, placed] = np.minimum.reduceat(self.xs, starts), np.minimum.reduceat(self.ys, starts)
            sides[2, placed], sides[3, placed] = np.maximum.reduceat(self.xs, starts), np.maximum.reduceat(self.ys, starts)
            sides[:, ~np.isfinite(sides).all(axis=0)] = np.nan
        return sides

    @cached_property
    def have_bounds(self) -> Flags:
        """Which features have a place, and one that the CRS can express."""
        nowhere: Flags = np.isnan(self.sides[0])
        return ~nowhere

    def bounds(self) -> Floats:
        """The bounds of those that have some, one after the other."""
        return self.sides[:, self.have_bounds].T

    def touches(self, area: Area) -> bool:
        """Whether one of the features is in the area, if only with its edge."""
        return next(self.touching(area), None) is not None

    def touching(self, area: Area) -> Iterator[int]:
        """The features in the area, those first that are decided by their bounds."""
        surely, perhaps = self._features.passing_always, np.zeros(len(self._features), bool)
        left, bottom, right, top = self.sides
        for box in area.boxes:
            surely = surely | ((left >= box[0]) & (bottom >= box[1]) & (right <= box[2]) & (top <= box[3]))
            perhaps |= (left <= box[2]) & (bottom <= box[3]) & (right >= box[0]) & (top >= box[1])
        yield from map(int, surely.nonzero()[0])
        for index in map(int, (perhaps & ~surely).nonzero()[0]):
            if self._features.shapes[index].count > 1 and self._touches_exactly(index, area):
                yield index

    def _touches_exactly(self, index: int, area: Area) -> bool:
        span = slice(self._features.starts[index], self._features.starts[index + 1])
        xs, ys = self.xs[span], self.ys[span]
        if area.contains_any(xs, ys):
            return True
        drawn = self._drawn.get(index)
        if drawn is None:
            drawn = self._drawn[index] = draw(self._features.shapes[index].parts, xs, ys)
        return _intersect(area, drawn)


class PlaceOfFew:
    """The same for a value that is one feature with few positions, as most are: without arrays, which take longer to make than to use."""

    def __init__(self, features: Features, crs: Crs) -> None:
        self._features = features
        self._drawn: list[BaseGeometry] | None = None
        self.xs, self.ys = features.positions.lists()
        transformer = crs.transformer
        if transformer is not None and len(self.xs) == 1:
            x, y = transformer.transform(self.xs[0], self.ys[0])
            self.xs, self.ys = [x], [y]
        elif transformer is not None:
            self.xs, self.ys = transformer.transform(self.xs, self.ys)
        self.box = _bounds(self.xs, self.ys)
        """None if the CRS cannot express one of the positions."""

    def bounds(self) -> list[Box]:
        """Its bounds, if it has some."""
        return [] if self.box is None else [self.box]

    def touches(self, area: Area) -> bool:
        """Whether it is in the area, if only with its edge."""
        if self.box is None:
            return False
        return area.contains(self.box) or (len(self.xs) > 1 and area.may_intersect(self.box) and self._touches_exactly(area))

    def touching(self, area: Area) -> Iterator[int]:
        """Itself, if it is in the area."""
        return iter((0,) if self.touches(area) else ())

    def _touches_exactly(self, area: Area) -> bool:
        for left, bottom, right, top in area.boxes:
            if any(left <= x <= right and bottom <= y <= top for x, y in zip(self.xs, self.ys, strict=True)):
                return True
        if self._drawn is None:
            self._drawn = draw(self._features.shapes[0].parts, np.array(self.xs), np.array(self.ys))
        return _intersect(area, self._drawn)


def _bounds(xs: list[float], ys: list[float]) -> Box | None:
    if len(xs) == 1:
        x, y = xs[0], ys[0]
        return (x, y, x, y) if isfinite(x) and isfinite(y) else None
    if not all(map(isfinite, xs)) or not all(map(isfinite, ys)):
        return None
    return min(xs), min(ys), max(xs), max(ys)


def _intersect(area: Area, drawn: list[BaseGeometry]) -> bool:
    try:
        return any(_box_geometry(box).intersects(one) for box in area.boxes for one in drawn)
    except GEOSException:  # Beyond what GEOS can compute with; its bounds do intersect.
        return True
