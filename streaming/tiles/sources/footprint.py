"""The footprint of a GeoTIFF: where it is, read from its header, and whether it is opaque."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.warp import transform_bounds  # type: ignore[import-untyped]

from streaming.core.bbox import Box

from .base import invalid_source, source_errors
from .geotiff import LIBRARY_ERRORS, expect_warnings, open_geotiff
from .raster import colormap_of, map_bounds, native_zoom

MAX_SCANNED_PIXELS = 64 * 1024 * 1024
"""An image of more pixels is not read just to find out whether it is opaque."""
MAX_SCANNED_BLOCKS = 100_000
"""Nor is one of more blocks, however small they are."""
TOLERANCE = 1e-3
"""How far apart, in pixels, two images may be that count as being in the same place."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where one file is. `box` is in degrees, west > east across the antimeridian; `bounds` are in units of `crs`.

    `north_up`: it is not rotated. `zoom` is the first one that loses no detail.
    """

    box: Box
    crs: Any
    bounds: Box
    north_up: bool
    width: int
    height: int
    zoom: int


def read_footprint(path: Path) -> Footprint:
    """The footprint, from the file's header. `StreamError("invalid_source")` if it is nowhere on the map."""
    expect_warnings()
    with open_geotiff(path) as dataset, source_errors(path, *LIBRARY_ERRORS):
        left, bottom, right, top = dataset.bounds
        bounds = (min(left, right), min(bottom, top), max(left, right), max(bottom, top))
        box = _box(path, dataset.crs, bounds)
        north_up = dataset.transform.b == dataset.transform.d == 0
        return Footprint(box, dataset.crs, bounds, north_up, dataset.width, dataset.height, native_zoom(box, dataset))


def covers(above: Footprint, below: Footprint) -> bool:
    """Whether no part of the lower image is outside the upper one. False where that is not certain."""
    if not (above.north_up and below.north_up):
        return False
    try:
        lower = _transform(below.crs, above.crs, below.bounds)
    except LIBRARY_ERRORS:
        return False
    (left, bottom, right, top), (west, south, east, north) = above.bounds, lower
    across, down = TOLERANCE * (right - left) / above.width, TOLERANCE * (top - bottom) / above.height
    return west >= left - across and south >= bottom - down and east <= right + across and north <= top + down


def is_opaque(path: Path, colormap: str = "") -> bool:
    """Whether all of the image is opaque, shown with this colormap. False where finding out would take long."""
    with open_geotiff(path) as dataset, source_errors(path, *LIBRARY_ERRORS):
        if any(colour[3] < 255 for colour in colormap_of(dataset, colormap).values()):
            return False
        if dataset.width * dataset.height > MAX_SCANNED_PIXELS or _blocks(dataset) > MAX_SCANNED_BLOCKS:
            return False
        return all(_opaque_window(dataset, window) for _, window in dataset.block_windows(1))


def _blocks(dataset: Any) -> int:
    height, width = dataset.block_shapes[0]
    return int(ceil(dataset.height / height) * ceil(dataset.width / width))


def _opaque_window(dataset: Any, window: Any) -> bool:
    if not (dataset.dataset_mask(window=window) == 255).all():
        return False
    return all(np.dtype(kind).kind in "iu" for kind in dataset.dtypes) or bool(np.isfinite(dataset.read(window=window)).all())


def _box(path: Path, crs: Any, bounds: Box) -> Box:
    box = _transform(crs, "EPSG:4326", bounds)
    west, south, east, north = map_bounds([box])
    crosses_antimeridian = box[0] > box[2]
    if not all(map(isfinite, box)) or south >= north or (west >= east and not crosses_antimeridian):
        raise invalid_source(path, "the image is nowhere on the map")
    return west, south, east, north


def _transform(crs: Any, into: Any, bounds: Box) -> Box:
    if crs == into:
        return bounds
    left, bottom, right, top = transform_bounds(crs, into, *bounds, densify_pts=21)
    return left, bottom, right, top
