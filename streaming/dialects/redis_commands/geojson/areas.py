"""The box of a client, in whichever CRS it is meant.

The box is closed: its edge belongs to it. In degrees a box whose left is greater than its right crosses the antimeridian; anywhere else,
and if its bottom is above its top, it is empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from shapely.geometry.base import BaseGeometry

from streaming.core.items import Box
from streaming.core.spatial import rectangle

from .crs import Crs

FAR = 1e12
"""Stands for infinity in exact tests: beyond everything that can be on a map, in degrees and metres."""


@dataclass(frozen=True, slots=True)
class Area:
    """A box as boxes: none if it is empty, two if it crosses the antimeridian. Their sides may be infinite."""

    crs: Crs
    boxes: tuple[Box, ...]

    def may_touch(self, bounds: Box) -> bool:
        """Whether something of these bounds may touch it."""
        return any(overlap(box, bounds) for box in self.boxes)

    def holds(self, bounds: Box) -> bool:
        """Whether all of something of these bounds is in one of its boxes."""
        left, bottom, right, top = bounds
        return any(box[0] <= left and box[1] <= bottom and right <= box[2] and top <= box[3] for box in self.boxes)

    def holds_one(self, positions: Iterable[tuple[float, float]]) -> bool:
        """Whether one of the positions is in it."""
        return any(left <= x <= right and bottom <= y <= top for x, y in positions for left, bottom, right, top in self.boxes)


def area_of(box: Box, crs: Crs) -> Area:
    """What left, bottom, right, top cover in the CRS."""
    left, bottom, right, top = box
    if bottom <= top and left <= right:
        return Area(crs, (box,))
    if bottom <= top and left > right and crs.geographic:
        return Area(crs, ((left, bottom, inf, top), (-inf, bottom, right, top)))
    return Area(crs, ())


def overlap(one: Box, other: Box) -> bool:
    """Whether two closed boxes have a point in common."""
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


@lru_cache(1024)
def drawn(box: Box) -> BaseGeometry:
    """Prepared for exact tests."""
    left, bottom, right, top = (min(max(side, -FAR), FAR) for side in box)
    return rectangle((left, bottom, right, top))
