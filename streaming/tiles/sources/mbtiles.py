"""The kind `mbtiles`: an SQLite database of finished tiles, https://github.com/mapbox/mbtiles-spec.

Its rows are counted from the south.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from streaming.core.bbox import Box
from streaming.tiles.grid import MAX_ZOOM, WORLD, TileRange, tile_exists, tile_ranges

from .base import MAX_TILE_BYTES, PerThread, TileMetadata, TileSource, decompressed, invalid_source, source_errors
from .finished_tiles import box_around, format_and_size, stated_box
from .kind import SourceKind

if TYPE_CHECKING:
    from streaming.tiles.tilesets import TilesetSettings

MAX_CHECKED_BYTES = 256 * 1024 * 1024
"""Files up to this size are checked page by page when they are opened."""
QUERY_SECONDS = 30.0
"""How long a query may take: a table may be a view, and a view may count without end."""
BOUNDS_SECONDS = 3.0
"""How long may be looked for tiles that are outside of the bounds; of so large a file the bounds are the world's."""
_STEPS = 100_000
"""Instructions of SQLite's virtual machine between two checks of the time: about a millisecond."""


class MBTilesKind(SourceKind):
    """An MBTiles file."""

    suffixes = (".mbtiles",)
    fixed_bounds = False  # what the file says of its bounds may be wrong

    def open(self, tileset: TilesetSettings) -> TileSource:
        """The database."""
        return MBTilesSource(self.single_path(tileset))

    def companions(self, path: Path) -> Iterable[Path]:
        """The journals, where SQLite writes first."""
        return [path.with_name(path.name + ending) for ending in ("-wal", "-journal")]

    def version_paths(self, paths: list[Path], tileset: TilesetSettings) -> Iterable[Path]:
        """The database, and journals in which something is."""
        return [path for path in self.with_companions(paths) if path in paths or (path.exists() and path.stat().st_size)]

    def copy(self, path: Path, to: Path) -> None:
        """Copy the database as it is now, with what is only in its journal yet."""
        try:
            with closing(_connect(path)) as source, closing(sqlite3.connect(to)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = delete")
        except sqlite3.Error:  # it is damaged, or no database: whoever opens the copy says so
            to.unlink(missing_ok=True)
            super().copy(path, to)


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
            _limit(connection, QUERY_SECONDS)
            yield connection

    def _connect(self) -> sqlite3.Connection:
        return _connect(self._path)

    def _read_metadata(self, connection: sqlite3.Connection) -> TileMetadata:
        if self._path.stat().st_size <= MAX_CHECKED_BYTES:
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise invalid_source(self._path, f"the database is damaged ({state[:100]})")
        tables = {str(name).lower() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        if "tiles" not in tables:
            raise invalid_source(self._path, "it has no table of tiles; is it MBTiles, and is the journal (-wal) beside it missing?")
        values = dict[str, str]()
        if "metadata" in tables:
            values = {str(name): str(value) for name, value in connection.execute("SELECT name, value FROM metadata") if value is not None}
        low, high = connection.execute("SELECT min(zoom_level), max(zoom_level) FROM tiles").fetchone()
        if not isinstance(low, int) or not isinstance(high, int) or not 0 <= low <= high <= MAX_ZOOM:
            raise invalid_source(self._path, "it has no tiles")
        first = connection.execute("SELECT tile_data FROM tiles WHERE length(tile_data) > 0 LIMIT 1").fetchone()
        data = first[0] if first and isinstance(first[0], bytes) else None
        format, size = format_and_size(data, values.get("format"), self._path)
        return TileMetadata(
            bounds=self._bounds(connection, values.get("bounds"), range(low, high + 1)),
            min_zoom=low,
            max_zoom=high,
            format=format,
            tile_size=size,
            attribution=values.get("attribution", ""),
            vector_layers=_layers(values.get("json")),
        )

    def _bounds(self, connection: sqlite3.Connection, stated: str | None, zooms: range) -> Box:
        """What the file says, if all tiles are there; else a box around them."""
        box = _parsed_box(stated)
        try:
            _limit(connection, BOUNDS_SECONDS)
            if box is not None and not _has_tiles_outside(connection, box, zooms):
                return box
            rows = connection.execute(
                "SELECT zoom_level, min(tile_column), max(tile_row), max(tile_column), min(tile_row) FROM tiles GROUP BY zoom_level"
            ).fetchall()
        except sqlite3.OperationalError:  # it takes too long
            return WORLD
        finally:
            _limit(connection, QUERY_SECONDS)
        places = [TileRange(z, west, (1 << z) - 1 - north, east, (1 << z) - 1 - south) for z, west, north, east, south in rows]
        there = [
            place for place in places if tile_exists(place.z, place.west, place.north) and tile_exists(place.z, place.east, place.south)
        ]
        return box_around(there) if there else WORLD


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TILE_BYTES + 1024)  # of a value; a row is one while it is read
    return connection


def _limit(connection: sqlite3.Connection, seconds: float) -> None:
    """Give up a query that takes longer."""
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)


def _parsed_box(text: str | None) -> Box | None:
    try:
        west, south, east, north = map(float, (text or "").split(","))
    except ValueError:
        return None
    return stated_box(west, south, east, north)


def _has_tiles_outside(connection: sqlite3.Connection, box: Box, zooms: range) -> bool:
    parts = [(part, (1 << z) - 1) for z in zooms for part in tile_ranges(box, z)]
    inside = " OR ".join(
        f"(zoom_level = {z} AND tile_column BETWEEN {west} AND {east} AND tile_row BETWEEN {last - south} AND {last - north})"
        for (z, west, north, east, south), last in parts
    )
    return connection.execute(f"SELECT 1 FROM tiles WHERE NOT ({inside or '0'}) LIMIT 1").fetchone() is not None


def _layers(text: str | None) -> tuple[str, ...]:
    try:
        return tuple(str(layer["id"]) for layer in json.loads(text or "{}").get("vector_layers", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
