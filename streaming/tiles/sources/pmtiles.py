"""The kind `pmtiles`: an archive of finished tiles in one file, PMTiles 3 (https://github.com/protomaps/PMTiles).

What the header declares must be in the file before anything else is read. Directories are kept once they were read.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streaming.core.bbox import Box
from streaming.tiles.grid import WORLD, Tile
from streaming.tiles.optional import optional_libraries

from .base import MAX_TILE_BYTES, PerThread, TileMetadata, TileSource, decompressed, invalid_source, source_errors
from .finished_tiles import box_around, covers_tiles, format_and_size, one_tile, stated_box
from .kind import SourceKind

if TYPE_CHECKING:
    from streaming.tiles.tilesets import TilesetSettings

MAX_DEPTH = 4
CACHED_DIRECTORIES = 256
SAMPLED_TILES = 1000
"""So many tiles of the root directory are compared with the bounds in the header."""
_FORMATS = {0: None, 1: "mvt", 2: "png", 3: "jpg", 4: "webp", 5: "avif"}
"""By the number in the header. Of an unknown type (0), the first tile shows it."""
_SUPPORTED_COMPRESSIONS = (1, 2, 4)
"""None, gzip, zstd."""
_HEADER_BYTES = 127


class PMTilesKind(SourceKind):
    """A PMTiles file."""

    suffixes = (".pmtiles",)
    fixed_bounds = False  # what the header says of the bounds may be wrong

    def open(self, tileset: TilesetSettings) -> TileSource:
        """The archive."""
        return PMTilesSource(self.single_path(tileset))


class PMTilesSource:
    """An open PMTiles file."""

    def __init__(self, path: Path) -> None:
        with optional_libraries("PMTiles"):
            from pmtiles import tile as library
        self._library = library
        self._path = path
        with source_errors(path, OSError):
            self._file = PerThread(lambda: os.open(path, os.O_RDONLY), os.close)
            self._size = path.stat().st_size
        self._header = self._read_header()
        self._directory = lru_cache(CACHED_DIRECTORIES)(self._read_directory)
        self._directory(self._header["root_offset"], self._header["root_length"])
        self._metadata = self._describe()

    @property
    def metadata(self) -> TileMetadata:
        """What the archive has."""
        return self._metadata

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The stored tile."""
        with source_errors(self._path, ValueError, IndexError, EOFError):
            tile_id = self._library.zxy_to_tileid(z, x, y)
            offset, length = self._header["root_offset"], self._header["root_length"]
            for _ in range(MAX_DEPTH):
                entry = self._library.find_tile(self._directory(offset, length), tile_id)
                if entry is None:
                    return None
                if entry.run_length:
                    return self._tile(self._header["tile_data_offset"] + entry.offset, entry.length)
                offset, length = self._header["leaf_directory_offset"] + entry.offset, entry.length
        raise invalid_source(self._path, "its directories are nested too deeply")

    def _tile(self, offset: int, length: int) -> bytes:
        data = self._bytes(offset, length)
        return decompressed(data, self._path) if self._metadata.format == "mvt" else data

    def _bytes(self, offset: int, length: int) -> bytes:
        if length > MAX_TILE_BYTES:
            raise invalid_source(self._path, "a tile or directory is too large")
        with source_errors(self._path, OSError, OverflowError), self._file.lease() as descriptor:
            data = os.pread(descriptor, length, offset)
        if len(data) < length:
            raise invalid_source(self._path, "the file is truncated")
        return data

    def _read_header(self) -> dict[str, Any]:
        library = self._library
        with source_errors(self._path, library.MagicNumberNotFound, library.SpecVersionUnsupported, ValueError, IndexError):
            header: dict[str, Any] = {**library.deserialize_header(self._bytes(0, _HEADER_BYTES))}
        for part in ("root", "metadata", "leaf_directory", "tile_data"):
            if header[f"{part}_offset"] + header[f"{part}_length"] > self._size:
                raise invalid_source(self._path, "the file is truncated")
        for what in ("internal_compression", "tile_compression"):
            if header[what].value not in _SUPPORTED_COMPRESSIONS and (what[0] == "i" or header["tile_type"].value == 1):
                raise invalid_source(self._path, f"{what.replace('_', ' ')} {header[what].name} is not supported; use gzip or zstd")
        if header["tile_type"].value not in _FORMATS:
            raise invalid_source(self._path, f"tiles of the type {header['tile_type'].name} are not supported")
        return header

    def _read_directory(self, offset: int, length: int) -> list[Any]:
        plain = decompressed(self._bytes(offset, length), self._path)
        with source_errors(self._path, EOFError, ValueError, IndexError):
            # Compressed again: the library takes only gzip, and decompresses without a limit.
            return self._library.deserialize_directory(gzip.compress(plain, 0))

    def _describe(self) -> TileMetadata:
        header = self._header
        entries = self._directory(header["root_offset"], header["root_length"])
        text = decompressed(self._bytes(header["metadata_offset"], header["metadata_length"]), self._path)
        with source_errors(self._path, ValueError):
            described = json.loads(text or b"{}")
        described = described if isinstance(described, dict) else {}
        layers = described.get("vector_layers") or ()
        format, size = format_and_size(self._first_tile(entries), _FORMATS[header["tile_type"].value], self._path)
        return TileMetadata(
            bounds=self._bounds(entries),
            min_zoom=header["min_zoom"],
            max_zoom=header["max_zoom"],
            format=format,
            tile_size=size,
            attribution=str(described.get("attribution", "")),
            vector_layers=tuple(str(layer["id"]) for layer in layers if isinstance(layer, dict) and "id" in layer),
        )

    def _first_tile(self, entries: list[Any]) -> bytes | None:
        """The bytes of one tile; None if there is none."""
        for _ in range(MAX_DEPTH):
            if not entries:
                return None
            first = entries[0]
            if first.run_length:
                return self._bytes(self._header["tile_data_offset"] + first.offset, first.length)
            entries = self._directory(self._header["leaf_directory_offset"] + first.offset, first.length)
        return None

    def _bounds(self, entries: list[Any]) -> Box:
        """What the header says, if the tiles of the root directory are there; else a box around them, or the world."""
        header = self._header
        west, south, east, north = (header[f"{name}_e7"] / 1e7 for name in ("min_lon", "min_lat", "max_lon", "max_lat"))
        box = stated_box(west, south, east, north)
        step = -(-len(entries) // SAMPLED_TILES) or 1
        with source_errors(self._path, ValueError, IndexError):
            places = [one_tile(Tile(*self._library.tileid_to_zxy(entry.tile_id))) for entry in entries[::step]]
        if box is not None and covers_tiles(box, places):
            return box
        complete = step == 1 and all(entry.run_length == 1 for entry in entries)
        return box_around(places) if complete and places else WORLD
