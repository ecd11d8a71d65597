"""Boxes of CQL2 expressions as geometries, read as the parameter `bbox` is."""

from __future__ import annotations

from typing import Any

from streaming.core.bbox import check_bbox
from streaming.core.errors import StreamError


def flat_box(numbers: list[float]) -> list[float]:
    """West, south, east, north of a box that may have heights. StreamError invalid_filter."""
    if len(numbers) not in (4, 6):
        raise StreamError("invalid_filter", "BBOX takes 4 numbers: west, south, east, north; or 6, with heights, which are ignored")
    return numbers if len(numbers) == 4 else [*numbers[:2], *numbers[3:5]]


def box_geometry(numbers: list[float]) -> dict[str, Any]:
    """What a box covers, as the parameter `bbox` reads it. StreamError invalid_filter."""
    try:
        west, south, east, north = check_bbox(flat_box(numbers))
    except StreamError as error:
        raise StreamError("invalid_filter", error.message.replace("bbox: ", "BBOX: ", 1)) from None
    if west > east:
        sides = [_ring(west, south, 180.0, north), _ring(-180.0, south, east, north)]
        flat = south == north
        return {"type": "MultiLineString" if flat else "MultiPolygon", "coordinates": [side[0][:2] if flat else side for side in sides]}
    if west == east and south == north:
        return {"type": "Point", "coordinates": [west, south]}
    if west == east or south == north:
        return {"type": "LineString", "coordinates": [[west, south], [east, north]]}
    return {"type": "Polygon", "coordinates": _ring(west, south, east, north)}


def _ring(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]
