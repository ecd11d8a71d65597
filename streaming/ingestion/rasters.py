"""Looks at a GeoTIFF before tiles are made of it: only at what it says of itself, not at its pixels."""

from __future__ import annotations

from pathlib import Path

from rasterio.crs import CRS  # type: ignore[import-untyped]

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.tiles.sources.georeference import crs_of
from streaming.tiles.sources.geotiff import open_geotiff

FAST_PIXELS = 1 << 25
"""An image of so many pixels is drawn as it is within a second, whatever the zoom."""


def look_at_raster(path: Path) -> tuple[bool, str]:
    """Whether it is to be given overviews, and the name of its CRS. `StreamError("invalid_source")` for what cannot be a tileset."""
    with open_geotiff(path) as dataset:
        pixels = dataset.width * dataset.height
        if pixels > conf.INGEST_MAX_PIXELS:
            raise StreamError("invalid_source", f"it has {pixels:,} pixels; GEOSTREAM_INGEST_MAX_PIXELS allows {conf.INGEST_MAX_PIXELS:,}")
        crs = crs_of(dataset)
        code = crs.to_epsg() if isinstance(crs, CRS) else None
        return pixels > FAST_PIXELS and not dataset.overviews(1), f"EPSG:{code}" if code else ""
