"""The source of `raster` tilesets: GeoTIFFs of any CRS, number of bands and data type, rendered by rio-tiler.

Later files are on top.

Every tile is first made as 8-bit RGBA: a single band becomes grey or gets a colormap, and values of other types than
bytes are stretched to 0…255 (by `rescale`, or from the range that 96 % of the file's values lie in).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp  # type: ignore[import-untyped]
from rio_tiler.colormap import cmap
from rio_tiler.io import Reader
from rio_tiler.utils import render

from streaming.core.bbox import Box
from streaming.tiles.grid import MAX_LATITUDE, MAX_ZOOM, union

from .base import PerThread, SourceClosed, TileMetadata, invalid_source, source_errors
from .geotiff import LIBRARY_ERRORS, check_geotiff, expect_warnings, open_geotiff

Pixels = NDArray[np.uint8]
"""Red, green, blue, alpha: (4, height, width)."""
Colormap = Mapping[int, Sequence[int]]
"""Red, green, blue, alpha by value."""
SAMPLE = 1024
"""Pixels along each side from which the stretch of a file is computed."""
_ENCODING: dict[str, dict[str, Any]] = {
    "png": {"img_format": "PNG", "ZLEVEL": 3},  # a third of the time of the default level for an eighth more bytes
    "webp": {"img_format": "WEBP", "QUALITY": 85},
    "jpg": {"img_format": "JPEG", "QUALITY": 85},
}


@dataclass(frozen=True, slots=True)
class RasterOptions:
    """How rasters are shown.

    `rescale` has one (low, high) for all bands or one for each; `colormap` is a name of rio-tiler.
    """

    format: str = "png"
    tile_size: int = 256
    rescale: tuple[tuple[float, float], ...] = ()
    colormap: str = ""


@dataclass(frozen=True, slots=True)
class _Style:
    """How the values of one file become red, green, blue and alpha."""

    bands: tuple[int, ...]
    stretch: tuple[tuple[float, float], ...]
    palette: Pixels | None
    nearest: bool


class RasterSource:
    """One or several GeoTIFFs as one mosaic."""

    def __init__(self, paths: Sequence[Path], options: RasterOptions | None = None) -> None:
        self._paths = tuple(paths)
        self._options = options or RasterOptions()
        if self._options.format not in _ENCODING:
            raise invalid_source(paths[0], f"a raster cannot be rendered as {self._options.format}; use {', '.join(_ENCODING)}")
        expect_warnings()
        self._readers = PerThread(self._open, _close)
        self._styles: list[_Style] = []
        with self._readers.lease() as readers:
            self._styles = [self._style(path, reader.dataset) for path, reader in zip(paths, readers, strict=True)]
            self._metadata = self._describe(readers)

    @property
    def metadata(self) -> TileMetadata:
        """What the files have. The highest zoom is the first one that loses no detail."""
        return self._metadata

    def close(self) -> None:
        """Close the files."""
        self._readers.close()

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The tile as an image, None if all of it is transparent."""
        pixels = self.pixels(z, x, y)
        return None if pixels is None else encode_image(pixels, self._options.format)

    def pixels(self, z: int, x: int, y: int) -> Pixels | None:
        """The tile as an array, None if all of it is transparent."""
        tile: Pixels | None = None
        with self._readers.lease() as readers:
            for path, reader, style in reversed(list(zip(self._paths, readers, self._styles, strict=True))):
                above, tile = tile, self._read(path, reader, style, (z, x, y))
                tile = _composite(above, tile)
                if tile is not None and tile[3].all():
                    break
        return None if tile is None or not tile[3].any() else tile

    def _read(self, path: Path, reader: Any, style: _Style, tile: tuple[int, int, int]) -> Pixels | None:
        z, x, y = tile
        if not reader.tile_exists(x, y, z):
            return None
        method = "nearest" if style.nearest else "bilinear"
        with source_errors(path, *LIBRARY_ERRORS):
            image = reader.tile(
                x, y, z, tilesize=self._options.tile_size, indexes=style.bands, resampling_method=method, reproject_method=method
            )
            return _coloured(image.array.data, image.mask, style)

    def _open(self) -> list[Any]:
        readers: list[Any] = []
        try:
            for path in self._paths:
                with source_errors(path, *LIBRARY_ERRORS):
                    readers.append(Reader(input=None, dataset=open_geotiff(path)))
        except BaseException as error:
            _close(readers)
            if self._styles and not all(path.exists() for path in self._paths):
                raise SourceClosed from error
            raise
        return readers

    def _style(self, path: Path, dataset: Any) -> _Style:
        with source_errors(path, *LIBRARY_ERRORS):
            check_geotiff(path, dataset)
            bands = _shown_bands(dataset)
            palette = _palette(colormap_of(dataset, self._options.colormap))
            embedded = palette is not None and not self._options.colormap
            stretch = () if embedded else self._options.rescale or _stretch(dataset, bands)
        if len(stretch) not in (0, 1, len(bands)):
            raise invalid_source(path, f"rescale has {len(stretch)} ranges; give one, or one for each of the {len(bands)} bands")
        return _Style(bands[:1] if palette is not None else bands, stretch, palette, nearest=embedded)

    def _describe(self, readers: list[Any]) -> TileMetadata:
        with source_errors(self._paths[0], *LIBRARY_ERRORS):
            boxes = [reader.get_geographic_bounds("epsg:4326") for reader in readers]
            high = max(native_zoom(box, reader.dataset) for box, reader in zip(boxes, readers, strict=True))
        return TileMetadata(map_bounds(boxes), 0, high, self._options.format, self._options.tile_size)


def colormap_of(dataset: Any, name: str = "") -> Colormap:
    """The colormap of this name; without a name the palette of the file, if it has one.

    `StreamError("invalid_source")`.
    """
    if name:
        if name not in cmap.list():
            raise invalid_source(dataset.name, f"there is no colormap {name[:50]!r}; viridis, terrain and blues are some")
        return dict(cmap.get(name))  # type: ignore[arg-type]
    return dict(dataset.colormap(1)) if dataset.colorinterp[0] == ColorInterp.palette else {}


def encode_image(pixels: Pixels, format: str) -> bytes:
    """The pixels as an image file. JPEG has white where they are transparent."""
    colours, alpha = pixels[:3], pixels[3]
    opaque = bool((alpha == 255).all())
    if format == "jpg" and not opaque:
        weight = alpha.astype(np.uint16)
        colours = ((colours * weight + 255 * (255 - weight)) // 255).astype(np.uint8)
        opaque = True
    return render(colours, None if opaque else alpha, **_ENCODING[format])


def native_zoom(box: Box, dataset: Any) -> int:
    """The first zoom whose pixels (in tiles of 256) are no larger than those of the file."""
    across = box[2] - box[0] if box[0] <= box[2] else box[2] - box[0] + 360  # the antimeridian
    degrees = min(across / dataset.width, (box[3] - box[1]) / dataset.height)
    return min(max(ceil(log2(360 / 256 / max(degrees, 1e-12))), 0), MAX_ZOOM)


def map_bounds(boxes: Sequence[Box]) -> Box:
    """The box around all boxes, within the map. A single box that crosses the antimeridian still does."""
    west, south, east, north = union(boxes)
    if len(boxes) > 1 and any(box[0] > box[2] for box in boxes):
        west, east = -180.0, 180.0
    return (max(west, -180.0), max(south, -MAX_LATITUDE), min(east, 180.0), min(north, MAX_LATITUDE))


def _palette(colormap: Colormap) -> Pixels | None:
    """A row of RGBA for each of the 256 values; None without colours."""
    if not colormap:
        return None
    table = np.zeros((256, 4), np.uint8)
    for value, colour in colormap.items():
        if 0 <= value < 256:
            table[value] = colour
    return table


def _coloured(values: NDArray[Any], mask: NDArray[Any], style: _Style) -> Pixels:
    if mask.dtype != np.uint8:
        mask = np.where(mask > 0, 255, 0)  # opaque is the highest number of the file's type
    alpha = np.where(np.isfinite(values).all(axis=0), mask, 0).astype(np.uint8)
    shades = _stretched(values, style.stretch)
    if style.palette is not None:
        coloured: Pixels = np.moveaxis(style.palette[shades[0]], -1, 0).copy()
        coloured[3] = np.minimum(coloured[3], alpha)
    else:
        coloured = np.concatenate([np.broadcast_to(shades, (3, *alpha.shape)), alpha[None]])
    coloured[:, alpha == 0] = 0  # equal where nothing is visible, for smaller files and deltas
    return coloured


def _stretched(values: NDArray[Any], stretch: tuple[tuple[float, float], ...]) -> Pixels:
    if not stretch:
        plain: Pixels = np.clip(values, 0, 255).astype(np.uint8)
        return plain
    low, high = (np.array(ends, np.float64).reshape(-1, 1, 1) for ends in zip(*stretch, strict=True))
    stretched: Pixels = np.rint(np.nan_to_num(np.clip((values - low) / (high - low), 0, 1)) * 255).astype(np.uint8)
    return stretched


def _composite(above: Pixels | None, below: Pixels | None) -> Pixels | None:
    """Two tiles as one. Where the upper one is half transparent, the colours are mixed."""
    if above is None or below is None:
        return below if above is None else above
    top, bottom = above[3].astype(np.float32) / 255, below[3].astype(np.float32) / 255
    alpha = top + bottom * (1 - top)
    colours = (above[:3] * top + below[:3] * bottom * (1 - top)) / np.maximum(alpha, 1e-6)
    mixed: Pixels = np.rint(np.concatenate([colours, alpha[None] * 255])).astype(np.uint8)
    return mixed


def _shown_bands(dataset: Any) -> tuple[int, ...]:
    """The bands marked as red, green and blue; else the first three, or the first."""
    by_colour = {colour: band for band, colour in reversed(list(enumerate(dataset.colorinterp, start=1)))}
    marked = tuple(by_colour[colour] for colour in (ColorInterp.red, ColorInterp.green, ColorInterp.blue) if colour in by_colour)
    plain = tuple(band for band, colour in enumerate(dataset.colorinterp, start=1) if colour != ColorInterp.alpha)
    return marked if len(marked) == 3 else plain[:3] if len(plain) >= 3 else plain[:1] or (1,)


def _stretch(dataset: Any, bands: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    """For each band the range that 96 % of its values lie in; nothing for bytes, which are shown as they are."""
    if all(dataset.dtypes[band - 1] == "uint8" for band in bands):
        return ()
    shape = (min(dataset.height, SAMPLE), min(dataset.width, SAMPLE))
    ranges = []
    for band in bands:
        sample = dataset.read(band, out_shape=shape, masked=True)
        values = sample.compressed()
        values = values[np.isfinite(values)]
        low, high = map(float, np.percentile(values, (2, 98))) if values.size else (0.0, 1.0)
        ranges.append((low, high if high > low else low + 1.0))
    return tuple(ranges)


def _close(readers: list[Any]) -> None:
    for reader in readers:
        reader.dataset.close()
