"""The tile servers beside which `tile_http` measures: martin (`martin` on the path) and TiTiler (`--titiler PYTHON`, which has it).

Each is one process, started with what its documentation recommends for one core, and serves the same files as GeoStream.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import rasterio.shutil  # type: ignore[import-untyped]

from streaming.server.redis_server import free_port
from streaming.tiles.sources.raster import RasterSource

from .stack import running_process

ZOOM = 3
"""Of the tiles in the archive: 64 of them."""
COLD_ZOOM = 7
"""Of tiles that are rendered: more than can be asked for."""


class TileServer(NamedTuple):
    """One that has started; `path` has places for z, x and y."""

    name: str
    pid: int
    port: int
    path: str


def archive(source: Path, target: Path) -> None:
    """An MBTiles file with the tiles of a raster."""
    raster = RasterSource([source])
    with sqlite3.connect(target) as database:
        database.execute("CREATE TABLE metadata (name text, value text)")
        database.execute("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)")
        database.execute("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
        described = {"name": target.stem, "format": "png", "minzoom": str(ZOOM), "maxzoom": str(ZOOM), "bounds": "-180,-85,180,85"}
        database.executemany("INSERT INTO metadata VALUES (?, ?)", described.items())
        for x, y in ((x, y) for x in range(2**ZOOM) for y in range(2**ZOOM)):
            tile = raster.render(ZOOM, x, y)
            if tile is not None:
                database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (ZOOM, x, 2**ZOOM - 1 - y, tile))
    database.close()


def cloud_optimized(source: Path, target: Path) -> None:
    """The same raster as a Cloud Optimized GeoTIFF."""
    rasterio.shutil.copy(source, target, driver="COG", compress="deflate")


@contextmanager
def martin(mbtiles: Path) -> Iterator[TileServer | None]:
    """Serves an archive; None where martin is not installed."""
    program = shutil.which("martin")
    if program is None:
        yield None
        return
    port = free_port()
    command = [program, "--listen-addresses", f"127.0.0.1:{port}", "--workers", "1", str(mbtiles)]
    with running_process(command, port) as pid:
        yield TileServer("martin", pid, port, f"/{mbtiles.stem}/{{z}}/{{x}}/{{y}}")


@contextmanager
def titiler(python: str | None, tif: Path) -> Iterator[TileServer | None]:
    """Renders a GeoTIFF; None without a Python that has TiTiler."""
    if python is None:
        yield None
        return
    port = free_port()
    command = [python, "-m", "uvicorn", "titiler.application.main:app", "--port", str(port), "--log-level", "error", "--no-access-log"]
    advised = {"GDAL_CACHEMAX": "200", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "VSI_CACHE": "TRUE", "VSI_CACHE_SIZE": "5000000"}
    with running_process(command, port, **advised) as pid:
        yield TileServer("TiTiler", pid, port, f"/cog/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png?url={quote(str(tif), safe='')}")
