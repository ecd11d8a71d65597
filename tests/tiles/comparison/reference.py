"""The reference: a tile as GDAL makes it, from all of the file's pixels in memory.

Of the code that is compared, nothing is used. Colours are computed here in the plainest way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.transform import from_bounds
from rasterio.warp import reproject

HALF = 20037508.342789244
OPAQUE = 60_000.0

Pixels = NDArray[np.uint8]


class Reference:
    """One file, read as a whole."""

    def __init__(self, path: Path) -> None:
        with rasterio.open(path) as file:
            self.colours = file.colorinterp
            self.palette = file.colormap(1) if self.colours[0] == ColorInterp.palette else None
            self.bands = _shown(file)
            values = file.read(self.bands)
            self.values = np.abs(values) if np.iscomplexobj(values) else values
            self.alpha = _alpha(file)
            points, crs_of_points = file.gcps
            self.place: dict[str, Any] = {"src_transform": file.transform, "src_crs": file.crs}
            if file.crs is None or file.transform.is_identity:
                self.place = {"gcps": points, "src_crs": crs_of_points} if points else {"rpcs": file.rpcs, "src_crs": "EPSG:4326"}
            self.plain = self.palette is not None or all(file.dtypes[band - 1] == "uint8" for band in self.bands)

    def stretch(self) -> tuple[tuple[float, float], ...]:
        """What 96 % of the values lie between; nothing for bytes."""
        if self.plain:
            return ()
        there = (self.alpha > 0) & np.isfinite(self.values.astype(np.float64)).all(axis=0)
        ends = [np.percentile(band[there], (2, 98)) for band in self.values]
        return tuple((float(low), float(high)) for low, high in ends)

    def tile(self, z: int, x: int, y: int, size: int = 256) -> Pixels:
        """Red, green, blue and alpha (4, size, size)."""
        method = Resampling.nearest if self.palette else Resampling.bilinear
        source = np.concatenate([self.values.astype(np.float64), self.alpha[None] / 255 * OPAQUE])
        warped = np.zeros((len(self.bands) + 1, size, size), np.float64)
        side = 2 * HALF / (1 << z)
        west, north = x * side - HALF, HALF - y * side
        reproject(
            source,
            warped,
            **self.place,
            dst_crs="EPSG:3857",
            dst_transform=from_bounds(west, north - side, west + side, north, size, size),
            src_alpha=len(source),
            dst_alpha=len(source),
            resampling=method,
            SRC_ALPHA_MAX=OPAQUE,
            DST_ALPHA_MAX=OPAQUE,
        )
        values = warped[:-1] if self.values.dtype.kind == "f" else np.rint(warped[:-1])
        return self._coloured(values, warped[-1] / OPAQUE * 255)

    def _coloured(self, values: NDArray[Any], alpha: NDArray[Any]) -> Pixels:
        alpha = np.where(np.isfinite(values).all(axis=0), alpha, 0)
        if self.palette:
            colours = np.array([[self.palette.get(int(value), (0, 0, 0, 0)) for value in row] for row in values[0]])
            shades, alpha = np.moveaxis(colours[..., :3], -1, 0), np.minimum(alpha, colours[..., 3])
        else:
            ranges = self.stretch() or ((0, 255),) * len(values)
            shades = np.array([np.clip((band - low) / (high - low), 0, 1) * 255 for band, (low, high) in zip(values, ranges, strict=True)])
        return np.rint(np.nan_to_num(np.concatenate([np.broadcast_to(shades, (3, *alpha.shape)), alpha[None]]))).astype(np.uint8)


def _shown(file: Any) -> list[int]:
    numbers = {colour: number for number, colour in reversed(list(enumerate(file.colorinterp, 1)))}
    rgb = [numbers[colour] for colour in (ColorInterp.red, ColorInterp.green, ColorInterp.blue) if colour in numbers]
    others = [number for number, colour in enumerate(file.colorinterp, 1) if colour != ColorInterp.alpha]
    return rgb if len(rgb) == 3 else others[:3] if len(others) > 2 else others[:1]


def _alpha(file: Any) -> NDArray[np.float64]:
    """How opaque each pixel is, 0 to 255, also where the alpha band has 16 bits."""
    if ColorInterp.alpha in file.colorinterp:
        number = file.colorinterp.index(ColorInterp.alpha) + 1
        most = np.iinfo(file.dtypes[number - 1]).max
        return file.read(number).astype(np.float64) / most * 255
    if all(MaskFlags.all_valid in flags for flags in file.mask_flag_enums):
        return np.full((file.height, file.width), 255.0)
    return file.dataset_mask().astype(np.float64)
