"""Hexagonal cells of the Earth (H3), as areas of GeoJSON."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import h3
import shapely
from pyproj import Geod

from streaming.core.items import Item

from .features import geojson_of
from .local_plane import LocalPlane

SPHERE = Geod(ellps="sphere")
"""To H3 the Earth is one."""
STEP_METRES = 50_000.0
"""Edges of the largest cells are cut to this."""


def cell_of(item: Item, resolution: int) -> str | None:
    """The cell that a feature is in, by a place that it has for certain. None without a geometry."""
    if item.box is None:
        return None
    if item.is_point:
        longitude, latitude = item.box[:2]
    else:
        place = shapely.point_on_surface(item.geometry)
        if place is None or place.is_empty:
            return None
        longitude, latitude = place.x, place.y
    cell: str = h3.latlng_to_cell(latitude, longitude, resolution)
    return cell


@lru_cache(100_000)
def geometry_of(cell: str) -> dict[str, Any]:
    """The area of a cell in degrees, split at the antimeridian. It may hold a pole."""
    latitude, longitude = h3.cell_to_latlng(cell)
    plane = LocalPlane(longitude, latitude)
    area = plane.unproject(shapely.Polygon(shapely.get_coordinates(plane.project(shapely.MultiPoint(list(_edge(cell)))))), STEP_METRES)
    (geometry,) = geojson_of([area])
    assert geometry is not None
    return geometry


def _edge(cell: str) -> Iterator[tuple[float, float]]:
    """Positions along the edges of a cell, which are those of great circles."""
    corners = [(longitude, latitude) for latitude, longitude in h3.cell_to_boundary(cell)]
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        yield start
        _, _, length = SPHERE.inv(*start, *end)
        if length > STEP_METRES:
            yield from SPHERE.npts(*start, *end, int(length / STEP_METRES))
