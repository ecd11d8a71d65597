"""The process `hillshade`: a relief of heights in the light of a sun.

Slopes are those of Horn (1981), from the eight neighbours of a pixel, as in GDAL and most other programs.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.io import MemoryFile  # type: ignore[import-untyped]

from processes.worker import Input, Job, Media, Output

from .publishing import PaintOver, check_painting, paint
from .raster import Band, Box, GeoTiff, Raster, TilesetName, Values, open_raster

Image = Annotated[bytes, Media("image/tiff; application=geotiff"), Output(id="image")]
Floats = NDArray[np.float64]
NOTHING = 0
DARKEST, STEPS = 1, 254
GEOD = Geod(ellps="WGS84")


def hillshade(
    raster: GeoTiff = None,
    tileset: TilesetName = None,
    band: Band = 1,
    azimuth: Annotated[float, Input(minimum=0, maximum=360)] = 315.0,
    altitude: Annotated[float, Input(minimum=0, maximum=90)] = 45.0,
    z_factor: Annotated[float, Input(exclusive_minimum=0)] = 1.0,
    area: Box = None,
    publish_to: PaintOver = None,
    *,
    job: Job,
) -> Image:
    """Hillshade. A relief of heights in the light of a sun.

    Args:
        raster: Heights.
        tileset: Tileset.
        band: Band. The first one is 1.
        azimuth: Direction of the sun in degrees, clockwise from north.
        altitude: Height of the sun in degrees above the horizon.
        z_factor: Heights are multiplied by this, to see more of them.
        area: Area.
        publish_to: Tileset for the result.

    Returns:
        Relief. A GeoTIFF of bytes: 1 is the darkest shade, 255 the lightest, 0 where there is no height.
    """
    check_painting(publish_to, job)
    with open_raster(raster, tileset, band, job) as opened:
        window = opened.window_in_degrees(area)
        heights = opened.read(band, window)
        job.progress(30, "heights read")
        transform = opened.transform_of(window)
        shades = shaded(heights, *pixel_sizes(opened, transform, heights.shape[0]), azimuth, altitude, z_factor)
        job.progress(70, "shaded")
        image = _geotiff(shades, transform, opened.crs)
    paint(publish_to, image, job, title="Hillshade")
    return image


def shaded(heights: Values, across: Floats, down: Floats, azimuth: float, altitude: float, z_factor: float) -> NDArray[np.uint8]:
    """The shades of heights; `across` and `down` are the sizes in metres of the pixels of each row."""
    missing = np.ma.getmaskarray(heights)
    around = _with_margin(heights.filled(np.nan))
    centre = around[1:-1, 1:-1]

    def neighbour(row: int, column: int) -> Floats:
        """Of a pixel that is missing, or unknown beyond the edge, the one in the middle."""
        found = around[row : row + centre.shape[0], column : column + centre.shape[1]]
        return np.where(np.isnan(found), centre, found)

    west = neighbour(0, 0) + 2 * neighbour(1, 0) + neighbour(2, 0)
    east = neighbour(0, 2) + 2 * neighbour(1, 2) + neighbour(2, 2)
    north = neighbour(0, 0) + 2 * neighbour(0, 1) + neighbour(0, 2)
    south = neighbour(2, 0) + 2 * neighbour(2, 1) + neighbour(2, 2)
    to_east = z_factor * (east - west) / (8 * across[:, None])
    to_north = z_factor * (north - south) / (8 * down[:, None])
    light = _towards_the_sun(azimuth, altitude)
    cosine = (light[2] - light[0] * to_east - light[1] * to_north) / np.sqrt(1 + to_east**2 + to_north**2)
    shades = np.rint(DARKEST + STEPS * np.clip(np.nan_to_num(cosine), 0.0, 1.0))
    return np.where(missing, NOTHING, shades).astype(np.uint8)


def _with_margin(heights: Floats) -> Floats:
    """One row or column more on each side: the slope goes on."""
    if min(heights.shape) < 2:
        return np.pad(heights, 1, mode="edge")
    return np.pad(heights, 1, mode="reflect", reflect_type="odd")


def pixel_sizes(raster: Raster, transform: Any, rows: int) -> tuple[Floats, Floats]:
    """Widths and heights of the pixels of each row, in metres on the ground."""
    across, down = abs(transform.a), abs(transform.e)
    if not raster.crs.is_geographic:
        _, metres = raster.crs.linear_units_factor
        return np.full(rows, across * metres), np.full(rows, down * metres)
    latitudes = np.clip(transform.f + transform.e * (np.arange(rows) + 0.5), -89.999, 89.999)
    zeros = np.zeros(rows)
    _, _, widths = GEOD.inv(zeros, latitudes, np.full(rows, across), latitudes)
    _, _, heights = GEOD.inv(zeros, np.clip(latitudes - down / 2, -90, 90), zeros, np.clip(latitudes + down / 2, -90, 90))
    return np.asarray(widths), np.asarray(heights)


def _towards_the_sun(azimuth: float, altitude: float) -> Floats:
    """East, north and up."""
    direction, height = np.radians(azimuth), np.radians(altitude)
    return np.array([np.sin(direction) * np.cos(height), np.cos(direction) * np.cos(height), np.sin(height)])


def _geotiff(shades: NDArray[np.uint8], transform: Any, crs: Any) -> bytes:
    height, width = shades.shape
    options = {"compress": "deflate", "tiled": True, "nodata": NOTHING} if min(height, width) >= 16 else {"nodata": NOTHING}
    with MemoryFile() as file:
        with file.open(
            driver="GTiff", width=width, height=height, count=1, dtype="uint8", crs=crs, transform=transform, **options
        ) as image:
            image.write(shades, 1)
        content: bytes = file.read()
    return content
