"""The bounds of a filter, in degrees, as the admin draws them: of a box, a circle or a geometry among a subscription's conditions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from streaming.core.bbox import Box

METRES_OF_A_DEGREE = 111_320.0
MOST_POSITIONS = 10_000
"""Positions of a geometry that are looked at."""


def filter_bounds(conditions: Mapping[str, Any]) -> Box | None:
    """West, south, east, north (west is greater than east across the antimeridian); None for a filter that has no place."""
    try:
        if (bbox := conditions.get("bbox")) is not None:
            numbers = [float(number) for number in bbox]
            box = (numbers[0], numbers[1], *numbers[len(numbers) // 2 :][:2])
        elif (center := conditions.get("center")) is not None:
            box = _around(float(center[0]), float(center[1]), float(conditions.get("radius_m") or 0))
        elif isinstance(geometry := conditions.get("geometry"), Mapping):
            box = _extent(geometry)
        else:
            return None
    except (TypeError, ValueError, LookupError):
        return None  # the dialect calls something else so
    return box if len(box) == 4 and all(map(math.isfinite, box)) and -90 <= box[1] <= box[3] <= 90 else None


def _around(lon: float, lat: float, metres: float) -> tuple[float, ...]:
    height = metres / METRES_OF_A_DEGREE
    width = min(height / max(math.cos(math.radians(lat)), 0.01), 180.0)
    return lon - width, max(lat - height, -90.0), lon + width, min(lat + height, 90.0)


def _extent(geometry: Mapping[str, Any]) -> tuple[float, ...]:
    positions = [position for position, _ in zip(_positions(geometry.get("coordinates")), range(MOST_POSITIONS), strict=False)]
    xs, ys = [position[0] for position in positions], [position[1] for position in positions]
    return min(xs), min(ys), max(xs), max(ys)


def _positions(coordinates: Any) -> Iterator[tuple[float, float]]:
    if not coordinates:
        return
    if isinstance(coordinates[0], int | float):
        yield float(coordinates[0]), float(coordinates[1])
        return
    for each in coordinates:
        yield from _positions(each)
