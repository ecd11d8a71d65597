"""Finished tiles in MBTiles, PMTiles and directories."""

from __future__ import annotations

import gzip
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pmtiles.tile import Compression, TileType

from streaming.core.errors import StreamError
from streaming.tiles.sources.base import MAX_TILE_BYTES, TileSource
from streaming.tiles.sources.directory import DirectorySource
from streaming.tiles.sources.mbtiles import MBTilesSource
from streaming.tiles.sources.pmtiles import PMTilesSource

from .conftest import PNG, damage, truncate

Write = Callable[..., Path]
TILES = {(0, 0, 0): PNG, (1, 0, 1): PNG + b"south", (1, 1, 0): PNG + b"east"}


@pytest.fixture
def directory(tmp_path: Path) -> Write:
    def write(tiles: dict[tuple[int, int, int], bytes], suffix: str = "png") -> Path:
        for (z, x, y), data in tiles.items():
            path = tmp_path / "tiles" / str(z) / str(x) / f"{y}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path / "tiles"

    return write


@pytest.fixture(params=["mbtiles", "pmtiles", "directory"])
def source(request: pytest.FixtureRequest) -> Any:
    """The same tiles, from each kind of source."""
    opener = {"mbtiles": MBTilesSource, "pmtiles": PMTilesSource, "directory": DirectorySource}[request.param]
    made = opener(request.getfixturevalue(request.param)(TILES))
    yield made
    made.close()


def test_every_tile_is_found(source: TileSource) -> None:
    assert {place: source.render(*place) for place in TILES} == TILES


def test_where_there_is_none_there_is_none(source: TileSource) -> None:
    assert source.render(1, 0, 0) is None
    assert source.render(9, 100, 100) is None


def test_zooms_and_format_are_known(source: TileSource) -> None:
    assert (source.metadata.min_zoom, source.metadata.max_zoom, source.metadata.format) == (0, 1, "png")


def test_several_threads_read_at_once(source: TileSource) -> None:
    wrong: list[object] = []

    def read() -> None:
        wrong.extend(place for _ in range(50) for place, data in TILES.items() if source.render(*place) != data)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_mbtiles_say_what_they_have(mbtiles: Write) -> None:
    source = MBTilesSource(mbtiles(TILES, bounds="5,45,11,48", attribution="us"))
    assert (source.metadata.bounds, source.metadata.attribution) == ((5, 45, 11, 48), "us")
    source.close()


def test_vector_tiles_are_unpacked(mbtiles: Write, pmtiles: Write) -> None:
    for source in (
        MBTilesSource(mbtiles({(0, 0, 0): gzip.compress(b"vector")}, "pbf")),
        PMTilesSource(pmtiles({(0, 0, 0): b"vector"}, TileType.MVT)),
    ):
        assert (source.metadata.format, source.render(0, 0, 0)) == ("mvt", b"vector")
        source.close()


def test_a_tile_that_unpacks_to_too_much_is_refused(mbtiles: Write) -> None:
    source = MBTilesSource(mbtiles({(0, 0, 0): gzip.compress(bytes(MAX_TILE_BYTES + 1))}, "pbf"))
    with pytest.raises(StreamError, match="too large"):
        source.render(0, 0, 0)
    source.close()


def test_a_zstd_tile_that_says_it_holds_too_much_is_not_unpacked(mbtiles: Write) -> None:
    """What a frame says is allocated before anything is unpacked, whatever the limit."""
    source = MBTilesSource(mbtiles({(0, 0, 0): zstandard.compress(bytes(MAX_TILE_BYTES + 1))}, "pbf"))
    with pytest.raises(StreamError, match="too large"):
        source.render(0, 0, 0)
    source.close()


def test_a_view_that_counts_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.tiles.sources.mbtiles.QUERY_SECONDS", 0.2)
    with closing(sqlite3.connect(tmp_path / "a.mbtiles")) as database:
        database.executescript("""
            CREATE TABLE metadata (name, value);
            CREATE VIEW tiles AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n)
                SELECT 0 AS zoom_level, 0 AS tile_column, i AS tile_row, x'00' AS tile_data FROM n;
        """)
    _refused(MBTilesSource, tmp_path / "a.mbtiles")


def test_a_view_that_makes_a_huge_tile_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.mbtiles")) as database:
        database.executescript("""
            CREATE TABLE metadata (name, value);
            CREATE VIEW tiles AS SELECT 0 AS zoom_level, 0 AS tile_column, 0 AS tile_row, randomblob(900000000) AS tile_data;
        """)
    with pytest.raises(StreamError, match="too big"):
        MBTilesSource(tmp_path / "a.mbtiles").render(0, 0, 0)


def test_pmtiles_with_leaf_directories(pmtiles: Write) -> None:
    tiles = {(8, x, y): PNG + bytes([x, y]) * (x * y % 97) for x in range(150) for y in range(150)}
    source = PMTilesSource(pmtiles(tiles))
    assert source._header["leaf_directory_length"] > 0
    assert all(source.render(8, x, y) == tiles[8, x, y] for x in range(0, 150, 37) for y in range(0, 150, 41))
    assert source.render(8, 200, 200) is None
    source.close()


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9])
def test_truncated_archives_are_refused(mbtiles: Write, pmtiles: Write, keep: float) -> None:
    tiles = {(6, x, y): PNG + bytes([x, y]) * 200 for x in range(20) for y in range(20)}
    _refused(MBTilesSource, truncate(mbtiles(tiles), keep))
    _refused(PMTilesSource, truncate(pmtiles(tiles), keep))


def test_damaged_archives_are_refused_at_the_latest_when_read(mbtiles: Write, pmtiles: Write) -> None:
    tiles = {(6, x, y): PNG + bytes([x, y]) * 200 for x in range(20) for y in range(20)}
    _refused(MBTilesSource, damage(mbtiles(tiles)))
    path = pmtiles(tiles, TileType.MVT)
    data = bytearray(path.read_bytes())
    data[140:200] = bytes(60)
    path.write_bytes(data)
    _refused(PMTilesSource, path)


@pytest.mark.parametrize("opener", [MBTilesSource, PMTilesSource])
@pytest.mark.parametrize("content", [b"", b"PMTiles\x03", b"PMTiles\x02" + bytes(200), b"SQLite format 3\x00", b"x" * 5000])
def test_something_else_is_refused(tmp_path: Path, opener: Any, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    _refused(opener, tmp_path / "a")


def test_a_database_without_tiles_is_refused(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a").close()
    _refused(MBTilesSource, tmp_path / "a")


def test_pmtiles_of_an_unknown_compression_are_refused(pmtiles: Write) -> None:
    path = pmtiles({(0, 0, 0): b"vector"}, TileType.MVT)
    data = bytearray(path.read_bytes())
    data[98] = Compression.BROTLI.value
    path.write_bytes(data)
    _refused(PMTilesSource, path)


def test_a_directory_knows_its_bounds(directory: Write) -> None:
    bounds = DirectorySource(directory({(2, 2, 1): PNG})).metadata.bounds
    assert bounds == pytest.approx((0, 0, 90, 66.51326))


def test_a_directorys_bounds_are_those_of_all_its_zooms(directory: Write) -> None:
    metadata = DirectorySource(directory({(1, 0, 0): PNG, (1, 0, 1): PNG, (3, 7, 3): PNG})).metadata
    assert metadata.bounds == pytest.approx((-180, -85.05113, 180, 85.05113))
    assert (metadata.min_zoom, metadata.max_zoom) == (1, 3)


def test_of_very_many_columns_some_are_looked_into(directory: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.tiles.sources.directory.MAX_COLUMNS", 3)
    bounds = DirectorySource(directory({(4, x, 8): PNG for x in range(2, 14)})).metadata.bounds
    assert (bounds[0], bounds[2]) == (-135, 135)


def test_a_directory_with_rows_outside_the_grid_is_refused(directory: Write) -> None:
    _refused(DirectorySource, directory({(1, 0, 2): PNG, (3, 7, 3): PNG}))


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    _refused(DirectorySource, tmp_path)
    _refused(DirectorySource, tmp_path / "nowhere")


def test_a_link_out_of_the_directory_is_refused(directory: Write, tmp_path: Path) -> None:
    root = directory(TILES)
    (tmp_path / "secret").write_text("secret")
    (root / "1" / "0" / "0.png").symlink_to(tmp_path / "secret")
    with pytest.raises(StreamError) as caught:
        DirectorySource(root).render(1, 0, 0)
    assert caught.value.code == "invalid_source"


def test_a_pipe_in_place_of_a_tile_is_not_waited_for(directory: Write) -> None:
    root = directory(TILES)
    (root / "1" / "0" / "0.png").unlink(missing_ok=True)
    os.mkfifo(root / "1" / "0" / "0.png")
    with pytest.raises(StreamError, match="no file"):
        DirectorySource(root).render(1, 0, 0)


def _refused(opener: Any, path: Path) -> None:
    with pytest.raises(StreamError) as caught:
        opener(path)
    assert caught.value.code == "invalid_source"
