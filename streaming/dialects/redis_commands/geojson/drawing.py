"""Geometries of shapely, for exact tests, of positions that are projected already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from .coordinates import RUN
from .positions import Floats
from .shapes import Part

_POLYGON = re.compile(rb"\[(?:\[\0?\],?)*\]")
_NOWHERE = np.empty((0, 2))


def draw(parts: Iterable[Part], xs: Floats, ys: Floats) -> list[BaseGeometry]:
    """The parts, whose positions these are, one part after the other."""
    positions = np.column_stack([xs, ys])
    drawn: list[BaseGeometry] = []
    start = 0
    for part in parts:
        runs: list[Floats] = []
        for count in part.coordinates.runs:
            runs.append(positions[start : start + count])
            start += count
        drawn.extend(_drawn(part, runs))
    return drawn


def _drawn(part: Part, runs: Sequence[Floats]) -> list[BaseGeometry]:
    match part.kind:
        case "Point" | "MultiPoint":
            return [shapely.MultiPoint(run) for run in runs]
        case "LineString" | "MultiLineString":
            return [_line(run) for run in runs]
        case "Polygon":
            return _polygon(_rings(part.coordinates.frame, iter(runs)))
        case _:
            rest = iter(runs)
            return [*chain.from_iterable(_polygon(_rings(frame, rest)) for frame in _POLYGON.findall(part.coordinates.frame[1:-1]))]


def _rings(frame: bytes, runs: Iterator[Floats]) -> list[Floats]:
    """The rings of one polygon, empty ones too."""
    return [next(runs) if RUN in ring else _NOWHERE for ring in frame.split(b",")]


def _line(run: Floats) -> BaseGeometry:
    return shapely.LineString(run) if len(run) > 1 else shapely.Point(run[0])


def _polygon(rings: Sequence[Floats]) -> list[BaseGeometry]:
    """A ring of less than three positions encloses nothing: as an outer ring it counts as a line, as a hole it does not count."""
    if not len(rings[0]):
        return []
    if len(rings[0]) < 3:
        return [_line(rings[0])]
    return [shapely.Polygon(rings[0], [ring for ring in rings[1:] if len(ring) > 2])]
