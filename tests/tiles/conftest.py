"""Tiny sources of every kind, made when they are needed."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from django.test import override_settings
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from rasterio.transform import from_bounds

from streaming.tiles.tile_renderer import close_tile_renderer
from streaming.tiles.tilesets import tilesets

EUROPE = (0.0, 40.0, 20.0, 60.0)
PNG = b"\x89PNG\r\n\x1a\n of the test"


def write_raster(path: Path, pixels: Any, bounds: tuple[float, ...] = EUROPE, crs: str | None = "EPSG:4326", **profile: Any) -> Path:
    """A GeoTIFF of an array (bands, height, width)."""
    bands, height, width = pixels.shape
    transform = from_bounds(*bounds, width, height) if crs else None
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": pixels.dtype, "crs": crs, **profile}
    if transform is not None:
        profile["transform"] = transform
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


def plain(*colour: int, size: int = 64) -> Any:
    """One colour everywhere."""
    return np.broadcast_to(np.array(colour, np.uint8).reshape(-1, 1, 1), (len(colour), size, size)).copy()


def truncate(path: Path, keep: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def damage(path: Path) -> Path:
    """Overwrite the middle."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 4
    data[middle:-middle] = bytes([0xA5]) * (len(data) - 2 * middle)
    path.write_bytes(data)
    return path


@pytest.fixture
def noise() -> Any:
    """What does not compress: 3 bands of 256 x 256."""
    return np.random.default_rng(1).integers(0, 255, (3, 256, 256), np.uint8)


@pytest.fixture
def mbtiles(tmp_path: Path) -> Callable[..., Path]:
    """Writes MBTiles of tiles by (z, x, y)."""

    def write(tiles: dict[tuple[int, int, int], bytes], format: str = "png", **metadata: str) -> Path:
        path = tmp_path / "some.mbtiles"
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE metadata (name text, value text)")
        database.execute("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)")
        database.executemany("INSERT INTO metadata VALUES (?, ?)", {"format": format, **metadata}.items())
        database.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", [(z, x, (1 << z) - 1 - y, data) for (z, x, y), data in tiles.items()])
        database.commit()
        database.close()
        return path

    return write


@pytest.fixture
def pmtiles(tmp_path: Path) -> Callable[..., Path]:
    """Writes PMTiles of tiles by (z, x, y)."""

    def write(tiles: dict[tuple[int, int, int], bytes], type: TileType = TileType.PNG, **header: Any) -> Path:
        path = tmp_path / "some.pmtiles"
        with path.open("wb") as file:
            writer = Writer(file)
            for place in sorted(tiles, key=lambda place: zxy_to_tileid(*place)):
                data = tiles[place]
                writer.write_tile(zxy_to_tileid(*place), gzip.compress(data) if type == TileType.MVT else data)
            edges = {"min_lon_e7": -1800000000, "min_lat_e7": -850000000, "max_lon_e7": 1800000000, "max_lat_e7": 850000000}
            compression = Compression.GZIP if type == TileType.MVT else Compression.NONE
            middle = {"center_zoom": 0, "center_lon_e7": 0, "center_lat_e7": 0}
            writer.finalize({"tile_type": type, "tile_compression": compression, **edges, **middle, **header}, {"attribution": "us"})
        return path

    return write


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """The site's data folder, while no tileset is open."""
    folder = tmp_path / "data"
    folder.mkdir()
    close_tile_renderer()
    tilesets.clear()
    with override_settings(GEOSTREAM_DATA_DIR=folder):
        yield folder
        close_tile_renderer()
        tilesets.clear()
