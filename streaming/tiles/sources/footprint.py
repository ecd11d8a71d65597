"""The footprint of a GeoTIFF: where it is, read from its header, and whether it is opaque."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.warp import transform_bounds  # type: ignore[import-untyped]

from streaming.core.bbox import Box
from streaming.tiles.grid import map_bounds

from .base import source_errors
from .colours import colormap_of, shown_bands
from .gdal import LIBRARY_ERRORS, expect_warnings
from .georeference import bounds_of, read_georeference
from .geotiff import open_geotiff
from .stretch import is_stretched

MAX_SCANNED_PIXELS = 64 * 1024 * 1024
"""An image of more pixels is not read just to find out whether it is opaque."""
MAX_SCANNED_BLOCKS = 100_000
"""Nor is one of more blocks, however small they are."""
TOLERANCE = 1e-3
"""How far apart, in pixels, two images may be that count as being in the same place."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where one file is. `box` is in degrees, west > east across the antimeridian; `bounds` are in units of `crs`.

    `north_up`: it is not rotated. `zoom` is the first one that loses no detail. `stretched`: its values are not bytes.
    """

    box: Box
    crs: Any
    bounds: Box
    north_up: bool
    width: int
    height: int
    zoom: int
    stretched: bool


def read_footprint(path: Path) -> Footprint:
    """The footprint, from the file's header. `StreamError("invalid_source")` if it is nowhere on the map."""
    expect_warnings()
    with open_geotiff(path) as dataset, source_errors(path, *LIBRARY_ERRORS):
        place = read_georeference(path, dataset)
        box = map_bounds([place.box])
        stretched = not colormap_of(dataset) and is_stretched(dataset, shown_bands(dataset))
        return Footprint(box, place.crs, bounds_of(dataset), place.north_up, dataset.width, dataset.height, place.zoom, stretched)


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
    return all(kind.startswith(("int", "uint")) for kind in dataset.dtypes) or bool(np.isfinite(dataset.read(window=window)).all())


def _transform(crs: Any, into: Any, bounds: Box) -> Box:
    if crs == into:
        return bounds
    left, bottom, right, top = transform_bounds(crs, into, *bounds, densify_pts=21)
    return left, bottom, right, top
