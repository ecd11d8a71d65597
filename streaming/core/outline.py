"""The outline of a geometry: its places and edges, in balls within balls, so that two of them are compared where they may be near."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from streaming.core.geodesics import TOGETHER, Budget, Floats, chords, edges_within, in_space, longest, longest_chord, middles, safe_chord

Indexes = NDArray[np.intp]
_CHEAPER = 8  # to compare two balls than two edges


class _Balls(NamedTuple):
    """Balls in space: their centres, and how far what they hold is from these, in metres."""

    centres: Floats
    reach: Floats

    def in_pairs(self) -> _Balls:
        """A ball around each two that follow each other."""
        even, odd = self.centres[::2], self.centres[1::2]
        reach, odd_reach = self.reach[::2], self.reach[1::2]
        if len(odd) < len(even):
            odd, odd_reach = np.concatenate([odd, even[-1:]]), np.concatenate([odd_reach, reach[-1:]])
        centres = (even + odd) / 2
        return _Balls(centres, chords(even, odd) / 2 + np.maximum(reach, odd_reach))


class Outline:
    """The places and edges of points, lines and rings.

    `levels` has a ball around each, then balls around two of those each, and so on up to a single one.
    """

    def __init__(self, geometry: BaseGeometry) -> None:
        edges = _edges(simple_parts(geometry))
        self.edges = edges[np.argsort(_along_a_curve(middles(edges)))]
        balls = _Balls(in_space(middles(self.edges)), longest(self.edges) / 2)
        self.levels = [balls]
        while len(balls.reach) > 1:
            balls = balls.in_pairs()
            self.levels.append(balls)

    def comes_within(self, radius: float, other: Outline) -> bool:
        """Whether anything of the other is at most so many metres from anything of this."""
        if not len(self.edges) or not len(other.edges):
            return False
        first = np.zeros(1, dtype=np.intp)
        return self._descend(radius, other, (len(self.levels) - 1, len(other.levels) - 1), (first, first), Budget())

    def _descend(self, radius: float, other: Outline, levels: tuple[int, int], pairs: tuple[Indexes, Indexes], budget: Budget) -> bool:
        """The same of pairs of balls at these levels."""
        if not budget.take(len(pairs[0]) / _CHEAPER):
            return False
        mine, others = self.levels[levels[0]], other.levels[levels[1]]
        between = chords(mine.centres[pairs[0]], others.centres[pairs[1]])
        reach = mine.reach[pairs[0]] + others.reach[pairs[1]]
        if (between + reach <= safe_chord(radius)).any():
            return True
        near = between - reach <= longest_chord(radius)
        pairs = pairs[0][near], pairs[1][near]
        if not len(pairs[0]):
            return False
        if levels == (0, 0):
            return edges_within(self.edges[pairs[0]], other.edges[pairs[1]], radius, budget)
        below = max(levels[0] - 1, 0), max(levels[1] - 1, 0)
        for start in range(0, len(pairs[0]), TOGETHER):
            block = pairs[0][start : start + TOGETHER], pairs[1][start : start + TOGETHER]
            if levels[0]:
                block = _children(*block, len(self.levels[below[0]].reach))
            if levels[1]:
                block = _children(*block[::-1], len(other.levels[below[1]].reach))[::-1]
            if self._descend(radius, other, below, block, budget):
                return True
        return False


def simple_parts(geometry: BaseGeometry) -> NDArray[Any]:
    """Points, lines and polygons, without the collections around them and without empty ones."""
    parts = shapely.get_parts([geometry])
    while (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    filled: NDArray[Any] = parts[~shapely.is_empty(parts)]
    return filled


def _edges(parts: NDArray[Any]) -> Floats:
    kinds = shapely.get_dimensions(parts)
    places = shapely.get_coordinates(parts[kinds == 0])
    lines = np.concatenate([shapely.get_rings(parts[kinds == 2]), parts[kinds == 1]])
    corners, line = shapely.get_coordinates(lines, return_index=True)
    joined = line[:-1] == line[1:]
    return np.concatenate([np.hstack([places, places]), np.hstack([corners[:-1][joined], corners[1:][joined]])])


def _children(parents: Indexes, partners: Indexes, count: int) -> tuple[Indexes, Indexes]:
    """The two balls in each parent, with the partner of that; the last parent may have one."""
    children = np.concatenate([2 * parents, 2 * parents + 1])
    there = children < count
    return children[there], np.concatenate([partners, partners])[there]


def _along_a_curve(places: Floats) -> NDArray[np.int64]:
    """Numbers that are mostly near each other if places are: the bits of longitude and latitude in turn (G. M. Morton, 1966)."""
    cells = ((places + np.array([180.0, 90.0])) * [65_535 / 360, 65_535 / 180]).astype(np.int64)
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        cells = (cells | cells << shift) & mask
    numbers: NDArray[np.int64] = cells[:, 0] | cells[:, 1] << 1
    return numbers
