"""A plane in metres around a place: the azimuthal equidistant projection of the WGS 84 ellipsoid.

Distances and directions from its centre are those of the geodesics. Off the centre they are wrong by about a sixth of the square of the
distance in radii of the Earth: 4 parts in 100,000 at 100 km.
"""

from __future__ import annotations

from math import radians, sqrt, tan
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

GEOD = Geod(ellps="WGS84")
QUARTER = 10_001_965.73
"""Metres from the equator to a pole."""
POLAR = 89.9
"""Degrees of latitude beyond which degrees of longitude are no measure."""
_AT_POLE = 1e-6
"""Metres within which a position is the pole itself, and has no longitude."""
_WORLD = (-180.0, -90.0, 180.0, 90.0)
Floats = NDArray[np.float64]


def finer(south: float, north: float) -> float:
    """How many times as short an edge must be between these latitudes as at 45 degrees, to be as near to the geodesic.

    The two are apart by the square of the length times the tangent of the latitude.
    """
    return sqrt(max(1.0, tan(radians(min(POLAR, max(abs(south), abs(north)))))))


class LocalPlane:
    """The plane around a longitude and latitude in degrees."""

    def __init__(self, longitude: float, latitude: float) -> None:
        self.longitude, self.latitude = longitude, latitude

    def project(self, geometry: BaseGeometry) -> BaseGeometry:
        """Degrees to metres."""
        return shapely.transform(geometry, self._to_metres)

    def unproject(self, geometry: BaseGeometry, step: float) -> BaseGeometry:
        """An area of the plane as one of the world: split at the antimeridian. It may hold a pole.

        Edges are cut to `step` metres at most, and near the poles to less: see `finer`.
        """
        cut = shapely.segmentize(geometry, step)
        latitudes = self._to_degrees(shapely.get_coordinates(cut))[:, 1]
        cut = shapely.segmentize(cut, step / finer(latitudes.min(), latitudes.max()))
        if any(_holds(cut, self._pole(latitude)) for latitude in (90.0, -90.0)):
            return _over_the_pole(shapely.transform(cut, self._to_degrees), 90.0 if self.latitude >= 0 else -90.0)
        return within_world(shapely.transform(cut, self._to_degrees))

    def _to_metres(self, places: Floats) -> Floats:
        count = len(places)
        azimuth, _, distance = GEOD.inv(np.full(count, self.longitude), np.full(count, self.latitude), places[:, 0], places[:, 1])
        angle = np.radians(azimuth)
        return np.column_stack((distance * np.sin(angle), distance * np.cos(angle)))

    def _to_degrees(self, places: Floats) -> Floats:
        """Longitudes go on beyond 180 degrees."""
        count = len(places)
        azimuth, distance = np.degrees(np.arctan2(places[:, 0], places[:, 1])), np.hypot(places[:, 0], places[:, 1])
        longitude, latitude, _ = GEOD.fwd(np.full(count, self.longitude), np.full(count, self.latitude), azimuth, distance)
        east = np.remainder(np.asarray(longitude) - self.longitude + 180.0, 360.0) - 180.0
        return np.column_stack((self.longitude + east, latitude))

    def _pole(self, latitude: float) -> Any:
        return shapely.Point(self._to_metres(np.array([[self.longitude, latitude]]))[0])


def within_world(geometry: BaseGeometry) -> BaseGeometry:
    """An area whose longitudes go on beyond 180 degrees, cut and brought back into the world."""
    area = geometry if shapely.is_valid(geometry) else shapely.make_valid(geometry)
    west, _, east, _ = area.bounds
    if west >= -180.0 and east <= 180.0:
        return area
    return shapely.union_all([moved(shapely.intersection(area, _turn(turn)), -360.0 * turn) for turn in (-1, 0, 1)])


def _turn(turn: int) -> BaseGeometry:
    west, south, east, north = _WORLD
    return shapely.box(west + 360.0 * turn, south, east + 360.0 * turn, north)


def moved(geometry: BaseGeometry, degrees: float) -> BaseGeometry:
    """A geometry so many degrees further east."""
    return shapely.transform(geometry, lambda places: places + np.array([degrees, 0.0]))


def _holds(area: BaseGeometry, place: Any) -> bool:
    return bool(shapely.dwithin(area, place, _AT_POLE))


def _over_the_pole(area: BaseGeometry, pole: float) -> BaseGeometry:
    """An area in degrees that holds this pole, cut along four meridians, which are straight in the plane around the pole."""
    plane = LocalPlane(0.0, pole)
    flat = shapely.make_valid(plane.project(area))
    quarters = []
    for west in (-180.0, -90.0, 0.0, 90.0):
        quarter = shapely.intersection(flat, _sector(west, pole))
        for part in shapely.get_parts(quarter):
            if part.geom_type == "Polygon":
                quarters.append(_part_of_sector(part, west, pole, plane))
    return shapely.union_all(quarters)


def _sector(west: float, pole: float) -> BaseGeometry:
    """A quarter of the plane around the pole, from one meridian to the next."""
    reach = 2.5 * QUARTER
    corners = [(0.0, 0.0)]
    for longitude in (west, west + 45.0, west + 90.0):
        angle = np.radians(180.0 - longitude if pole > 0 else longitude)
        corners.append((reach * np.sin(angle), reach * np.cos(angle)))
    return shapely.Polygon(corners)


def _part_of_sector(part: BaseGeometry, west: float, pole: float, plane: LocalPlane) -> BaseGeometry:
    """In degrees, between the two meridians. A corner at the pole becomes an edge along it."""
    rings = [_ring_of_sector(np.asarray(ring.coords), west, pole, plane) for ring in (part.exterior, *part.interiors)]
    return shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))


def _ring_of_sector(places: Floats, west: float, pole: float, plane: LocalPlane) -> list[tuple[float, float]]:
    degrees = plane._to_degrees(places)
    longitudes = np.clip(np.remainder(degrees[:, 0] - west + 135.0, 360.0) - 135.0, 0.0, 90.0) + west
    at_pole = np.hypot(places[:, 0], places[:, 1]) < 1.0
    ring: list[tuple[float, float]] = []
    closed = len(places) - 1  # the last position is the first one again
    for index in range(closed):
        if at_pole[index]:
            before, after = longitudes[(index - 1) % closed], longitudes[(index + 1) % closed]
            ring += [(float(before), pole), (float(after), pole)]
        else:
            ring.append((float(longitudes[index]), float(degrees[index, 1])))
    return ring
