"""GeoTIFFs in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from rasterio.io import MemoryFile
from rasterio.transform import from_origin


def geotiff(
    values: Any,
    *,
    left: float = 0.0,
    top: float = 0.0,
    size: float = 1.0,
    crs: str | None = "EPSG:32632",
    transform: Any = None,
    **options: Any,
) -> bytes:
    """Bands (or one) of pixels, row by row from the north, with square pixels of a size in the CRS's unit."""
    bands = np.asarray(values)[None] if np.asarray(values).ndim == 2 else np.asarray(values)
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype, "crs": crs, **options}
    with MemoryFile() as file:
        with file.open(transform=transform or from_origin(left, top, size, size), **profile) as image:
            image.write(bands)
        return bytes(file.read())


def pixels(content: bytes) -> Any:
    """The bands of a GeoTIFF."""
    with MemoryFile(content) as file, file.open() as image:
        return image.read()
