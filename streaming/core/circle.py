"""Circles on the Earth as conditions: what is at most so many metres from a point, along the surface of the WGS 84 ellipsoid.

Distances are geodesics, not of a sphere and not of a projection. The edges of lines and polygons are straight in degrees, as RFC 7946
has it. A circle may hold a pole and cross the antimeridian.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import cos, isfinite, radians, sin
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.core.geodesics import Floats, chords, edges_within, in_space, longest_chord, metres
from streaming.core.outline import simple_parts

MAX_RADIUS = 20_004_000.0
"""Metres: no two places are further apart."""

_GEOD = Geod(ellps="WGS84")
_LEAST_METRES_PER_DEGREE = 110_574.0  # along a meridian at the equator
_LEAST_CURVATURE = 6_335_400.0  # metres, the smallest radius of curvature of the ellipsoid


class Circle(NamedTuple):
    """All places within `radius` metres of a point in degrees. Nothing outside `boxes` is in it."""

    longitude: float
    latitude: float
    radius: float
    boxes: tuple[Box, ...]

    def has_point(self, longitude: float, latitude: float) -> bool:
        """Whether a position is in it."""
        distance: float = _GEOD.inv(self.longitude, self.latitude, longitude, latitude)[2]
        return distance <= self.radius

    def touches(self, geometry: BaseGeometry) -> bool:
        """Whether any part of a geometry is in it."""
        parts = simple_parts(geometry)
        areas = parts[shapely.get_dimensions(parts) == 2]
        if len(areas) and shapely.intersects_xy(areas, self.longitude, self.latitude).any():
            return True
        lines = np.concatenate([shapely.get_rings(areas), parts[shapely.get_dimensions(parts) == 1]])
        corners, line = shapely.get_coordinates(lines, return_index=True)
        if self._has_any(np.concatenate([shapely.get_coordinates(parts[shapely.get_dimensions(parts) == 0]), corners])):
            return True
        joined = line[:-1] == line[1:]
        return self._has_part_of(np.hstack([corners[:-1][joined], corners[1:][joined]]))

    def _has_any(self, places: Floats) -> bool:
        near = chords(in_space(np.array([self[:2]])), in_space(places)) <= longest_chord(self.radius)
        places = places[near]
        return bool(len(places)) and bool((metres(self._center(places), places) <= self.radius).any())

    def _has_part_of(self, edges: Floats) -> bool:
        """Whether an edge whose ends are outside has a part inside."""
        edges = edges[self._may_reach(edges)]
        center = self._center(edges)
        return edges_within(np.hstack([center, center]), edges, self.radius)

    def _may_reach(self, edges: Floats) -> NDArray[np.bool_]:
        low, high = np.minimum(edges[:, :2], edges[:, 2:]), np.maximum(edges[:, :2], edges[:, 2:])
        reached = np.zeros(len(edges), dtype=bool)
        for west, south, east, north in self.boxes:
            reached |= (low[:, 0] <= east) & (high[:, 0] >= west) & (low[:, 1] <= north) & (high[:, 1] >= south)
        return reached

    def _center(self, rows: Floats) -> Floats:
        return np.tile(np.array(self[:2]), (len(rows), 1))


def compile_circle(center: Any, radius_m: Any) -> Circle:
    """The circle around `[longitude, latitude]` with a radius in metres. StreamError invalid_circle."""
    if center is None or radius_m is None:
        raise _bad_circle("center and radius_m are given together: [longitude, latitude] in degrees, and metres")
    if not isinstance(center, Sequence) or isinstance(center, str) or len(center) != 2 or not all(map(_is_number, center)):
        raise _bad_circle(f"center must be [longitude, latitude] in degrees, not {center!r:.60}")
    longitude, latitude = map(float, center)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise _bad_circle(f"center [{longitude}, {latitude}] is outside the world; it is [longitude, latitude] in degrees")
    radius = check_radius(radius_m)
    return Circle(longitude, latitude, radius, boxes_around((longitude, latitude, longitude, latitude), radius))


def check_radius(radius_m: Any) -> float:
    """A radius in metres. StreamError invalid_circle."""
    if not _is_number(radius_m) or not 0 < radius_m <= MAX_RADIUS:
        raise _bad_circle(f"radius_m must be a number of metres above 0, at most {MAX_RADIUS:.0f}, not {radius_m!r:.40}")
    return float(radius_m)


def boxes_around(box: Box, radius: float) -> tuple[Box, ...]:
    """Boxes around what is within `radius` metres of a box, a little too large rather than too small."""
    high = radius / _LEAST_METRES_PER_DEGREE * 1.001
    south, north = max(-90.0, box[1] - high), min(90.0, box[3] + high)
    narrowest = cos(radians(min(90.0, max(abs(box[1]), abs(box[3])) + 0.2)))
    angle = radius / _LEAST_CURVATURE * 1.001
    if south == -90 or north == 90 or sin(min(angle, math.pi / 2)) >= narrowest:
        return ((-180.0, south, 180.0, north),)
    wide = math.degrees(math.asin(sin(angle) / narrowest))
    west, east = box[0] - wide, box[2] + wide
    if east - west >= 360:
        return ((-180.0, south, 180.0, north),)
    if west < -180:
        return ((west + 360, south, 180.0, north), (-180.0, south, east, north))
    if east > 180:
        return ((west, south, 180.0, north), (-180.0, south, east - 360, north))
    return ((west, south, east, north),)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _bad_circle(reason: str) -> StreamError:
    return StreamError("invalid_circle", reason)
