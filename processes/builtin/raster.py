"""Rasters as processes take them: a GeoTIFF as bytes, or a tileset of GeoTIFFs with what is painted over it, as one grid of numbers.

Files are not trusted: only GeoTIFFs are opened, and none that refers to others or is enormous when unpacked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import ceil
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import rasterio  # type: ignore[import-untyped]
from numpy.typing import NDArray
from rasterio.enums import Resampling  # type: ignore[import-untyped]
from rasterio.transform import array_bounds, from_origin  # type: ignore[import-untyped]
from rasterio.vrt import WarpedVRT  # type: ignore[import-untyped]
from rasterio.warp import transform_bounds  # type: ignore[import-untyped]
from rasterio.windows import Window, from_bounds  # type: ignore[import-untyped]

from processes.worker import CRS84, BadInput, BBox, Input, Job, Media
from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.tiles.imagery_files import painted_files
from streaming.tiles.paths import imagery_folder, resolve_source
from streaming.tiles.sources.gdal import LIBRARY_ERRORS, expect_warnings
from streaming.tiles.sources.geotiff import check_geotiff, open_geotiff

from .rights import readable_tileset

GeoTiff = Annotated[
    bytes | None,
    Media("image/tiff; application=geotiff", "image/tiff", "application/octet-stream"),
    Input(title="Raster", description="A GeoTIFF; or name a tileset instead."),
]
TilesetName = Annotated[
    str | None,
    Input(title="Tileset", description="The name of a tileset of GeoTIFFs that you may read, instead of a raster.", max_length=100),
]
Band = Annotated[int, Input(title="Band", minimum=1, maximum=1000)]
Box = Annotated[BBox | None, Input(title="Area", description="Only this part of the raster, in degrees.")]
Values = np.ma.MaskedArray[Any, Any]
Floats = NDArray[np.float64]


class Raster:
    """A grid of pixels in a CRS. `read` gives numbers of a band; what has none is masked."""

    def __init__(self, layers: Sequence[Any], bands: int, transform: Any, width: int, height: int) -> None:
        self._layers = layers
        self.bands = bands
        self.transform, self.width, self.height = transform, width, height
        self.crs = layers[0].crs

    @property
    def whole(self) -> Window:
        """All of it."""
        return Window(0, 0, self.width, self.height)

    def read(self, band: int, window: Window) -> Values:
        """The pixels of a window as floating-point numbers: of several layers those of the highest that has one there. `BadInput`."""
        width, height, most = int(window.width), int(window.height), conf.PROCESS_PIXELS
        if width * height > most:
            raise BadInput(f"{width:,} x {height:,} pixels are more than the {most:,} that a job may read at once", "raster")
        try:
            pixels = self._layers[0].read(band, window=window, masked=True).astype(np.float64)
            for layer in self._layers[1:]:
                above = layer.read(band, window=window, masked=True)
                shown = ~np.ma.getmaskarray(above)
                pixels[shown] = above[shown]
        except LIBRARY_ERRORS as error:
            raise BadInput(f"the raster cannot be read: {error}", "raster") from error
        return np.ma.masked_invalid(pixels)

    def window(self, bounds: tuple[float, float, float, float]) -> Window | None:
        """The pixels within bounds of the raster's CRS, None if there are none."""
        found = from_bounds(*bounds, transform=self.transform)
        left, top = max(0, int(np.floor(found.col_off + 1e-9))), max(0, int(np.floor(found.row_off + 1e-9)))
        right = min(self.width, ceil(found.col_off + found.width - 1e-9))
        bottom = min(self.height, ceil(found.row_off + found.height - 1e-9))
        return Window(left, top, right - left, bottom - top) if right > left and bottom > top else None

    def window_in_degrees(self, area: BBox | None) -> Window:
        """The pixels of an area in degrees, all of them without one. `BadInput` if there are none."""
        if area is None:
            return self.whole
        if area.crs != CRS84:
            raise BadInput(f"the CRS must be {CRS84}", "area")
        west, south, east, north = area.bbox if len(area.bbox) == 4 else (*area.bbox[:2], *area.bbox[3:5])
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90):
            raise BadInput("must be west, south, east, north in degrees", "area")
        try:
            bounds = transform_bounds(CRS84_OF_GDAL, self.crs, west, south, east, north)
        except LIBRARY_ERRORS as error:
            raise BadInput(f"it cannot be found in the raster: {error}", "area") from error
        found = self.window(bounds) if np.isfinite(bounds).all() else None
        if found is None:
            raise BadInput("the raster has nothing there", "area")
        return found

    def transform_of(self, window: Window) -> Any:
        """From the columns and rows of a window to coordinates."""
        return rasterio.windows.transform(window, self.transform)


CRS84_OF_GDAL = "OGC:CRS84"
TRIES = 5
"""How often the files of a tileset are looked for that somebody is painting over."""


@contextmanager
def open_raster(content: bytes | None, tileset: str | None, band: int, job: Job) -> Iterator[Raster]:
    """The raster of a job, which is given as a file or as the name of a tileset. `BadInput`."""
    if (content is None) == (tileset is None):
        raise BadInput("give either a raster or the name of a tileset", "raster")
    expect_warnings()
    with ExitStack() as opened:
        try:
            if tileset is not None:
                found = _mosaic_of(tileset, job, opened)
            else:
                assert content is not None
                path = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="geostream-process-")), "raster.tif")
                path.write_bytes(content)
                dataset = opened.enter_context(open_geotiff(path))
                check_geotiff(path, dataset)
                found = _mosaic([path], opened)
        except StreamError as error:
            raise BadInput(error.message, "raster" if tileset is None else "tileset") from error
        except LIBRARY_ERRORS as error:
            raise BadInput(f"the raster cannot be read: {error}", "raster" if tileset is None else "tileset") from error
        if band > found.bands:
            raise BadInput(f"the raster has {found.bands} bands", "band")
        yield found


def _paths(name: str, job: Job) -> list[Path]:
    """The files of a tileset, from the lowest to the highest."""
    tileset = readable_tileset(name, job)
    tileset.require_kind("raster")
    return [*map(resolve_source, tileset.sources), *(each.path for each in painted_files(imagery_folder(name)))]


def _mosaic_of(tileset: str, job: Job, opened: ExitStack) -> Raster:
    """The files of a tileset. Whoever paints meanwhile may take away an image that is hidden now: then they are looked for again."""
    for _ in range(TRIES - 1):
        paths = _paths(tileset, job)
        try:
            return _mosaic(paths, opened)
        except StreamError:
            if all(path.exists() for path in paths):
                raise
    return _mosaic(_paths(tileset, job), opened)


def _mosaic(paths: Sequence[Path], opened: ExitStack) -> Raster:
    """The files on the grid of the first one, which goes on as far as they reach. What is not on that grid is resampled."""
    datasets = [_north_up(opened.enter_context(open_geotiff(path)), opened) for path in paths]
    first = datasets[0]
    bands = min(dataset.count for dataset in datasets)
    if len(datasets) == 1:
        return Raster(datasets, bands, first.transform, first.width, first.height)
    across, down = first.transform.a, -first.transform.e
    bounds = np.array([_bounds_in(dataset, first.crs) for dataset in datasets])
    left = first.bounds.left - ceil((first.bounds.left - bounds[:, 0].min()) / across - 1e-9) * across
    top = first.bounds.top + ceil((bounds[:, 3].max() - first.bounds.top) / down - 1e-9) * down
    width, height = ceil((bounds[:, 2].max() - left) / across - 1e-9), ceil((top - bounds[:, 1].min()) / down - 1e-9)
    transform = from_origin(left, top, across, down)
    layers = [
        opened.enter_context(
            WarpedVRT(each, crs=first.crs, transform=transform, width=width, height=height, resampling=Resampling.bilinear, **_nodata(each))
        )
        for each in datasets
    ]
    return Raster(layers, bands, transform, width, height)


def _nodata(dataset: Any) -> dict[str, Any]:
    """What stands for pixels outside: an alpha band, unless the file has a value or a band of its own for that."""
    return {} if dataset.nodata is not None or dataset.count in (2, 4) else {"add_alpha": True}


def _north_up(dataset: Any, opened: ExitStack) -> Any:
    """A dataset whose rows go from west to east: warped if it has none, or others."""
    transform = dataset.transform
    if dataset.crs is not None and transform.b == transform.d == 0 and transform.a > 0 > transform.e:
        return dataset
    return opened.enter_context(WarpedVRT(dataset, **_nodata(dataset)))


def _bounds_in(dataset: Any, crs: Any) -> tuple[float, float, float, float]:
    bounds = array_bounds(dataset.height, dataset.width, dataset.transform)
    found: tuple[float, float, float, float] = bounds if dataset.crs == crs else transform_bounds(dataset.crs, crs, *bounds)
    return found
