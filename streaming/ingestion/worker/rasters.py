"""Looks at GeoTIFFs; of a large one without overviews it makes a Cloud Optimized GeoTIFF, which has them."""

from __future__ import annotations

from pathlib import Path

import rasterio  # type: ignore[import-untyped]
from rasterio.errors import RasterioError  # type: ignore[import-untyped]
from rasterio.shutil import copy as copy_raster  # type: ignore[import-untyped]

from streaming.core.errors import StreamError
from streaming.tiles.sources.gdal import expect_warnings
from streaming.tiles.sources.georeference import crs_of
from streaming.tiles.sources.geotiff import open_geotiff

from .tasks import CheckRaster, RasterChecked

FAST_PIXELS = 1 << 25
"""An image of so many pixels is drawn as it is within a second, whatever the zoom."""
_COG = {"COMPRESS": "DEFLATE", "LEVEL": "1", "PREDICTOR": "YES", "OVERVIEWS": "AUTO", "BIGTIFF": "IF_SAFER", "NUM_THREADS": "ALL_CPUS"}


def check_raster(task: CheckRaster) -> RasterChecked:
    """`StreamError("invalid_source")` for what cannot be a raster tileset."""
    expect_warnings()
    path = Path(task.source)
    with rasterio.Env(GDAL_CACHEMAX=256), open_geotiff(path) as dataset:
        pixels, bands = dataset.width * dataset.height, dataset.count
        if pixels > task.most_pixels:
            raise StreamError("invalid_source", f"it has {pixels:,} pixels; GEOSTREAM_INGEST_MAX_PIXELS allows {task.most_pixels:,}")
        convert = pixels > FAST_PIXELS and not dataset.overviews(1)
        name = _crs_name(crs_of(dataset))
        width, height = dataset.width, dataset.height
    if convert:
        try:
            copy_raster(task.source, task.target, driver="COG", **_COG)
        except RasterioError as error:
            raise StreamError("invalid_source", f"no overviews can be made of it: {str(error)[:200]}") from None
    return RasterChecked(convert, name, bands, width, height)


def _crs_name(crs: object) -> str:
    code = crs.to_epsg() if isinstance(crs, rasterio.crs.CRS) else None
    return f"EPSG:{code}" if code else ""
