"""The source of `raster` tilesets: GeoTIFFs of any CRS, number of bands and data type, as one mosaic.

Later files are on top, and images painted over the tileset are above all files.

Every tile is first made as 8-bit RGBA: a single band becomes grey or gets a colormap, and values of other types than
bytes are stretched to 0…255 (by `rescale`, or by one stretch for all files: `stretch.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from rasterio.enums import Resampling  # type: ignore[import-untyped]

from streaming.tiles.grid import Tile, map_bounds

from .base import PerThread, SourceClosed, TileMetadata, invalid_source, source_errors
from .colours import Look, Pixels, colormap_of, coloured, composite, palette_of, shown_bands
from .encoding import RENDERED_FORMATS, encode_image
from .gdal import LIBRARY_ERRORS, expect_warnings
from .georeference import Georeference
from .geotiff import check_geotiff
from .stretch import Layer, Ranges, automatic_stretches
from .warp import GeoTiff


@dataclass(frozen=True, slots=True)
class RasterOptions:
    """How rasters are shown.

    `rescale` has one (low, high) for all bands or one for each; `colormap` is a name of rio-tiler.
    """

    format: str = "png"
    tile_size: int = 256
    rescale: Ranges = ()
    colormap: str = ""


class RasterSource:
    """One or several GeoTIFFs as one mosaic, with images painted over them."""

    def __init__(self, paths: Sequence[Path], options: RasterOptions | None = None, painted: Sequence[Path] = ()) -> None:
        self._paths = (*paths, *painted)
        self._options = options or RasterOptions()
        if self._options.format not in RENDERED_FORMATS:
            raise invalid_source(paths[0], f"a raster cannot be rendered as {self._options.format}; use {', '.join(RENDERED_FORMATS)}")
        expect_warnings()
        self._readers = PerThread(self._open, _close)
        self._looks: list[Look] = []
        self._places: list[Georeference] = []
        with self._readers.lease() as files:
            for file in files:
                check_geotiff(file.path, file.dataset)
            self._looks = self._looks_of(files, len(paths))
            self._places = [file.georeference for file in files]
        self._metadata = self._describe()

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
        with self._readers.lease() as files:
            for file, look in reversed(list(zip(files, self._looks, strict=True))):
                tile = composite(tile, self._read(file, look, Tile(z, x, y)))
                if tile is not None and tile[3].all():
                    break
        return None if tile is None or not tile[3].any() else tile

    def _read(self, file: GeoTiff, look: Look, tile: Tile) -> Pixels | None:
        method = Resampling.nearest if look.nearest else Resampling.bilinear
        warped = file.read(tile, self._options.tile_size, look.bands, method)
        return None if warped is None else coloured(*warped, look)

    def _open(self) -> list[GeoTiff]:
        files: list[GeoTiff] = []
        try:
            for path, known in zip_longest(self._paths, self._places):  # none are known yet when it is first opened
                files.append(GeoTiff(path, known))
        except BaseException as error:
            _close(files)
            if self._looks and not all(path.exists() for path in self._paths):
                raise SourceClosed from error
            raise
        return files

    def _looks_of(self, files: Sequence[GeoTiff], own: int) -> list[Look]:
        """How each file is shown. The first `own` ones are not painted: they decide about the stretch."""
        options = self._options
        palettes = []
        for file in files:
            with source_errors(file.path, *LIBRARY_ERRORS):
                palettes.append(palette_of(colormap_of(file.dataset, options.colormap)))
        embedded = [palette is not None and not options.colormap for palette in palettes]
        layers = [
            Layer(file.dataset, shown_bands(file.dataset)[: 1 if palette is not None else None])
            for file, palette in zip(files, palettes, strict=True)
        ]
        with source_errors(self._paths[0], *LIBRARY_ERRORS):
            shared = automatic_stretches(layer for layer, plain in zip(layers[:own], embedded, strict=False) if not plain)
        looks = []
        for file, layer, palette, plain in zip(files, layers, palettes, embedded, strict=True):
            ranges = () if plain else options.rescale or _stretch_of(file, layer, shared)
            if len(ranges) not in (0, 1, len(layer.bands)):
                raise invalid_source(
                    file.path, f"rescale has {len(ranges)} ranges; give one, or one for each of the {len(layer.bands)} bands"
                )
            looks.append(Look(layer.bands, ranges, palette, nearest=plain))
        return looks

    def _describe(self) -> TileMetadata:
        highest = max(place.zoom for place in self._places)
        return TileMetadata(map_bounds([place.box for place in self._places]), 0, highest, self._options.format, self._options.tile_size)


def _stretch_of(file: GeoTiff, layer: Layer, shared: dict[int, Ranges]) -> Ranges:
    """The stretch that files with so many bands share; of a painted image that is the only one its own."""
    count = len(layer.bands)
    if count in shared:
        return shared[count]
    with source_errors(file.path, *LIBRARY_ERRORS):
        return automatic_stretches([layer])[count]


def _close(files: list[GeoTiff]) -> None:
    for file in files:
        file.close()
