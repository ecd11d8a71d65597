"""GeoTIFFs of odd kinds, each made by a function of this table."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, radians, sin
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.rpc import RPC
from rasterio.transform import from_bounds
from rasterio.warp import transform

Box = tuple[float, float, float, float]
SIDE = 160
ALPS: Box = (6.0, 45.0, 11.0, 48.0)
WORLD: Box = (-180.0, -90.0, 180.0, 90.0)


def picture(bands: int = 3, width: int = SIDE, height: int = SIDE, dtype: str = "uint8", low: float = 10, high: float = 240) -> Any:
    """Smooth waves, other ones in each band."""
    rows, columns = np.mgrid[0:height, 0:width]
    y, x = rows / height, columns / width
    waves = [
        0.5 + 0.25 * np.sin(2 * np.pi * (x * (band + 1) + band / 3)) + 0.25 * np.cos(2 * np.pi * y * (bands - band))
        for band in range(bands)
    ]
    return np.array([low + (high - low) * wave for wave in waves]).astype(dtype)


def write(path: Path, pixels: Any, bounds: Box | None = ALPS, crs: Any = "EPSG:4326", transform: Any = None, **profile: Any) -> Path:
    """A GeoTIFF of an array (bands, height, width)."""
    bands, height, width = pixels.shape
    transform = transform or (from_bounds(*bounds, width, height) if bounds else None)
    place = {} if transform is None else {"transform": transform}
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": pixels.dtype, "crs": crs, **place, **profile}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


def projected(crs: str, bounds: Box, **profile: Any) -> Callable[[Path], Path]:
    """A sample in this CRS."""
    return lambda path: write(path, picture(), bounds, crs, **profile)


def world(west: float, step: float = 1.0) -> Callable[[Path], Path]:
    """The whole world from this longitude on: waves that fit together where the ends meet."""
    return lambda path: write(path, picture(width=round(360 / step), height=round(180 / step)), (west, -90, west + 360, 90))


def of_numbers(dtype: str, low: float, high: float, holes: float | None = None, **profile: Any) -> Callable[[Path], Path]:
    """One band of other numbers than bytes, with holes of this value."""

    def make(path: Path) -> Path:
        values = picture(1, dtype=dtype, low=low, high=high)
        if holes is not None:
            values[0, 30:70, 40:110] = holes
        return write(path, values, **profile)

    return make


def rotated(path: Path) -> Path:
    turn = radians(30)
    affine = Affine.translation(400_000, 5_200_000) * Affine(cos(turn), sin(turn), 0, sin(turn), -cos(turn), 0) * Affine.scale(500)
    return write(path, picture(), None, "EPSG:32632", affine)


def south_up(path: Path) -> Path:
    west, south, east, north = ALPS
    return write(path, picture(), (west, north, east, south))


def palette(dtype: str, numbers: range) -> Callable[[Path], Path]:
    """Numbers of colours."""

    def make(path: Path) -> Path:
        values = np.array(numbers)[(np.arange(SIDE)[None, :] // 8 + np.arange(SIDE)[:, None] // 8) % len(numbers)].astype(dtype)
        write(path, values[None], photometric="PALETTE")
        with rasterio.open(path, "r+") as dataset:
            dataset.write_colormap(1, {number: (number % 251, number * 7 % 253, number * 31 % 255, 255) for number in numbers})
        return path

    return make


def masked(path: Path, inside: bool, **profile: Any) -> Path:
    """With a mask, within the file or in a `.msk`."""
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside):
        write(path, picture(), **profile)
        with rasterio.open(path, "r+") as dataset:
            mask = np.full((SIDE, SIDE), 255, np.uint8)
            mask[50:110, 20:60] = 0
            dataset.write_mask(mask)
    return path


def with_alpha(dtype: str, opaque: int) -> Callable[[Path], Path]:
    """With an alpha band: from transparent to opaque."""

    def make(path: Path) -> Path:
        pixels = picture(4, dtype=dtype, low=opaque * 0.05, high=opaque * 0.95)
        pixels[3] = np.linspace(0, opaque, SIDE).astype(dtype)[None, :]
        return write(path, pixels, photometric="RGB", alpha="YES")

    return make


def alpha_first(path: Path) -> Path:
    pixels = picture(4)
    pixels[0, :, :40] = 0
    pixels[0, :, 40:] = 255
    write(path, pixels, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.alpha, ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    return path


def colours_reversed(path: Path) -> Path:
    write(path, picture(5), photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        grey = ColorInterp.gray
        dataset.colorinterp = [grey, ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined]
    return path


def complex_numbers(path: Path) -> Path:
    values = picture(1, dtype="float32")
    return write(path, (values * np.exp(0.6j)).astype("complex64"))


def control_points(crs: str, count: int, bend: float) -> Callable[[Path], Path]:
    """Located by count x count control points, on bent lines."""

    def make(path: Path) -> Path:
        steps = np.linspace(0, 1, count)
        places = [(x, y, 6 + 5 * x + bend * y * y, 48 - 3 * y + bend * x * x) for y in steps for x in steps]
        east, north = transform("EPSG:4326", crs, [place[2] for place in places], [place[3] for place in places])
        points = [GroundControlPoint(y * SIDE, x * SIDE, *at) for (x, y, *_), *at in zip(places, east, north, strict=True)]
        return write(path, picture(), None, CRS.from_user_input(crs), gcps=points)

    return make


def sensor_model(path: Path) -> Path:
    half = SIDE / 2
    zeros = [0.0] * 17
    model = RPC(
        height_off=0, height_scale=500, lat_off=46.5, lat_scale=0.2, long_off=8.5, long_scale=0.2, err_bias=None, err_rand=None,
        line_off=half, line_scale=half, line_num_coeff=[0, 0.1, -1, *zeros], line_den_coeff=[1, 0, 0.02, *zeros],
        samp_off=half, samp_scale=half, samp_num_coeff=[0, 1, 0.1, *zeros], samp_den_coeff=[1, 0.02, 0, *zeros],
    )  # fmt: skip
    return write(path, picture(), None, None, rpcs=model)


def with_overviews(path: Path, beside: bool) -> Path:
    write(path, picture(width=1024, height=1024), tiled=True, blockxsize=256, blockysize=256)
    with rasterio.Env(TIFF_USE_OVR=beside), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    return path


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "plain": projected("EPSG:4326", ALPS),
    "web mercator": projected("EPSG:3857", (700_000, 5_600_000, 1_200_000, 6_100_000)),
    "utm": projected("EPSG:32632", (300_000, 5_000_000, 700_000, 5_300_000)),
    "swiss": projected("EPSG:2056", (2_480_000, 1_070_000, 2_840_000, 1_300_000)),
    "equal area": projected("EPSG:3035", (4_000_000, 2_400_000, 4_500_000, 2_900_000)),
    "another datum": projected("EPSG:4267", (-110, 35, -100, 42)),
    "arctic": projected("EPSG:3413", (-3_000_000, -3_000_000, 3_000_000, 3_000_000)),
    "antarctic": projected("EPSG:3031", (-3_000_000, -3_000_000, 3_000_000, 3_000_000)),
    "sinusoidal": projected("ESRI:54008", (-15_000_000, -5_000_000, 15_000_000, 5_000_000)),
    "the world in an ellipse": projected("ESRI:54009", (-18e6, -9e6, 18e6, 9e6)),
    "the world in pieces": projected("ESRI:54052", (-20e6, -8.5e6, 20e6, 8.5e6)),
    "seen from a satellite": projected("+proj=geos +h=35786023 +lon_0=-75 +sweep=x +datum=WGS84", (-5.4e6, -5.4e6, 5.4e6, 5.4e6)),
    "utm over the antimeridian": projected("EPSG:32660", (600_000, 7_900_000, 1_000_000, 8_200_000)),
    "pacific": projected("EPSG:3832", (2_800_000, -2_500_000, 4_000_000, -1_500_000)),
    "170 to 190": projected("EPSG:4326", (170, -20, 190, -5)),
    "-190 to -170": projected("EPSG:4326", (-190, 5, -170, 20)),
    "0 to 360": world(0),
    "-0.125 to 359.875": world(-0.125, 0.75),
    "-180.125 to 179.875": world(-180.125, 0.75),
    "half the world from 90": projected("EPSG:4326", (90, -60, 270, 60)),
    "rotated": rotated,
    "south up": south_up,
    "palette": palette("uint8", range(0, 40)),
    "palette of 16 bits": palette("uint16", range(200, 1400, 30)),
    "16 bits": of_numbers("uint16", 300, 9000),
    "16 bits with a sign": of_numbers("int16", -400, 4000, -9999, nodata=-9999),
    "32 bits": of_numbers("uint32", 0, 3e9),
    "8 bits with a sign": of_numbers("int8", -100, 100, -128, nodata=-128),
    "float": of_numbers("float32", 0, 1, np.nan),
    "float, nodata is no number": of_numbers("float32", 0, 1, np.nan, nodata=np.nan),
    "float, nodata is the lowest": of_numbers("float32", -5, 5, -3.4028234663852886e38, nodata=-3.4028234663852886e38),
    "float of 64 bits": of_numbers("float64", 250, 320, -1e20, nodata=-1e20),
    "bytes with nodata": of_numbers("uint8", 20, 220, 0, nodata=0),
    "1 bit": of_numbers("uint8", 0, 1.99, nbits=1),
    "mask": lambda path: masked(path, True),
    "mask beside": lambda path: masked(path, False),
    "alpha": with_alpha("uint8", 255),
    "alpha of 16 bits": with_alpha("uint16", 65535),
    "alpha first": alpha_first,
    "blue, green, red": colours_reversed,
    "complex": complex_numbers,
    "control points": control_points("EPSG:4326", 2, 0),
    "control points on bent lines": control_points("EPSG:4326", 4, 0.4),
    "control points in utm": control_points("EPSG:32632", 3, 0.2),
    "sensor model": sensor_model,
    "overviews": lambda path: with_overviews(path, False),
    "overviews beside": lambda path: with_overviews(path, True),
}
