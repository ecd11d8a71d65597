"""The process `buffer`: what lies within a distance in metres of features, measured along the surface of the Earth.

A geometry that is small is buffered in a plane around its middle. Of a large one the boundary is, piece by piece, each piece in a plane of
its own. So a metre is a metre everywhere: at the poles, over the antimeridian, and for a river as long as a continent.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Annotated, Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from processes.worker import BadInput, Input, Job

from .features import GeoJson, Result, collection, read_features, reported, valid
from .local_plane import GEOD, POLAR, LocalPlane, finer, moved
from .publishing import PublishTo, check_layer, publish_features

MOST_METRES = 5_000_000.0
RADIUS = 6_371_009.0
PIECE_METRES = 100_000.0
"""Of a boundary, or the radius of a geometry that is small: the plane is right there to 4 parts in 100,000."""
TOLERANCE = 1 / 2000
"""Of the distance: how far an edge may be from where it should be, because it is straight in degrees."""
LEAST_TOLERANCE_METRES = 0.02
METRES_PER_DEGREE = 111_320.0
_SEAM = 1e-9


def buffer(
    features: GeoJson,
    distance: Annotated[float, Input(minimum=-MOST_METRES, maximum=MOST_METRES, examples=[1000])],
    segments: Annotated[int, Input(minimum=1, maximum=100)] = 16,
    dissolve: bool = False,
    publish_to: PublishTo = None,
    *,
    job: Job,
) -> Result:
    """Buffer. The areas within a distance of features, measured along the surface of the Earth.

    Areas may cross the antimeridian, where they are split, and hold a pole.

    Args:
        features: What is buffered. A feature collection, a feature or a geometry.
        distance: Distance in metres. Below 0 areas shrink.
        segments: Segments of a quarter of a circle.
        dissolve: Dissolve. One area of all features together.
        publish_to: Layer for the result.

    Returns:
        Areas. The features with other geometries, null for those of which nothing is left.
    """
    check_layer(publish_to, job)
    if distance == 0:
        raise BadInput("must not be 0", "distance")
    found = read_features(features)
    geometries = valid(shapely.force_2d(found.geometries))
    areas = [None if each is None else buffered(each, distance, segments) for each in reported(geometries, job.progress)]
    if dissolve:
        together = shapely.union_all([area for area in areas if area is not None])
        made = collection([{"type": "Feature", "geometry": None, "properties": {}}], [together])
    else:
        made = found.with_geometries(areas)
    publish_features(publish_to, made, job)
    return made


def buffered(geometry: BaseGeometry, distance: float, segments: int = 16) -> BaseGeometry:
    """The area within a distance in metres of a geometry in degrees."""
    parts = [part for part in _parts(geometry) if not part.is_empty]
    if distance < 0:
        areas = [part for part in parts if part.geom_type == "Polygon"]
        return _shrunk(shapely.union_all(areas), -distance, segments) if areas else shapely.Polygon()
    return _grown(geometry, parts, distance, segments)


def _grown(geometry: BaseGeometry, parts: list[BaseGeometry], distance: float, segments: int) -> BaseGeometry:
    if (plane := _plane_of(geometry)) is not None:
        return _in_plane(geometry, plane, distance, segments)
    areas = [part for part in parts if part.geom_type == "Polygon"]
    pieces = [piece for part in parts for piece in (_pieces(part, distance) if part not in areas else [])]
    if areas:
        pieces += _pieces(_boundary(shapely.union_all(areas)), distance)
    return shapely.union_all([*areas, *(_around(piece, distance, segments) for piece in pieces)])


def _shrunk(area: BaseGeometry, distance: float, segments: int) -> BaseGeometry:
    margin = [_around(piece, distance, segments) for piece in _pieces(_boundary(area), distance)]
    return _areas_of(shapely.difference(area, shapely.union_all(margin)))


def _around(piece: BaseGeometry, distance: float, segments: int) -> BaseGeometry:
    plane = _plane_of(piece, always=True)
    assert plane is not None
    return _in_plane(piece, plane, distance, segments)


def _in_plane(geometry: BaseGeometry, plane: LocalPlane, distance: float, segments: int) -> BaseGeometry:
    step = _step(distance)
    if geometry.geom_type == "Point":
        return plane.unproject(shapely.Point(0, 0).buffer(distance, quad_segs=segments), step)
    _, south, _, north = geometry.bounds
    cut = shapely.segmentize(geometry, step / finer(south, north) / METRES_PER_DEGREE)
    return plane.unproject(shapely.buffer(plane.project(cut), distance, quad_segs=segments), step)


def _step(distance: float) -> float:
    """How long an edge may be, in metres, so that its middle is off by no more than the tolerance (at 45 degrees)."""
    return min(PIECE_METRES, sqrt(8 * RADIUS * max(LEAST_TOLERANCE_METRES, abs(distance) * TOLERANCE)))


def _plane_of(geometry: BaseGeometry, always: bool = False) -> LocalPlane | None:
    """The plane around the middle of a geometry, if it is small, or `always`."""
    west, south, east, north = geometry.bounds
    plane = LocalPlane((west + east) / 2, (south + north) / 2)
    if always:
        return plane
    if east - west > 180.0 or max(abs(south), abs(north)) > POLAR:
        return None  # parts of it are on both sides of the antimeridian, or it is where degrees are no measure
    corners = np.array([(x, y) for x in (west, plane.longitude, east) for y in (south, north)])
    _, _, far = GEOD.inv(np.full(6, plane.longitude), np.full(6, plane.latitude), corners[:, 0], corners[:, 1])
    return plane if max(far) <= PIECE_METRES else None


def _pieces(geometry: BaseGeometry, distance: float) -> Iterator[BaseGeometry]:
    """Points, and lines of no more than a piece's length: or a little more, where the distance is long anyway."""
    for part in _parts(geometry):
        if part.geom_type == "Point":
            yield part
        else:
            yield from _pieces_of_line(np.asarray(part.coords), max(PIECE_METRES, min(abs(distance) / 4, 5 * PIECE_METRES)))


def _pieces_of_line(corners: Any, most: float) -> Iterator[BaseGeometry]:
    places = shapely.get_coordinates(shapely.segmentize(shapely.LineString(corners), most / 2 / METRES_PER_DEGREE))
    lengths = np.asarray(GEOD.line_lengths(places[:, 0], places[:, 1]))
    start, length = 0, 0.0
    for index, more in enumerate(lengths):
        if length + more > most and index > start:
            yield shapely.LineString(places[start : index + 1])
            start, length = index, 0.0
        length += more
    yield shapely.LineString(places[start:])


def _boundary(area: BaseGeometry) -> BaseGeometry:
    """The rings of an area, without the edges that are none on the Earth: along the poles, and where it goes on over the antimeridian."""
    boundary = shapely.boundary(area)
    east = shapely.intersection(boundary, shapely.LineString([(180, -90), (180, 90)]))
    west = shapely.intersection(boundary, shapely.LineString([(-180, -90), (-180, 90)]))
    shared = shapely.intersection(east, moved(west, 360.0))
    no_edges = [shapely.LineString([(-180, pole), (180, pole)]) for pole in (-90, 90)]
    if not shared.is_empty:
        no_edges += [shared, moved(shared, -360.0)]
    if not any(shapely.intersects(boundary, each) for each in no_edges):
        return boundary
    return shapely.line_merge(shapely.difference(boundary, shapely.buffer(shapely.union_all(no_edges), _SEAM)))


def _areas_of(geometry: BaseGeometry) -> BaseGeometry:
    parts = [part for part in _parts(geometry) if part.geom_type == "Polygon"]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def _parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Points, lines and polygons."""
    if not hasattr(geometry, "geoms"):
        return [geometry]
    return [simple for part in geometry.geoms for simple in _parts(part)]
