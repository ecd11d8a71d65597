"""The process `contour`: lines of equal values of a raster, by contourpy."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import shapely
from contourpy import contour_generator
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from processes.worker import BadInput, Feature, Input, Job
from streaming.engine.conf import conf

from .features import Result, collection, reported
from .local_plane import within_world
from .publishing import PublishTo, check_layer, publish_features
from .raster import Band, Box, GeoTiff, Raster, TilesetName, open_raster

MOST_LEVELS = 1000


def contour(
    raster: GeoTiff = None,
    tileset: TilesetName = None,
    band: Band = 1,
    interval: Annotated[float | None, Input(exclusive_minimum=0, examples=[100])] = None,
    base: float = 0.0,
    levels: Annotated[list[float] | None, Input(min_items=1, max_items=MOST_LEVELS)] = None,
    area: Box = None,
    publish_to: PublishTo = None,
    *,
    job: Job,
) -> Result:
    """Contour. Lines along which the values of a raster are equal.

    Give the interval between lines, or the levels themselves.

    Args:
        raster: Raster.
        tileset: Tileset.
        band: Band. The first one is 1.
        interval: Interval between lines.
        base: Base. One of the levels, from which the interval counts.
        levels: Levels.
        area: Area.
        publish_to: Layer for the result.

    Returns:
        Lines. Their property `level` is the value.
    """
    check_layer(publish_to, job)
    if (interval is None) == (levels is None):
        raise BadInput("give either an interval or levels", "interval")
    with open_raster(raster, tileset, band, job) as opened:
        window = opened.window_in_degrees(area)
        values = opened.read(band, window)
        job.progress(20, "raster read")
        wanted = sorted(set(levels)) if levels is not None else _levels(values, interval or 0.0, base)
        lines = _lines(values, wanted, job)
        geometries = _in_degrees([line for _, line in lines], opened, opened.transform_of(window))
    features: list[Feature] = [
        {"type": "Feature", "id": number, "geometry": None, "properties": {"level": level}} for number, (level, _) in enumerate(lines, 1)
    ]
    made = collection(features, geometries)
    publish_features(publish_to, made, job)
    return made


def _levels(values: Any, interval: float, base: float) -> list[float]:
    if not values.count():
        return []
    first, last = np.ceil((values.min() - base) / interval), np.floor((values.max() - base) / interval)
    if last - first >= MOST_LEVELS:
        raise BadInput(f"there are {last - first + 1:,.0f} levels, more than {MOST_LEVELS:,}; take a larger interval", "interval")
    return [base + interval * float(number) for number in np.arange(first, last + 1)]


def _lines(values: Any, levels: list[float], job: Job) -> list[tuple[float, NDArray[np.float64]]]:
    """Lines in columns and rows, from the centre of the first pixel."""
    if min(values.shape) < 2:
        return []
    generator = contour_generator(z=values, corner_mask=True)
    found: list[tuple[float, NDArray[np.float64]]] = []
    positions = 0
    for level in reported(levels, job.progress, 20, 80):
        for line in generator.lines(level):
            found.append((level, np.asarray(line)))
            positions += len(line)
        if len(found) > conf.PROCESS_FEATURES or positions > conf.PROCESS_POSITIONS:
            raise BadInput("there are too many lines for one job; take a larger interval, or a smaller area", "interval")
    return found


def _in_degrees(lines: list[NDArray[np.float64]], raster: Raster, transform: Any) -> list[BaseGeometry]:
    if not lines:
        return []
    places = np.concatenate(lines) + 0.5
    x, y = transform * (places[:, 0], places[:, 1])
    degrees = np.column_stack(Transformer.from_crs(raster.crs.to_wkt(), "OGC:CRS84", always_xy=True).transform(x, y))
    if not np.isfinite(degrees).all():
        raise BadInput("the raster reaches beyond where its CRS can be turned into degrees", "raster")
    ends = np.cumsum([len(line) for line in lines])[:-1]
    return [within_world(shapely.LineString(_going_on(part))) for part in np.split(degrees, ends)]


def _going_on(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """A line that does not jump back at the antimeridian."""
    return np.column_stack((np.unwrap(places[:, 0], period=360.0), places[:, 1]))
