"""The surroundings of a geometry as a condition: what is at most so many metres from any part of it.

Distances are those of circles: geodesics of the WGS 84 ellipsoid, from edges that are straight in degrees to edges that are, to within
`geodesics.RESOLUTION`. Surroundings may hold a pole and cross the antimeridian.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from streaming.core.bbox import Box
from streaming.core.circle import boxes_around, check_radius
from streaming.core.outline import Outline
from streaming.core.spatial import bounds_meet

MAX_PARTS = 8
"""Surroundings of at most so many parts are indexed by the bounds of each."""


class Surroundings:
    """All places within `radius` metres of a geometry in degrees. Nothing outside `boxes` is in it."""

    def __init__(self, geometry: BaseGeometry, radius: float) -> None:
        self.radius = radius
        self._geometry = shapely.force_2d(geometry)
        self._outline = Outline(self._geometry)
        parts = [part for part in shapely.get_parts(geometry) if not part.is_empty]
        shapes = parts if len(parts) <= MAX_PARTS else [geometry]
        self.boxes: tuple[Box, ...] = tuple(dict.fromkeys(box for shape in shapes for box in boxes_around(shape.bounds, radius)))
        shapely.prepare(self._geometry)

    def touches(self, geometry: BaseGeometry) -> bool:
        """Whether any part of a geometry is in it."""
        if geometry.is_empty or not any(bounds_meet(box, geometry.bounds) for box in self.boxes):
            return False
        with np.errstate(invalid="ignore"):  # numpy warns of what GEOS computes on its way, for some lines around the world
            meets = bool(shapely.intersects(self._geometry, geometry))
        return meets or self._outline.comes_within(self.radius, Outline(geometry))


def compile_surroundings(geometry: dict[str, Any], radius_m: Any) -> Surroundings:
    """The surroundings of a checked GeoJSON geometry, with a radius in metres. StreamError invalid_circle."""
    return Surroundings(shapely.from_geojson(msgspec.json.encode(geometry)), check_radius(radius_m))
