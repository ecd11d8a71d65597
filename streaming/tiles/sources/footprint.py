"""Where a GeoTIFF is and whether anything can be seen through it, without opening it as a source."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path
from typing import Any

from streaming.core.bbox import Box

from .base import invalid_source, source_errors
from .geotiff import expect_warnings, library_errors, open_geotiff
from .raster import around, native_zoom

LOOKED_THROUGH = 64 * 1024 * 1024
"""An image of more pixels is not read only to find out whether all of them are opaque."""
MOST_BLOCKS = 100_000
"""Nor is one of more blocks, however small they are."""
SLACK = 1e-3
"""Of a pixel: so far two images may be apart and still count as being in the same place."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of one file. `box` is in degrees, west > east across the antimeridian; `edges` are in units of `crs`; `zoom` loses no detail."""

    box: Box
    crs: Any
    edges: Box
    upright: bool
    width: int
    height: int
    zoom: int


def read_footprint(path: Path) -> Footprint:
    """From the file's header. `StreamError("invalid_source")` if it has no place on the map."""
    expect_warnings()
    with open_geotiff(path) as dataset, source_errors(path, *library_errors()):
        left, bottom, right, top = dataset.bounds
        edges = (min(left, right), min(bottom, top), max(left, right), max(bottom, top))
        box = _degrees(path, dataset.crs, edges)
        upright = dataset.transform.b == dataset.transform.d == 0
        return Footprint(box, dataset.crs, edges, upright, dataset.width, dataset.height, native_zoom(box, dataset))


def covers(above: Footprint, below: Footprint) -> bool:
    """Whether no part of the lower image sticks out. Where that cannot be told for certain: no."""
    if not (above.upright and below.upright):
        return False
    try:
        edges = _transformed(below.crs, above.crs, below.edges)
    except library_errors():
        return False
    (left, bottom, right, top), (west, south, east, north) = above.edges, edges
    across, down = SLACK * (right - left) / above.width, SLACK * (top - bottom) / above.height
    return west >= left - across and south >= bottom - down and east <= right + across and north <= top + down


def opaque(path: Path, colormap: str = "") -> bool:
    """Whether nothing below can be seen through it, shown with this colormap. Where that would take long to tell: no."""
    with open_geotiff(path) as dataset, source_errors(path, *library_errors()):
        if not _opaque_palette(dataset, colormap):
            return False
        if dataset.width * dataset.height > LOOKED_THROUGH or _blocks(dataset) > MOST_BLOCKS:
            return False
        return all(_opaque_window(dataset, window) for _, window in dataset.block_windows(1))


def _blocks(dataset: Any) -> int:
    height, width = dataset.block_shapes[0]
    return int(ceil(dataset.height / height) * ceil(dataset.width / width))


def _opaque_window(dataset: Any, window: Any) -> bool:
    import numpy as np

    if not (dataset.dataset_mask(window=window) == 255).all():
        return False
    return all(np.dtype(kind).kind in "iu" for kind in dataset.dtypes) or bool(np.isfinite(dataset.read(window=window)).all())


def _opaque_palette(dataset: Any, colormap: str) -> bool:
    from rasterio.enums import ColorInterp  # type: ignore[import-untyped]
    from rio_tiler.colormap import cmap

    colours: dict[int, Any] = {}
    if colormap:
        colours = dict(cmap.get(colormap))  # type: ignore[arg-type]
    elif dataset.colorinterp[0] == ColorInterp.palette:
        colours = dataset.colormap(1)
    return all(colour[3] == 255 for colour in colours.values())


def _degrees(path: Path, crs: Any, edges: Box) -> Box:
    box = _transformed(crs, "EPSG:4326", edges)
    west, south, east, north = around([box])
    crosses_antimeridian = box[0] > box[2]
    if not all(map(isfinite, box)) or south >= north or (west >= east and not crosses_antimeridian):
        raise invalid_source(path, "the image is nowhere on the map")
    return west, south, east, north


def _transformed(crs: Any, into: Any, edges: Box) -> Box:
    from rasterio.warp import transform_bounds  # type: ignore[import-untyped]

    if crs == into:
        return edges
    left, bottom, right, top = transform_bounds(crs, into, *edges, densify_pts=21)
    return left, bottom, right, top
