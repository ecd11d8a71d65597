"""The kind `mbtiles`: an SQLite database of finished tiles, https://github.com/mapbox/mbtiles-spec.

Its rows are counted from the south.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from streaming.core.bbox import Box
from streaming.tiles.grid import MAX_ZOOM, WORLD

from .base import FORMAT_NAMES, MAX_TILE_BYTES, PerThread, TileMetadata, TileSource, decompressed, invalid_source, source_errors
from .kind import SourceKind

if TYPE_CHECKING:
    from streaming.tiles.tilesets import TilesetSettings

MAX_CHECKED_BYTES = 256 * 1024 * 1024
"""Files up to this size are checked page by page when they are opened."""
QUERY_SECONDS = 30.0
"""How long a query may take: a table may be a view, and a view may count without end."""
_STEPS = 100_000
"""Instructions of SQLite's virtual machine between two checks of the time: about a millisecond."""


class MBTilesKind(SourceKind):
    """An MBTiles file."""

    suffixes = (".mbtiles",)

    def open(self, tileset: TilesetSettings) -> TileSource:
        """The database."""
        return MBTilesSource(self.single_path(tileset))

    def files_at(self, path: Path) -> Iterable[Path]:
        """The database and its journals, where SQLite writes first."""
        return [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-journal"))]


class MBTilesSource:
    """An open MBTiles file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connections = PerThread(self._connect, sqlite3.Connection.close)
        with self._reading() as connection:
            self._metadata = self._read_metadata(connection)

    @property
    def metadata(self) -> TileMetadata:
        """What the file has."""
        return self._metadata

    def close(self) -> None:
        """Close the database."""
        self._connections.close()

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The stored tile."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?", (z, x, (1 << z) - 1 - y)
            ).fetchone()
        if row is None or row[0] is None:
            return None
        if not isinstance(row[0], bytes) or len(row[0]) > MAX_TILE_BYTES:
            raise invalid_source(self._path, f"tile {z}/{x}/{y} is not of bytes, or too large")
        return decompressed(row[0], self._path) if self._metadata.format == "mvt" else row[0]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with source_errors(self._path, sqlite3.Error, OSError, OverflowError), self._connections.lease() as connection:
            end = time.monotonic() + QUERY_SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            yield connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TILE_BYTES + 1024)  # of a value; a row is one while it is read
        return connection

    def _read_metadata(self, connection: sqlite3.Connection) -> TileMetadata:
        if self._path.stat().st_size <= MAX_CHECKED_BYTES:
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise invalid_source(self._path, f"the database is damaged ({state[:100]})")
        values = {str(name): str(value) for name, value in connection.execute("SELECT name, value FROM metadata")}
        low, high = connection.execute("SELECT min(zoom_level), max(zoom_level) FROM tiles").fetchone()
        if low is None or not 0 <= low <= high <= MAX_ZOOM:
            raise invalid_source(self._path, "it has no tiles")
        return TileMetadata(
            bounds=self._bounds(values.get("bounds")),
            min_zoom=low,
            max_zoom=high,
            format=self._format(values.get("format", "png")),
            attribution=values.get("attribution", ""),
            vector_layers=_layers(values.get("json")),
        )

    def _format(self, name: str) -> str:
        if name not in FORMAT_NAMES:
            raise invalid_source(self._path, f"tiles of the format {name[:20]!r} are not supported; use {', '.join(FORMAT_NAMES)}")
        return FORMAT_NAMES[name]

    def _bounds(self, text: str | None) -> Box:
        try:
            west, south, east, north = map(float, (text or "").split(","))
        except ValueError:
            return WORLD
        return (west, south, east, north) if all(map(isfinite, (west, south, east, north))) else WORLD


def _layers(text: str | None) -> tuple[str, ...]:
    try:
        return tuple(str(layer["id"]) for layer in json.loads(text or "{}").get("vector_layers", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
