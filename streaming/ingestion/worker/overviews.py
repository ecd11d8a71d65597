"""Makes Cloud Optimized GeoTIFFs, which have overviews: without, low zooms of a large image are made from all of its pixels."""

from __future__ import annotations

import rasterio  # type: ignore[import-untyped]
from rasterio.errors import RasterioError  # type: ignore[import-untyped]
from rasterio.shutil import copy as copy_raster  # type: ignore[import-untyped]

from streaming.core.errors import StreamError
from streaming.tiles.sources.gdal import expect_warnings

from .tasks import MakeOverviews, OverviewsMade

_COG = {"COMPRESS": "DEFLATE", "LEVEL": "1", "PREDICTOR": "YES", "OVERVIEWS": "AUTO", "BIGTIFF": "IF_SAFER", "NUM_THREADS": "ALL_CPUS"}


def make_overviews(task: MakeOverviews) -> OverviewsMade:
    """`StreamError("invalid_source")` for what cannot be read. The image was opened as a GeoTIFF before, and refers to nothing else."""
    expect_warnings()
    try:
        with rasterio.Env(GDAL_CACHEMAX=256):
            copy_raster(task.source, task.target, driver="COG", **_COG)
    except RasterioError as error:
        raise StreamError("invalid_source", f"no overviews can be made of it: {str(error)[:200]}") from None
    return OverviewsMade()
