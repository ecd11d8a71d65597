"""Circles on the Earth as conditions: what is at most so many metres from a point, along the surface of the WGS 84 ellipsoid.

Distances are geodesics by pyproj, not of a sphere and not of a projection. The edges of lines and polygons are straight in degrees,
as RFC 7946 has it: an edge that may come near enough is halved until that is known, to within `RESOLUTION`. A circle may hold a pole and
cross the antimeridian.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import cos, isfinite, radians, sin
from typing import Any, NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from streaming.core.bbox import Box
from streaming.core.errors import StreamError

MAX_RADIUS = 20_004_000.0
"""Metres: no two places are further apart."""
RESOLUTION = 0.1
"""Metres to which it is known how near an edge comes."""
MAX_EDGES = 100_000
"""Parts of edges looked at together. Only edges that follow the circle for thousands of kilometres have more, which count as outside."""

_GEOD = Geod(ellps="WGS84")
_METRES_PER_DEGREE = 111_695.0  # the most: along a meridian at a pole
_LEAST_METRES_PER_DEGREE = 110_574.0  # along a meridian at the equator
_LEAST_CURVATURE = 6_335_400.0  # metres, the smallest radius of curvature of the ellipsoid
_SPHERE = 6_371_009.0
_SPHERE_ERROR = 0.007  # distances of a sphere differ from geodesics by less than this part
Floats = NDArray[np.float64]


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
        parts = _simple_parts(geometry)
        areas = parts[shapely.get_dimensions(parts) == 2]
        if len(areas) and shapely.intersects_xy(areas, self.longitude, self.latitude).any():
            return True
        lines = np.concatenate([shapely.get_rings(areas), parts[shapely.get_dimensions(parts) == 1]])
        corners, line = shapely.get_coordinates(lines, return_index=True)
        if self._has_any(np.concatenate([shapely.get_coordinates(parts[shapely.get_dimensions(parts) == 0]), corners])):
            return True
        joined = line[:-1] == line[1:]
        return self._has_part_of(corners[:-1][joined], corners[1:][joined])

    def touches_geojson(self, geometry: dict[str, Any]) -> bool:
        """The same of decoded GeoJSON. False of what is none."""
        try:
            if geometry.get("type") == "Point":
                return self.has_point(*geometry["coordinates"][:2])
            return self.touches(shapely.from_geojson(msgspec.json.encode(geometry)))
        except (TypeError, ValueError, LookupError, shapely.errors.ShapelyError):
            return False

    def _has_any(self, places: Floats) -> bool:
        near = self._metres(places)
        if (near <= self.radius * (1 - _SPHERE_ERROR)).any():
            return True
        places = places[near <= self.radius * (1 + _SPHERE_ERROR) + 1]
        return bool(len(places)) and bool((self._geodesics(places) <= self.radius).any())

    def _has_part_of(self, starts: Floats, ends: Floats) -> bool:
        """Whether an edge whose ends are outside has a part inside."""
        near = self._may_reach(starts, ends)
        starts, ends = starts[near], ends[near]
        while 0 < len(starts) <= MAX_EDGES:
            middles = (starts + ends) / 2
            distances = self._geodesics(middles)
            if (distances <= self.radius).any():
                return True
            reach = _longest(starts, ends) / 2
            open_ = (distances - reach <= self.radius) & (reach > RESOLUTION)
            starts, middles, ends = starts[open_], middles[open_], ends[open_]
            starts, ends = np.concatenate([starts, middles]), np.concatenate([middles, ends])
        return False

    def _may_reach(self, starts: Floats, ends: Floats) -> NDArray[np.bool_]:
        low, high = np.minimum(starts, ends), np.maximum(starts, ends)
        reached = np.zeros(len(starts), dtype=bool)
        for west, south, east, north in self.boxes:
            reached |= (low[:, 0] <= east) & (high[:, 0] >= west) & (low[:, 1] <= north) & (high[:, 1] >= south)
        return reached

    def _metres(self, places: Floats) -> Floats:
        """Distances on a sphere, which are fast."""
        longitudes, latitudes = np.radians(places).T
        latitude = radians(self.latitude)
        half = (
            np.sin((latitudes - latitude) / 2) ** 2
            + cos(latitude) * np.cos(latitudes) * np.sin((longitudes - radians(self.longitude)) / 2) ** 2
        )
        distances: Floats = 2 * _SPHERE * np.arcsin(np.sqrt(np.minimum(1.0, half)))
        return distances

    def _geodesics(self, places: Floats) -> Floats:
        here = np.full(len(places), self.longitude), np.full(len(places), self.latitude)
        distances: Floats = _GEOD.inv(*here, places[:, 0].copy(), places[:, 1].copy())[2]
        return distances


def compile_circle(center: Any, radius_m: Any) -> Circle:
    """The circle around `[longitude, latitude]` with a radius in metres. StreamError invalid_circle."""
    if center is None or radius_m is None:
        raise _bad_circle("center and radius_m are given together: [longitude, latitude] in degrees, and metres")
    if not isinstance(center, Sequence) or isinstance(center, str) or len(center) != 2 or not all(map(_is_number, center)):
        raise _bad_circle(f"center must be [longitude, latitude] in degrees, not {center!r:.60}")
    longitude, latitude = map(float, center)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise _bad_circle(f"center [{longitude}, {latitude}] is outside the world; it is [longitude, latitude] in degrees")
    if not _is_number(radius_m) or not 0 < radius_m <= MAX_RADIUS:
        raise _bad_circle(f"radius_m must be a number of metres above 0, at most {MAX_RADIUS:.0f}, not {radius_m!r:.40}")
    return Circle(longitude, latitude, float(radius_m), _boxes(longitude, latitude, float(radius_m)))


def _boxes(longitude: float, latitude: float, radius: float) -> tuple[Box, ...]:
    """Boxes around the circle, a little too large rather than too small."""
    high = radius / _LEAST_METRES_PER_DEGREE * 1.001
    south, north = max(-90.0, latitude - high), min(90.0, latitude + high)
    narrowest = cos(radians(min(90.0, abs(latitude) + 0.2)))
    angle = radius / _LEAST_CURVATURE * 1.001
    if south == -90 or north == 90 or sin(min(angle, math.pi / 2)) >= narrowest:
        return ((-180.0, south, 180.0, north),)
    wide = math.degrees(math.asin(sin(angle) / narrowest))
    west, east = longitude - wide, longitude + wide
    if west < -180:
        return ((west + 360, south, 180.0, north), (-180.0, south, east, north))
    if east > 180:
        return ((west, south, 180.0, north), (-180.0, south, east - 360, north))
    return ((west, south, east, north),)


def _simple_parts(geometry: BaseGeometry) -> NDArray[Any]:
    """Points, lines and polygons, without the collections around them and without empty ones."""
    parts = shapely.get_parts([geometry])
    while (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    filled: NDArray[Any] = parts[~shapely.is_empty(parts)]
    return filled


def _longest(starts: Floats, ends: Floats) -> Floats:
    """Metres that edges have at most."""
    across, along = np.abs(ends - starts).T
    nearest = np.where(starts[:, 1] * ends[:, 1] < 0, 0.0, np.minimum(np.abs(starts[:, 1]), np.abs(ends[:, 1])))
    length: Floats = _METRES_PER_DEGREE * np.hypot(along, across * np.cos(np.radians(nearest)))
    return length


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _bad_circle(reason: str) -> StreamError:
    return StreamError("invalid_circle", reason)
