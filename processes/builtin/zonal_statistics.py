"""The process `zonal-statistics`: what the values of a raster are within areas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import geometry_mask  # type: ignore[import-untyped]
from shapely.geometry.base import BaseGeometry

from processes.worker import BadInput, Input, Job

from .features import Features, GeoJson, Result, read_features, reported
from .publishing import PublishTo, check_layer, publish_features
from .raster import Band, GeoTiff, Raster, TilesetName, Values, open_raster

Statistic = Literal["count", "min", "max", "mean", "sum", "std", "median", "majority", "variety"]
Numbers = NDArray[np.float64]
EDGE_PARTS = 500
"""An edge is straight in degrees: where the raster is not, edges are cut to this part of the zone's size."""


def zonal_statistics(
    zones: GeoJson,
    raster: GeoTiff = None,
    tileset: TilesetName = None,
    band: Band = 1,
    statistics: Annotated[list[Statistic], Input(min_items=1)] = ["count", "min", "max", "mean"],  # noqa: B006  # never changed
    all_touched: bool = False,
    prefix: Annotated[str, Input(max_length=100)] = "",
    publish_to: PublishTo = None,
    *,
    job: Job,
) -> Result:
    """Zonal statistics. What the values of a raster are within areas.

    A pixel is in a zone if its centre is. Pixels without a value do not count.

    Args:
        zones: Zones. A feature collection, a feature or a geometry.
        raster: Raster.
        tileset: Tileset.
        band: Band. The first one is 1.
        statistics: Statistics.
        all_touched: All touched. Every pixel that a zone touches is in it.
        prefix: Put before the names of the statistics.
        publish_to: Layer for the result.

    Returns:
        Zones with statistics. A statistic of a zone without pixels is null.
    """
    check_layer(publish_to, job)
    found = read_features(zones, "zones")
    with open_raster(raster, tileset, band, job) as opened:
        shapes = _in_crs_of(opened, found)
        values = [_values(opened, band, each, all_touched) for each in reported(shapes, job.progress)]
        rows = [{f"{prefix}{name}": STATISTICS[name](each) for name in statistics} for each in values]
    made = [{**feature, "properties": {**feature["properties"], **row}} for feature, row in zip(found.members, rows, strict=True)]
    document = {"type": "FeatureCollection", "features": made}
    publish_features(publish_to, document, job)
    return document


def _majority(values: Numbers) -> float:
    """The value of most pixels, the smallest of several."""
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def _of_some(statistic: Callable[[Numbers], Any]) -> Callable[[Numbers], float | None]:
    return lambda values: float(statistic(values)) if len(values) else None


STATISTICS: dict[str, Callable[[Numbers], float | None]] = {
    "count": lambda values: len(values),
    "min": _of_some(np.min),
    "max": _of_some(np.max),
    "mean": _of_some(np.mean),
    "sum": lambda values: float(np.sum(values)),
    "std": _of_some(np.std),
    "median": _of_some(np.median),
    "majority": _of_some(_majority),
    "variety": lambda values: len(np.unique(values)),
}


def _in_crs_of(raster: Raster, zones: Features) -> Sequence[BaseGeometry | None]:
    transformer = Transformer.from_crs("OGC:CRS84", raster.crs.to_wkt(), always_xy=True)

    def project(places: Numbers) -> Numbers:
        return np.column_stack(transformer.transform(places[:, 0], places[:, 1]))

    flat = shapely.force_2d(zones.geometries)
    bounds = shapely.bounds(flat)
    sizes = np.fmax(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    if not raster.crs.is_geographic:
        flat = shapely.segmentize(flat, np.where(sizes > 0, sizes / EDGE_PARTS, 1.0))
    shapes: Sequence[BaseGeometry | None] = list(shapely.transform(flat, project))
    return shapes


def _values(raster: Raster, band: int, zone: BaseGeometry | None, all_touched: bool) -> Numbers:
    """The values of the pixels in a zone."""
    none: Numbers = np.empty(0)
    if zone is None or zone.is_empty:
        return none
    if not np.isfinite(zone.bounds).all():
        raise BadInput("a zone has positions that the CRS of the raster cannot express", "zones")
    window = raster.window(zone.bounds)
    if window is None:
        return none
    pixels: Values = raster.read(band, window)
    outside = geometry_mask([zone], (window.height, window.width), raster.transform_of(window), all_touched=all_touched)
    return np.asarray(pixels[~outside].compressed(), dtype=np.float64)
