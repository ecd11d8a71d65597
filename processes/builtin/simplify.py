"""The process `simplify`: features with fewer positions, no further from the others than a tolerance in metres.

Polygons that share borders keep sharing them. The algorithm of Visvalingam and Whyatt takes corners away by the area of their triangles, so
they are simplified in a plane on which areas are true everywhere. That of Douglas and Peucker, for lines, goes by distances: each line is
in a plane around its middle or, piece by piece, in several.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from processes.worker import Input, Job

from .features import GeoJson, Geometries, Result, read_features, reported, valid
from .local_plane import GEOD, LocalPlane
from .publishing import PublishTo, check_layer, publish_features

MOST_METRES = 1_000_000.0
PIECE_METRES = 1_000_000.0
"""Of a line: longer ones keep a position at least so often."""
EQUAL_AREA = "+proj=cea +lat_ts=30 +ellps=WGS84 +units=m"
LINE, AREA = 1, 2
"""Dimensions."""


def simplify(
    features: GeoJson,
    tolerance: Annotated[float, Input(exclusive_minimum=0, maximum=MOST_METRES, examples=[100])],
    publish_to: PublishTo = None,
    *,
    job: Job,
) -> Result:
    """Simplify. Features with fewer positions.

    Polygons that share borders keep sharing them: there are neither gaps nor overlaps that were not there before. Points stay as they are.

    Args:
        features: What is simplified. A feature collection, a feature or a geometry.
        tolerance: Tolerance in metres. Lines are no further from what they were; of areas, corners whose triangle is smaller than the
            square of the tolerance are left out.
        publish_to: Layer for the result.

    Returns:
        Simple features. The features with other geometries.
    """
    check_layer(publish_to, job)
    found = read_features(features)
    simple = found.geometries.copy()
    dimensions = shapely.get_dimensions(simple)
    mixed = shapely.get_type_id(simple) == shapely.GeometryType.GEOMETRYCOLLECTION
    areas = (dimensions == AREA) & ~mixed
    if areas.any():
        simple[areas] = _simple_areas(valid(simple[areas]), tolerance)
    for index in reported(np.flatnonzero(mixed | (dimensions == LINE)), job.progress, 50):
        simple[index] = _simple(simple[index], tolerance)
    made = found.with_geometries(simple)
    publish_features(publish_to, made, job)
    return made


def _simple_areas(areas: Geometries, tolerance: float) -> Geometries:
    """All together, so that a border that two of them share stays one."""
    plane = Transformer.from_crs(4326, EQUAL_AREA, always_xy=True)
    flat = shapely.transform(areas, lambda places: np.column_stack(plane.transform(places[:, 0], places[:, 1])))
    simple: Geometries = shapely.transform(shapely.coverage_simplify(flat, tolerance), lambda places: _in_degrees(plane, places))
    return simple


def _in_degrees(plane: Transformer, places: NDArray[np.float64]) -> NDArray[np.float64]:
    longitudes, latitudes = plane.transform(places[:, 0], places[:, 1], direction="INVERSE")
    return np.column_stack((np.clip(longitudes, -180.0, 180.0), np.clip(latitudes, -90.0, 90.0)))


def _simple(geometry: BaseGeometry, tolerance: float) -> BaseGeometry:
    """A line, or a collection of anything."""
    if geometry.geom_type == "LineString":
        return _simple_line(geometry, tolerance)
    if hasattr(geometry, "geoms"):
        parts = [_simple(part, tolerance) for part in geometry.geoms]
        return type(geometry)(parts)
    if geometry.geom_type == "Polygon":
        return _simple_areas(np.array([geometry], dtype=object), tolerance)[0]
    return geometry


def _simple_line(line: BaseGeometry, tolerance: float) -> BaseGeometry:
    """Some of its own positions, heights with them: the first and the last are among them."""
    places = shapely.get_coordinates(line, include_z=line.has_z)
    kept = np.concatenate([_kept(places[start:end], tolerance) + start for start, end in _pieces(places)])
    return shapely.LineString(places[np.unique(kept)])


def _pieces(places: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Ranges of positions that overlap by one."""
    lengths = np.asarray(GEOD.line_lengths(places[:, 0], places[:, 1]))
    start, length = 0, 0.0
    for index, more in enumerate(lengths):
        if length + more > PIECE_METRES and index > start:
            yield start, index + 1
            start, length = index, 0.0
        length += more
    yield start, len(places)


def _kept(places: NDArray[np.float64], tolerance: float) -> Any:
    """The numbers of the positions that a simplified line has."""
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    flat = LocalPlane(middle[0], middle[1]).project(shapely.LineString(places[:, :2]))
    numbered = shapely.LineString(np.column_stack((shapely.get_coordinates(flat), np.arange(len(places)))))
    simple = shapely.simplify(numbered, tolerance, preserve_topology=False)
    return shapely.get_coordinates(simple, include_z=True)[:, 2].astype(int)
