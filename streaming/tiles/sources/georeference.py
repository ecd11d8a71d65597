"""Where the pixels of a GeoTIFF are on the Earth.

A file says so in one of three ways: by a transform, which is where its corners are in a CRS; by ground control points,
through which GDAL lays a polynomial; or by a sensor model (RPC), at sea level. They are asked in this order, as GDAL
does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, isfinite, log2, pi
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS as ProjectionCRS
from pyproj import Transformer
from pyproj.exceptions import CRSError as ProjectionError
from rasterio.crs import CRS  # type: ignore[import-untyped]
from rasterio.transform import GCPTransformer, RPCTransformer, array_bounds  # type: ignore[import-untyped]
from rasterio.warp import calculate_default_transform, transform_bounds  # type: ignore[import-untyped]

from streaming.core.bbox import Box
from streaming.tiles.grid import MAX_LATITUDE, MAX_ZOOM

from .base import error_text, invalid_source
from .gdal import LIBRARY_ERRORS

WGS84 = CRS.from_epsg(4326)
WEB_MERCATOR = CRS.from_epsg(3857)
EARTH_RADIUS = 6_378_137.0
WORLD_METRES = 2 * pi * EARTH_RADIUS
"""The width of the world in metres of Web Mercator."""
SAME_BODY = 0.005
"""By what part the radius of an ellipsoid of the Earth may differ. PROJ has the same."""
LONGITUDES = (-361.0, 541.0)
"""GDAL finds its way within a turn around these. What is far beyond are metres that are called degrees."""
SAMPLES = 16
"""Places along each side where the size of a pixel is measured."""
_UNKNOWN_CRS: tuple[type[BaseException], ...] = (ProjectionError, *LIBRARY_ERRORS)
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Georeference:
    """Where the pixels of one file are.

    `box` is in degrees, within -180 to 180; west > east across the antimeridian. `zoom` is the first one that loses no
    detail. `pixel_metres` is the side of the smallest pixel in metres of Web Mercator. `north_up`: it has a transform,
    which is not rotated. `rpcs`: the sensor model, if it is used.
    """

    crs: Any
    box: Box
    zoom: int
    pixel_metres: float
    north_up: bool
    rpcs: Any = None


def read_georeference(path: Path, dataset: Any) -> Georeference:
    """Where a file is. `StreamError("invalid_source")`: nowhere on the map, or not on the Earth."""
    crs = crs_of(dataset)
    if crs is None:
        raise invalid_source(
            path,
            "the image has no coordinate reference system; gdal_translate -a_srs and -a_ullr give it one, or a .tfw and a .prj beside it",
        )
    _require_earth(path, crs)
    rpcs = None if has_transform(dataset) or dataset.gcps[0] else dataset.rpcs
    try:
        box = _transformed_box(dataset, crs) if has_transform(dataset) else _warped_box(dataset, crs, rpcs)
        _require_on_map(path, box)
        metres = _pixel_metres(dataset, crs)
    except LIBRARY_ERRORS as error:
        raise invalid_source(path, f"where the image is cannot be found out: {error_text(path, error)}") from error
    north_up = has_transform(dataset) and dataset.transform.b == dataset.transform.d == 0
    metres = metres or _width(box) / 360 * WORLD_METRES / dataset.width
    return Georeference(crs, box, _native_zoom(box, dataset), metres, north_up, rpcs)


def crs_of(dataset: Any) -> Any:
    """The CRS in which the file says where it is; None if it does not."""
    points, crs_of_points = dataset.gcps
    if has_transform(dataset):
        return dataset.crs
    return crs_of_points if points and crs_of_points else WGS84 if dataset.rpcs else None


def has_transform(dataset: Any) -> bool:
    """Whether the file says where it is by a transform."""
    return dataset.crs is not None and not dataset.transform.is_identity


def bounds_of(dataset: Any) -> Box:
    """The bounds in units of the CRS; also of images that are upside down."""
    left, bottom, right, top = dataset.bounds
    return min(left, right), min(bottom, top), max(left, right), max(bottom, top)


def _require_earth(path: Path, crs: Any) -> None:
    try:
        name, radius = _name_and_radius(crs.to_wkt())
    except _UNKNOWN_CRS as error:
        raise invalid_source(path, f"its coordinate reference system is not understood: {error_text(path, error)}") from error
    if radius is None:
        raise invalid_source(path, f"its coordinate reference system ({name}) is a local one, of no known place on the Earth")
    if abs(radius / EARTH_RADIUS - 1) > SAME_BODY:
        raise invalid_source(path, f"its coordinate reference system ({name}) is not of the Earth")


@lru_cache(64)
def _name_and_radius(wkt: str) -> tuple[str, float | None]:
    """The name of a CRS and the radius of its ellipsoid in metres; a local CRS has none."""
    known = ProjectionCRS.from_user_input(wkt)
    return known.name[:80], known.ellipsoid.semi_major_metre if known.ellipsoid else None


def _require_on_map(path: Path, box: Box) -> None:
    west, south, east, north = box
    if not all(map(isfinite, box)) or max(south, -MAX_LATITUDE) >= min(north, MAX_LATITUDE) or west == east:
        raise invalid_source(path, "the image is nowhere on the map")


def _transformed_box(dataset: Any, crs: Any) -> Box:
    west, south, east, north = bounds = bounds_of(dataset)
    if not crs.is_geographic:
        return _projected_box(dataset, crs, bounds)
    degree = pi / 180 / crs.units_factor[1]
    least, most = (longitude * degree for longitude in LONGITUDES)
    if west < least or east > most or max(abs(south), abs(north)) > 91 * degree + (north - south) / dataset.height:
        return (np.nan,) * 4
    if east - west >= 360 * degree - (east - west) / dataset.width:  # the whole world, to the pixel
        whole = _to_degrees(crs, (-180 * degree, south, 180 * degree, north))
        return -180.0, whole[1], 180.0, whole[3]
    return _box_of_any_longitudes(crs, bounds, degree)


def _projected_box(dataset: Any, crs: Any, bounds: Box) -> Box:
    """The box of bounds whose corners may be outside of what the projection can show."""
    try:
        box = _to_degrees(crs, bounds)
        if all(map(isfinite, box)):
            return box
    except LIBRARY_ERRORS:
        pass
    columns, rows = _places(dataset, SAMPLES * 4)
    x, y = _positions(dataset.transform, columns, rows)
    lon, lat = _where_it_goes(crs, WGS84, x, y)
    there = np.isfinite(lon) & np.isfinite(lat)
    if not there.any():
        return (np.nan,) * 4
    lon, lat = lon[there], lat[there]
    across, down = (float(np.ptp(each)) / SAMPLES for each in (lon, lat))
    return max(lon.min() - across, -180.0), max(lat.min() - down, -90.0), min(lon.max() + across, 180.0), min(lat.max() + down, 90.0)


def _warped_box(dataset: Any, crs: Any, rpcs: Any) -> Box:
    """The box of an image that has no transform."""
    points = None if rpcs else dataset.gcps[0]
    affine, width, height = calculate_default_transform(crs, WGS84, dataset.width, dataset.height, gcps=points, rpcs=rpcs)
    return _box_of_any_longitudes(WGS84, array_bounds(height, width, affine), 1)


def _box_of_any_longitudes(crs: Any, bounds: Box, degree: float) -> Box:
    """The box of bounds in longitudes that may be beyond 180, such as 0 to 360."""
    west, south, east, north = bounds
    half = 180 * degree
    turns = 2 * half * ((west + half) // (2 * half))
    west, east = west - turns, east - turns
    if east <= half:
        return _to_degrees(crs, (west, south, east, north))
    before, after = _to_degrees(crs, (west, south, half, north)), _to_degrees(crs, (-half, south, east - 2 * half, north))
    return before[0], min(before[1], after[1]), after[2], max(before[3], after[3])


def _to_degrees(crs: Any, bounds: Box) -> Box:
    if crs == WGS84:
        return bounds
    west, south, east, north = transform_bounds(crs, WGS84, *bounds, densify_pts=21)
    return west, south, east, north


def _native_zoom(box: Box, dataset: Any) -> int:
    """The first zoom whose pixels (in tiles of 256) are no larger than those of the file."""
    degrees = min(_width(box) / dataset.width, (box[3] - box[1]) / dataset.height)
    return min(max(ceil(log2(360 / 256 / max(degrees, 1e-12)) - 1e-9), 0), MAX_ZOOM)


def _width(box: Box) -> float:
    return box[2] - box[0] if box[0] < box[2] else box[2] - box[0] + 360


def _pixel_metres(dataset: Any, crs: Any) -> float | None:
    """The side of the smallest pixel. Beyond the map's edge nothing is measured, for there pixels grow without end."""
    columns, rows = _places(dataset, SAMPLES)
    with _pixels_to_crs(dataset) as to_crs:
        (x, y), (right_x, right_y), (below_x, below_y) = (
            _where_it_goes(crs, WEB_MERCATOR, *to_crs(columns + across, rows + down)) for across, down in ((0, 0), (1, 0), (0, 1))
        )
    with np.errstate(all="ignore"):
        sizes = np.concatenate([np.hypot(_short_way(right_x - x), right_y - y), np.hypot(_short_way(below_x - x), below_y - y)])
        inside = np.tile(np.abs(y) < WORLD_METRES / 2, 2) & np.isfinite(sizes) & (sizes > 0)
    return float(sizes[inside].min()) if inside.any() else None


def _where_it_goes(crs: Any, to: Any, x: Any, y: Any) -> tuple[Numbers, Numbers]:
    """Positions in another CRS; infinite where it has none, such as the corners of a picture of the whole disk of the Earth."""
    projection = Transformer.from_crs(crs.to_wkt(), to.to_wkt(), always_xy=True)
    found: tuple[Numbers, Numbers] = projection.transform(np.asarray(x, np.float64), np.asarray(y, np.float64))
    return found


def _places(dataset: Any, samples: int) -> tuple[Numbers, Numbers]:
    """Columns and rows of places all over the image."""
    steps = (np.arange(samples) + 0.5) / samples
    columns, rows = np.meshgrid(steps * dataset.width, steps * dataset.height)
    return columns.ravel(), rows.ravel()


def _short_way(metres: Numbers) -> Numbers:
    """The difference of two eastings, not the long way around the world."""
    return (metres + WORLD_METRES / 2) % WORLD_METRES - WORLD_METRES / 2


def _positions(affine: Any, columns: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
    return affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f


@contextmanager
def _pixels_to_crs(dataset: Any) -> Iterator[Any]:
    """A function from columns and rows to positions in the file's CRS."""
    if has_transform(dataset):
        yield lambda columns, rows: _positions(dataset.transform, columns, rows)
        return
    with GCPTransformer(dataset.gcps[0]) if dataset.gcps[0] else RPCTransformer(dataset.rpcs) as transformer:
        yield lambda columns, rows: transformer.xy(rows, columns)
