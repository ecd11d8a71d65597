"""GeoTIFFs of any CRS, band count and number type, rendered by rio-tiler; several files make a mosaic, later ones on top.

Every tile is made as red, green, blue and alpha of 8 bits first: one band becomes grey or takes a colormap, other numbers than bytes
are stretched (`rescale`, or what 96 % of the file's values lie between).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streaming.core.bbox import Box
from streaming.tiles.grid import MAX_LATITUDE, MAX_ZOOM

from .base import PerThread, SourceClosed, TileMetadata, invalid_source, source_errors
from .geotiff import check_geotiff, expect_warnings, library_errors, open_geotiff

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

SAMPLE = 1024
"""Pixels along each side from which the stretch of a file is found."""
_ENCODING: dict[str, dict[str, Any]] = {
    "png": {"img_format": "PNG", "ZLEVEL": 3},  # a third of the time of the default for an eighth more bytes
    "webp": {"img_format": "WEBP", "QUALITY": 85},
    "jpg": {"img_format": "JPEG", "QUALITY": 85},
}


@dataclass(frozen=True, slots=True)
class RasterOptions:
    """How rasters are shown. `rescale` has one (low, high) for all bands or one for each; `colormap` is a name rio-tiler knows."""

    format: str = "png"
    tile_size: int = 256
    rescale: tuple[tuple[float, float], ...] = ()
    colormap: str = ""


@dataclass(frozen=True, slots=True)
class _Style:
    """How one file becomes red, green, blue and alpha."""

    bands: tuple[int, ...]
    stretch: tuple[tuple[float, float], ...]
    palette: Pixels | None
    nearest: bool


class RasterSource:
    """One or several GeoTIFFs."""

    def __init__(self, paths: Sequence[Path], options: RasterOptions | None = None) -> None:
        self._paths = tuple(paths)
        self._options = options or RasterOptions()
        if self._options.format not in _ENCODING:
            raise invalid_source(paths[0], f"a raster cannot be rendered as {self._options.format}; use {', '.join(_ENCODING)}")
        expect_warnings()
        self._errors = library_errors()
        self._readers = PerThread(self._open, _close)
        self._looks: list[_Style] = []
        with self._readers.lease() as readers:
            self._looks = [self._look(path, reader.dataset) for path, reader in zip(paths, readers, strict=True)]
            self._metadata = self._describe(readers)

    @property
    def metadata(self) -> TileMetadata:
        """What it has; the highest zoom is the one at which no detail is lost."""
        return self._metadata

    def close(self) -> None:
        """Close the files."""
        self._readers.close()

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The tile as an image, None where all is transparent."""
        pixels = self.pixels(z, x, y)
        return None if pixels is None else encode_image(pixels, self._options.format)

    def pixels(self, z: int, x: int, y: int) -> Pixels | None:
        """The tile as an array (4, size, size) of red, green, blue, alpha; None where all is transparent."""
        tile: Pixels | None = None
        with self._readers.lease() as readers:
            for path, reader, look in reversed(list(zip(self._paths, readers, self._looks, strict=True))):
                above, tile = tile, self._read(path, reader, look, (z, x, y))
                tile = _over(above, tile)
                if tile is not None and tile[3].all():
                    break
        return None if tile is None or not tile[3].any() else tile

    def _read(self, path: Path, reader: Any, look: _Style, tile: tuple[int, int, int]) -> Pixels | None:
        z, x, y = tile
        if not reader.tile_exists(x, y, z):
            return None
        method = "nearest" if look.nearest else "bilinear"
        with source_errors(path, *self._errors):
            image = reader.tile(
                x, y, z, tilesize=self._options.tile_size, indexes=look.bands, resampling_method=method, reproject_method=method
            )
            return _coloured(image.array.data, image.mask, look)

    def _open(self) -> list[Any]:
        from rio_tiler.io import Reader

        readers: list[Any] = []
        try:
            for path in self._paths:
                with source_errors(path, *self._errors):
                    readers.append(Reader(input=None, dataset=open_geotiff(path)))
        except BaseException as error:
            _close(readers)
            if self._looks and not all(path.exists() for path in self._paths):
                raise SourceClosed from error
            raise
        return readers

    def _look(self, path: Path, dataset: Any) -> _Style:
        with source_errors(path, *self._errors):
            check_geotiff(path, dataset)
            bands = _shown_bands(dataset)
            palette = self._palette(dataset)
            embedded = palette is not None and not self._options.colormap
            stretch = () if embedded else self._options.rescale or _stretch(dataset, bands)
        if len(stretch) not in (0, 1, len(bands)):
            raise invalid_source(path, f"rescale has {len(stretch)} ranges; give one, or one for each of the {len(bands)} bands")
        return _Style(bands[:1] if palette is not None else bands, stretch, palette, embedded)

    def _palette(self, dataset: Any) -> Pixels | None:
        import numpy as np
        from rasterio.enums import ColorInterp  # type: ignore[import-untyped]
        from rio_tiler.colormap import cmap

        colours: dict[int, Any] = {}
        if self._options.colormap:
            if self._options.colormap not in cmap.list():
                raise invalid_source(
                    dataset.name, f"there is no colormap {self._options.colormap[:50]!r}; viridis, terrain and blues are some"
                )
            colours = dict(cmap.get(self._options.colormap))  # type: ignore[arg-type]
        elif dataset.colorinterp[0] == ColorInterp.palette:
            colours = dataset.colormap(1)
        if not colours:
            return None
        table = np.zeros((256, 4), np.uint8)
        for value, colour in colours.items():
            if 0 <= value < 256:
                table[value] = colour
        return table

    def _describe(self, readers: list[Any]) -> TileMetadata:
        with source_errors(self._paths[0], *self._errors):
            boxes = [reader.get_geographic_bounds("epsg:4326") for reader in readers]
            high = max(native_zoom(box, reader.dataset) for box, reader in zip(boxes, readers, strict=True))
        return TileMetadata(around(boxes), 0, high, self._options.format, self._options.tile_size)


def encode_image(pixels: Pixels, format: str) -> bytes:
    """An array (4, height, width) of red, green, blue, alpha as an image; JPEG has white where it is transparent."""
    import numpy as np
    from rio_tiler.utils import render

    colours, alpha = pixels[:3], pixels[3]
    opaque = bool((alpha == 255).all())
    if format == "jpg" and not opaque:
        weight = alpha.astype(np.uint16)
        colours = ((colours * weight + 255 * (255 - weight)) // 255).astype(np.uint8)
        opaque = True
    return render(colours, None if opaque else alpha, **_ENCODING[format])


def _coloured(values: NDArray[Any], mask: NDArray[Any], look: _Style) -> Pixels:
    import numpy as np

    if mask.dtype != np.uint8:
        mask = np.where(mask > 0, 255, 0)  # opaque is the highest number of the file's type
    alpha = np.where(np.isfinite(values).all(axis=0), mask, 0).astype(np.uint8)
    shades = _stretched(values, look.stretch)
    if look.palette is not None:
        coloured: Pixels = np.moveaxis(look.palette[shades[0]], -1, 0).copy()
        coloured[3] = np.minimum(coloured[3], alpha)
    else:
        coloured = np.concatenate([np.broadcast_to(shades, (3, *alpha.shape)), alpha[None]])
    coloured[:, alpha == 0] = 0  # what cannot be seen is the same everywhere: smaller files, smaller deltas
    return coloured


def _stretched(values: NDArray[Any], stretch: tuple[tuple[float, float], ...]) -> Pixels:
    import numpy as np

    if not stretch:
        plain: Pixels = np.clip(values, 0, 255).astype(np.uint8)
        return plain
    low, high = (np.array(ends, np.float64).reshape(-1, 1, 1) for ends in zip(*stretch, strict=True))
    stretched: Pixels = np.rint(np.nan_to_num(np.clip((values - low) / (high - low), 0, 1)) * 255).astype(np.uint8)
    return stretched


def _over(above: Pixels | None, below: Pixels | None) -> Pixels | None:
    """Two tiles as one. Where the upper one is half transparent, the colours are mixed."""
    import numpy as np

    if above is None or below is None:
        return below if above is None else above
    top, bottom = above[3].astype(np.float32) / 255, below[3].astype(np.float32) / 255
    alpha = top + bottom * (1 - top)
    colours = (above[:3] * top + below[:3] * bottom * (1 - top)) / np.maximum(alpha, 1e-6)
    mixed: Pixels = np.rint(np.concatenate([colours, alpha[None] * 255])).astype(np.uint8)
    return mixed


def _shown_bands(dataset: Any) -> tuple[int, ...]:
    """Red, green and blue where they are marked, else the first three or the first."""
    from rasterio.enums import ColorInterp

    by_colour = {colour: band for band, colour in reversed(list(enumerate(dataset.colorinterp, start=1)))}
    marked = tuple(by_colour[colour] for colour in (ColorInterp.red, ColorInterp.green, ColorInterp.blue) if colour in by_colour)
    plain = tuple(band for band, colour in enumerate(dataset.colorinterp, start=1) if colour != ColorInterp.alpha)
    return marked if len(marked) == 3 else plain[:3] if len(plain) >= 3 else plain[:1] or (1,)


def _stretch(dataset: Any, bands: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    """For each band, what 96 % of its values lie between; nothing for bytes, which are shown as they are."""
    import numpy as np

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


def native_zoom(box: Box, dataset: Any) -> int:
    """The first zoom whose pixels (of tiles of 256) are no larger than the file's."""
    across = box[2] - box[0] if box[0] <= box[2] else box[2] - box[0] + 360  # the antimeridian
    degrees = min(across / dataset.width, (box[3] - box[1]) / dataset.height)
    return min(max(ceil(log2(360 / 256 / max(degrees, 1e-12))), 0), MAX_ZOOM)


def around(boxes: Sequence[Box]) -> Box:
    """A box with all of them in it, as far as the map reaches. One box that crosses the antimeridian stays one that does."""
    west, south, east, north = zip(*boxes, strict=True)
    if len(boxes) > 1 and any(box[0] > box[2] for box in boxes):
        west, east = (-180.0,), (180.0,)
    return (
        max(min(west), -180.0),
        max(min(south), -MAX_LATITUDE),
        min(max(east), 180.0),
        min(max(north), MAX_LATITUDE),
    )


def _close(readers: list[Any]) -> None:
    for reader in readers:
        reader.dataset.close()
