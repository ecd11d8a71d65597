"""Nested coordinates of GeoJSON as a flat list of positions, and back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

Position = list[float]

DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
"""How many lists are around a position, by the type of the geometry."""


def flatten(coordinates: Any, depth: int) -> list[Position]:
    """The positions in order; none of a Point without numbers."""
    if depth == 0:
        return [coordinates] if coordinates else []
    for _ in range(depth - 1):
        coordinates = chain.from_iterable(coordinates)
    return list(coordinates)


def nest(positions: Iterator[Any], like: Any, depth: int) -> Any:
    """Positions nested like these coordinates, which have as many."""
    if depth == 0:
        return next(positions)
    if depth == 1:
        return list(islice(positions, len(like)))
    return [nest(positions, part, depth - 1) for part in like]
