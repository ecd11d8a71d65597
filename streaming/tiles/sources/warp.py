"""Tiles cut out of a GeoTIFF by GDAL's warper, as `gdalwarp` does it.

The values keep their type. How opaque a pixel is comes from the file's nodata, its mask or its alpha band.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import band  # type: ignore[import-untyped]
from rasterio.enums import ColorInterp, Resampling  # type: ignore[import-untyped]
from rasterio.transform import from_bounds  # type: ignore[import-untyped]
from rasterio.warp import reproject  # type: ignore[import-untyped]

from streaming.tiles.grid import Tile, touches

from .antimeridian import TurnedCopies, crosses
from .base import source_errors
from .gdal import LIBRARY_ERRORS
from .georeference import WEB_MERCATOR, WORLD_METRES, Georeference, has_transform, read_georeference
from .geotiff import open_geotiff

OPAQUE = 65535
_OPAQUE_OF_TYPE = {"uint8": 255, "int8": 127, "int16": 32767}
"""What opaque is in an alpha band of a small type."""
_NEARLY = 0.1
"""An overview is used that is coarser than the tile by less than this part of a pixel, as `gdalwarp` does."""

Warped = tuple[NDArray[Any], NDArray[np.uint8]]
"""The values (bands, height, width), and how opaque each pixel is: 0 to 255."""


class GeoTiff:
    """An open GeoTIFF with its overviews. For one thread."""

    def __init__(self, path: Path, georeference: Georeference | None = None) -> None:
        self.path = path
        self.dataset = open_geotiff(path)
        try:
            self.georeference = georeference or read_georeference(path, self.dataset)
        except BaseException:
            self.dataset.close()
            raise
        self._overviews: dict[int, Any] = {}
        self._crosses = not has_transform(self.dataset) and crosses(self.dataset, self.georeference.box)
        self._turned: dict[int, TurnedCopies] = {}

    def close(self) -> None:
        """Close it."""
        for dataset in (*self._turned.values(), self.dataset, *self._overviews.values()):
            dataset.close()

    def read(self, tile: Tile, size: int, bands: tuple[int, ...], method: Resampling) -> Warped | None:
        """A tile of `size` by `size` pixels; None where the file is not. `StreamError("invalid_source")`."""
        if not touches(self.georeference.box, *tile):
            return None
        side = WORLD_METRES / (1 << tile.z)
        west, north = tile.x * side - WORLD_METRES / 2, WORLD_METRES / 2 - tile.y * side
        with source_errors(self.path, *LIBRARY_ERRORS):
            level, dataset = self._coarsest_that_will_do(side / size)
            opaque = _OPAQUE_OF_TYPE.get(array_type(dataset, bands).name, OPAQUE)
            frame = from_bounds(west, north - side, west + side, north, size, size)
            warped, *others = (self._warped(each, frame, size, bands, method, opaque) for each in self._as_warped(level, dataset))
            for other in others:
                np.copyto(warped, other, where=warped[-1] == 0)
        return warped[[number - 1 for number in bands]], np.rint(np.abs(warped[-1]) * (255 / opaque)).astype(np.uint8)

    def _warped(self, dataset: Any, frame: Any, size: int, bands: tuple[int, ...], method: Resampling, opaque: int) -> NDArray[Any]:
        """The bands, each at its number, and the alpha behind them."""
        alpha = alpha_band(dataset)
        warped = np.zeros((max(bands) + 1, size, size), array_type(dataset, bands))
        reproject(
            band(dataset, list(bands)),
            warped,
            dst_transform=frame,
            dst_crs=WEB_MERCATOR,
            rpcs=self.georeference.rpcs,
            src_alpha=0 if alpha in bands else alpha,
            dst_alpha=len(warped),
            resampling=method,
            DST_ALPHA_MAX=opaque,
        )
        return warped

    def _as_warped(self, level: int, dataset: Any) -> list[Any]:
        """The dataset, or what GDAL has to warp instead of it."""
        if not self._crosses:
            return [dataset]
        if level not in self._turned:
            self._turned[level] = TurnedCopies(dataset)
        return self._turned[level].datasets

    def _coarsest_that_will_do(self, metres: float) -> tuple[int, Any]:
        """The image (level -1), or its overview with the largest pixels that are no larger than these."""
        factors = self.dataset.overviews(1)
        most = metres / self.georeference.pixel_metres + _NEARLY
        factor, level = max(((factor, level) for level, factor in enumerate(factors) if factor <= most), default=(1, -1))
        if factor == 1:
            return -1, self.dataset
        if level not in self._overviews:
            self._overviews[level] = open_geotiff(self.path, overview=level)
        return level, self._overviews[level]


def alpha_band(dataset: Any) -> int:
    """The number of the alpha band; 0 if there is none."""
    return max((number for number, colour in enumerate(dataset.colorinterp, start=1) if colour == ColorInterp.alpha), default=0)


def array_type(dataset: Any, bands: tuple[int, ...]) -> np.dtype[Any]:
    """The type of an array that holds the values of these bands."""
    names = (dataset.dtypes[number - 1] for number in bands)
    return np.result_type(*("complex64" if name.startswith("complex_int") else name for name in names))
