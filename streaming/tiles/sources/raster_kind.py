"""The kind `raster`: GeoTIFFs as one mosaic, with the images painted over it on top."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.tiles.imagery_files import painted_files
from streaming.tiles.optional import optional_libraries
from streaming.tiles.paths import imagery_folder, resolve_source

from .base import TileSource
from .kind import SourceKind
from .side_files import side_paths

if TYPE_CHECKING:
    from streaming.tiles.tilesets import TilesetSettings

    from .raster import RasterOptions

LIBRARIES = "GeoTIFFs"
"""The purpose of the libraries, for errors about missing ones."""


class RasterKind(SourceKind):
    """GeoTIFFs, rendered in any zoom, image format and size."""

    suffixes = (".tif", ".tiff")
    any_zoom = True
    any_image = True

    def open(self, tileset: TilesetSettings) -> TileSource:
        """The mosaic as it is now."""
        with optional_libraries(LIBRARIES):
            from .raster import RasterSource

        paths = [resolve_source(text) for text in tileset.sources]
        if not paths:
            raise StreamError("invalid_source", "a raster needs at least one file")
        options = raster_options(tileset)
        while True:
            painted = [each.path for each in painted_files(imagery_folder(tileset.name))]
            try:
                return RasterSource(paths, options, painted)
            except StreamError:
                if all(path.exists() for path in painted):
                    raise  # else an image was taken away just now: again without it

    def version_paths(self, paths: list[Path], tileset: TilesetSettings) -> Iterable[Path]:
        """The files and the painted images."""
        painted = (each.path for each in painted_files(imagery_folder(tileset.name)))  # which never change
        return [*self.with_companions(paths), *painted]

    def extra_folder(self, tileset: TilesetSettings) -> Path | None:
        """The folder of painted images."""
        return imagery_folder(tileset.name)

    def files_at(self, path: Path) -> Iterable[Path]:
        """The file, or the painted images of the folder."""
        return [each.path for each in painted_files(path)] if os.path.isdir(path) else [path]

    def companions(self, path: Path) -> Iterable[Path]:
        """The side files: masks, overviews, world files and the like."""
        return side_paths(path)

    def box_of(self, path: Path, tileset: TilesetSettings) -> Box | None:
        """Where the file is; None if it is damaged, or if the look of all files depends on its values."""
        try:
            with optional_libraries(LIBRARIES):
                from .footprint import read_footprint

            footprint = read_footprint(path)
        except StreamError:
            return None
        own = path.parent != imagery_folder(tileset.name)
        return None if own and footprint.stretched and not tileset.rescale else footprint.box


def raster_options(tileset: TilesetSettings) -> RasterOptions:
    """How a raster tileset is shown. `StreamError("invalid_source")`."""
    with optional_libraries(LIBRARIES):
        from .raster import RasterOptions

    return RasterOptions(tileset.format or "png", tileset.tile_size, parse_rescale(tileset.rescale), tileset.colormap)


def parse_rescale(text: str) -> tuple[tuple[float, float], ...]:
    """`0,3000`, or one such range for each band, separated by spaces. `StreamError("invalid_source")`."""
    try:
        ranges = tuple((float(low), float(high)) for low, high in (part.split(",") for part in text.split()))
    except ValueError:
        ranges = ((0.0, 0.0),)
    if not all(low < high for low, high in ranges):
        raise StreamError("invalid_source", f"rescale {text[:50]!r} is not low,high with low below high (or one such pair for each band)")
    return ranges
