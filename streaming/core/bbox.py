"""Boxes in degrees, and the check of boxes from clients. Server and clients use this module: it needs no library."""

from __future__ import annotations

from math import isfinite
from typing import Any

from .errors import StreamError

Box = tuple[float, float, float, float]
"""(west, south, east, north) in degrees."""


def check_bbox(bbox: Any) -> Box:
    """`[west, south, east, north]` in degrees; west > east crosses the antimeridian. `StreamError("invalid_bbox")`."""
    if not isinstance(bbox, list | tuple):
        raise _bad_box("must be a list of four numbers: [west, south, east, north]")
    if len(bbox) == 6:
        raise _bad_box("has six numbers; boxes with heights are not supported: leave out the third and the sixth")
    if len(bbox) != 4:
        raise _bad_box(f"has {len(bbox)} members, not four: [west, south, east, north]")
    for name, number in zip(("west", "south", "east", "north"), bbox, strict=True):
        if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
            raise _bad_box(f"{name} is {number!r:.40}, not a finite number")
        limit = 90 if name in ("south", "north") else 180
        if not -limit <= number <= limit:
            raise _bad_box(f"{name} is {number}, outside -{limit} to {limit} degrees")
    west, south, east, north = bbox
    if south > north:
        raise _bad_box(f"south ({south}) is greater than north ({north}); the order is [west, south, east, north]")
    return (west + 0.0, south + 0.0, east + 0.0, north + 0.0)


def _bad_box(reason: str) -> StreamError:
    return StreamError("invalid_bbox", f"bbox: {reason}")
