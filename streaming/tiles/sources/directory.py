"""The kind `directory`: a folder of finished tiles, `z/x/y.png`, rows from the north.

gdal2tiles, tippecanoe and many other programs write such folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streaming.core.bbox import Box
from streaming.tiles.grid import MAX_ZOOM, tile_box, tile_exists, union

from .base import FORMAT_NAMES, MAX_TILE_BYTES, TileMetadata, TileSource, decompressed, error_text, invalid_source, source_errors
from .finished_tiles import format_and_size
from .kind import SourceKind

if TYPE_CHECKING:
    from streaming.tiles.tilesets import TilesetSettings

MAX_COLUMNS = 1000
"""Columns of one zoom whose rows are read to find the bounds: evenly spread, with the first and the last."""
BEGINNING_BYTES = 64 * 1024


class DirectoryKind(SourceKind):
    """A folder of tiles."""

    is_directory = True
    fixed_bounds = False  # tiles come and go

    def open(self, tileset: TilesetSettings) -> TileSource:
        """The folder."""
        return DirectorySource(self.single_path(tileset))

    def version_paths(self, paths: list[Path], tileset: TilesetSettings) -> Iterable[Path]:
        """The folder and those of its zooms."""
        with source_errors(paths[0], OSError):
            return [*paths, *(path for path in sorted(paths[0].iterdir()) if path.name.isdecimal())]

    def matches(self, sources: Sequence[str]) -> bool:
        """Any folder."""
        return Path(sources[0]).is_dir()


class DirectorySource:
    """A folder of tiles. Its bounds are those of the columns and rows of all its zooms."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with source_errors(path, OSError):
            self._root = path.resolve(strict=True)
            zooms = _numbers(self._root)
            if not zooms or zooms[-1] > MAX_ZOOM:
                raise invalid_source(path, "it holds no tiles: z/x/y.png and the like are expected")
            first = self._find_tile(zooms[-1])
            self._suffix = first.name.partition(".")[2]
            self._metadata = self._describe(zooms, first)

    @property
    def metadata(self) -> TileMetadata:
        """What the folder had when it was opened."""
        return self._metadata

    def close(self) -> None:
        """Nothing is open."""

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The file's bytes."""
        path = self._root / str(z) / str(x) / f"{y}.{self._suffix}"
        try:
            real = path.resolve(strict=True)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise invalid_source(path, error_text(path, error)) from error
        if not real.is_relative_to(self._root):
            raise invalid_source(path, "it is a link that leads out of the directory")
        with source_errors(path, OSError):
            if not real.is_file():  # reading a pipe would never end
                raise invalid_source(path, "it is no file")
            if real.stat().st_size > MAX_TILE_BYTES:
                raise invalid_source(path, "the tile is too large")
            data = real.read_bytes()
        return decompressed(data, path) if self._metadata.format == "mvt" else data

    def _find_tile(self, z: int) -> Path:
        for x in _numbers(self._root / str(z)):
            for name in sorted(os.listdir(self._root / str(z) / str(x))):
                stem, _, suffix = name.partition(".")
                if stem.isdecimal() and suffix in FORMAT_NAMES:
                    return self._root / str(z) / str(x) / name
        raise invalid_source(self._path, f"zoom {z} has no tile with one of the endings {', '.join(FORMAT_NAMES)}")

    def _describe(self, zooms: list[int], first: Path) -> TileMetadata:
        bounds = union([box for z in zooms for box in self._corners(z)])
        _, size = format_and_size(_beginning(first), self._suffix, first)
        return TileMetadata(bounds, zooms[0], zooms[-1], FORMAT_NAMES[self._suffix], size, cacheable=False)

    def _corners(self, z: int) -> list[Box]:
        """The boxes of two tiles between which all tiles of a zoom are; none if it has no tiles."""
        columns = _spread(_numbers(self._root / str(z)), MAX_COLUMNS)
        rows = {x: _numbers(self._root / str(z) / str(x), f".{self._suffix}") for x in columns}
        found = [(x, each) for x, each in rows.items() if each]
        if not found:
            return []
        first, last = (found[0][0], min(each[0] for _, each in found)), (found[-1][0], max(each[-1] for _, each in found))
        if not tile_exists(z, *last):
            raise invalid_source(self._path, f"zoom {z} has columns or rows that are not in the grid")
        return [tile_box(z, *first), tile_box(z, *last)]


def _beginning(path: Path) -> bytes:
    """What a tile has first, where its size is; nothing if it is no file."""
    if not path.is_file():  # reading a pipe would never end
        return b""
    with path.open("rb") as file:
        return file.read(BEGINNING_BYTES)


def _spread(numbers: list[int], most: int) -> list[int]:
    """All numbers, or so many evenly spread from the first to the last."""
    if len(numbers) <= most:
        return numbers
    return [numbers[index * (len(numbers) - 1) // (most - 1)] for index in range(most)]


def _numbers(folder: Path, suffix: str = "") -> list[int]:
    """The entries of a folder that are numbers, in order."""
    stems = (name.removesuffix(suffix) for name in os.listdir(folder) if name.endswith(suffix))
    return sorted(int(stem) for stem in stems if stem.isdecimal())
