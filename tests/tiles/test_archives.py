"""Finished tiles in MBTiles, PMTiles and directories."""

from __future__ import annotations

import gzip
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zstandard
from PIL import Image
from pmtiles.tile import Compression, TileType

from streaming.core.errors import StreamError
from streaming.tiles.grid import WORLD, tile_box, touches
from streaming.tiles.sources.base import MAX_TILE_BYTES, TileMetadata, TileSource
from streaming.tiles.sources.directory import DirectorySource
from streaming.tiles.sources.mbtiles import MBTilesKind, MBTilesSource
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
    source = MBTilesSource(mbtiles({(0, 0, 0): PNG}, bounds="5,45,11,48", attribution="us"))
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


def image(format: str, size: int = 256) -> bytes:
    """A small image file."""
    file = BytesIO()
    Image.new("RGB", (size, size), (10, 20, 30)).save(file, {"jpg": "JPEG"}.get(format, format.upper()))
    return file.getvalue()


def vector(name: str = "roads") -> bytes:
    """A vector tile of one empty layer."""
    layer = b"\x0a" + bytes([len(name)]) + name.encode() + b"\x78\x02"
    return b"\x1a" + bytes([len(layer)]) + layer


def metadata_of(path: Path) -> TileMetadata:
    opener: Any = MBTilesSource if path.suffix == ".mbtiles" else PMTilesSource
    opened = opener(path)
    opened.close()
    found: TileMetadata = opened.metadata
    return found


# -- the format and size, by the tiles -----------------------------------------


@pytest.mark.parametrize(
    ("named", "format"),
    [
        ("png", "png"), ("PNG", "png"), ("image/png", "png"), (" png ", "png"), ("png8", "png"),
        ("jpg", "jpg"), ("JPEG", "jpg"), ("image/jpeg", "jpg"), ("image/jpg", "jpg"),
        ("webp", "webp"), ("image/webp", "webp"), ("avif", "avif"), ("image/avif", "avif"),
    ],
)  # fmt: skip
def test_formats_of_images_have_many_names(mbtiles: Write, named: str, format: str) -> None:
    assert metadata_of(mbtiles({(0, 0, 0): image(format)}, named)).format == format


@pytest.mark.parametrize(
    "named", ["pbf", "PBF", "mvt", "application/x-protobuf", "application/vnd.mapbox-vector-tile", "application/octet-stream"]
)
def test_formats_of_vector_tiles_have_many_names(mbtiles: Write, named: str) -> None:
    assert metadata_of(mbtiles({(0, 0, 0): gzip.compress(vector())}, named)).format == "mvt"


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "avif"])
@pytest.mark.parametrize("named", [None, "png", "pbf", "nonsense"])
def test_the_tiles_show_the_format(mbtiles: Write, format: str, named: str | None) -> None:
    path = mbtiles({(0, 0, 0): image(format)}, named or "")
    if named is None:
        change(path, "DELETE FROM metadata")
    assert metadata_of(path).format == format


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress, zstandard.compress])
def test_vector_tiles_show_their_format_and_are_unpacked(mbtiles: Write, pack: Callable[[bytes], bytes]) -> None:
    path = mbtiles({(0, 0, 0): pack(vector())})
    change(path, "DELETE FROM metadata")
    source = MBTilesSource(path)
    assert (source.metadata.format, source.render(0, 0, 0)) == ("mvt", vector())
    source.close()


def test_vector_tiles_that_are_called_images_are_vector_tiles(mbtiles: Write) -> None:
    assert metadata_of(mbtiles({(0, 0, 0): gzip.compress(vector())}, "png")).format == "mvt"


def test_names_of_tables_may_be_in_capitals(mbtiles: Write) -> None:
    path = mbtiles({(0, 0, 0): image("jpg")}, "jpg")
    change(path, "ALTER TABLE tiles RENAME TO old")
    change(path, "CREATE VIEW TILES AS SELECT * FROM old")
    assert metadata_of(path).format == "jpg"


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_zlib_is_known_at_every_level(mbtiles: Write, level: int) -> None:
    source = MBTilesSource(mbtiles({(0, 0, 0): zlib.compress(vector() * 100, level)}, "pbf"))
    assert source.render(0, 0, 0) == vector() * 100
    source.close()


@pytest.mark.parametrize("data", [zlib.compress(bytes(MAX_TILE_BYTES + 1)), zlib.compress(vector() * 100)[:-8]])
def test_zlib_that_unpacks_to_too_much_or_is_cut_off_is_refused(mbtiles: Write, data: bytes) -> None:
    source = MBTilesSource(mbtiles({(0, 0, 0): data}, "pbf"))
    with pytest.raises(StreamError, match=r"too large|truncated"):
        source.render(0, 0, 0)
    source.close()


def test_tiles_of_no_known_format_are_refused(mbtiles: Write) -> None:
    with pytest.raises(StreamError, match="unknown format"):
        metadata_of(mbtiles({(0, 0, 0): b"something"}, ""))


def test_tiles_of_a_format_that_cannot_be_served_are_refused(mbtiles: Write) -> None:
    with pytest.raises(StreamError, match="'mlt'"):
        metadata_of(mbtiles({(0, 0, 0): b"something"}, "mlt"))


def test_without_a_table_of_metadata_the_tiles_are_read(mbtiles: Write) -> None:
    path = mbtiles({(2, 1, 1): image("jpg")})
    change(path, "DROP TABLE metadata")
    source = MBTilesSource(path)
    has = source.metadata
    assert (has.format, has.min_zoom, has.max_zoom, has.bounds) == ("jpg", 2, 2, pytest.approx(tile_box(2, 1, 1)))
    assert source.render(2, 1, 1) == image("jpg")
    source.close()


def test_a_database_without_tiles_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.mbtiles"
    change(path, "CREATE TABLE other (id)")
    with pytest.raises(StreamError, match="no table of tiles"):
        metadata_of(path)


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "avif"])
@pytest.mark.parametrize("size", [256, 512])
def test_the_tiles_show_their_size(mbtiles: Write, pmtiles: Write, directory: Write, format: str, size: int) -> None:
    tiles = {(0, 0, 0): image(format, size)}
    type = {"png": TileType.PNG, "jpg": TileType.JPEG, "webp": TileType.WEBP, "avif": TileType.AVIF}[format]
    found = [metadata_of(mbtiles(tiles, format)), metadata_of(pmtiles(tiles, type)), DirectorySource(directory(tiles, format)).metadata]
    assert [(has.format, has.tile_size) for has in found] == [(format, size)] * 3


def test_vector_tiles_are_of_512_pixels(mbtiles: Write, pmtiles: Write, directory: Write) -> None:
    tiles = {(0, 0, 0): vector()}
    found = [
        metadata_of(mbtiles(tiles, "pbf")),
        metadata_of(pmtiles(tiles, TileType.MVT)),
        DirectorySource(directory(tiles, "pbf")).metadata,
    ]
    assert [has.tile_size for has in found] == [512] * 3


def test_pmtiles_of_an_unknown_type_are_read_by_their_tiles(pmtiles: Write) -> None:
    assert metadata_of(pmtiles({(0, 0, 0): image("webp", 512)}, TileType.UNKNOWN)).format == "webp"


# -- the bounds, by the tiles --------------------------------------------------

ALPS = {(0, 0, 0): PNG, (6, 33, 22): PNG, (6, 33, 23): PNG, (7, 67, 45): PNG}
"""Around 5.6..11.3 E, 40.9..48.9 N."""


def test_bounds_that_hold_all_tiles_are_believed(mbtiles: Write, pmtiles: Write) -> None:
    stated = (7.0, 45.0, 9.0, 47.0)
    edges = dict(zip(("min_lon_e7", "min_lat_e7", "max_lon_e7", "max_lat_e7"), (round(each * 1e7) for each in stated), strict=True))
    tiles = {place: PNG for place in ALPS if place != (6, 33, 23)}
    assert metadata_of(mbtiles(tiles, bounds=",".join(map(str, stated)))).bounds == stated
    assert metadata_of(pmtiles(tiles, **edges)).bounds == pytest.approx(stated)


@pytest.mark.parametrize(
    "stated",
    ["0,0,0,0", "7,45,7,47", "", "nonsense", "7,45", "nan,45,9,47", "-10,-20,-5,-15", "11,48,6,45", "8.1,46.1,8.2,46.2"],
    ids=["zeros", "a line", "empty", "no numbers", "two", "nan", "elsewhere", "swapped", "smaller"],
)
def test_bounds_never_hide_a_tile(mbtiles: Write, stated: str) -> None:
    has = metadata_of(mbtiles(ALPS, bounds=stated))
    assert all(touches(has.bounds, *place) for place in ALPS)
    west, south, east, north = has.bounds
    assert -180 <= west < east <= 180 and south < north


def test_bounds_that_are_upside_down_are_turned(mbtiles: Write) -> None:
    tiles = {(0, 0, 0): PNG, (7, 67, 45): PNG}
    assert metadata_of(mbtiles(tiles, bounds="7,47,11,45")).bounds == (7, 45, 11, 47)


def test_bounds_beyond_180_go_on_after_the_antimeridian(mbtiles: Write) -> None:
    tiles = {(3, 7, 4): PNG, (3, 0, 4): PNG}
    has = metadata_of(mbtiles(tiles, bounds="170,-20,190,-1"))
    assert has.bounds == (170, -20, -170, -1)
    assert all(touches(has.bounds, *place) for place in tiles)


def test_bounds_of_a_pmtiles_header_never_hide_a_tile(pmtiles: Write) -> None:
    zeros = dict.fromkeys(("min_lon_e7", "min_lat_e7", "max_lon_e7", "max_lat_e7"), 0)
    for header in (zeros, {**zeros, "max_lon_e7": 10_000_000, "max_lat_e7": 10_000_000}):
        has = metadata_of(pmtiles(ALPS, **header))
        assert all(touches(has.bounds, *place) for place in ALPS)


def test_a_file_too_large_to_be_searched_has_the_worlds_bounds(mbtiles: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mbtiles({(8, x, y): b"\x89PNG\r\n\x1a\n" for x in range(256) for y in range(200, 240)}, bounds="5,45,11,48")
    monkeypatch.setattr("streaming.tiles.sources.mbtiles.BOUNDS_SECONDS", -1)
    monkeypatch.setattr("streaming.tiles.sources.mbtiles._STEPS", 100)
    assert metadata_of(path).bounds == WORLD


# -- databases that are being written ------------------------------------------


@pytest.fixture
def written(mbtiles: Write) -> Iterator[Path]:
    """A database in WAL mode whose writer is still there: what it wrote is only in the journal."""
    path = mbtiles({(0, 0, 0): image("png")})
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = wal")
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO tiles VALUES (1, 0, 0, ?)", [image("png")])
        writer.commit()
        assert path.with_name(path.name + "-wal").stat().st_size
        yield path


def test_a_database_that_is_being_written_is_copied_as_it_is(written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mbtiles"
    MBTilesKind().copy(written, copy)
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.mbtiles"]
    source = MBTilesSource(copy)
    assert (source.metadata.max_zoom, source.render(1, 0, 1)) == (1, image("png"))
    source.close()


def test_a_damaged_database_is_copied_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.mbtiles").write_bytes(b"no database")
    MBTilesKind().copy(tmp_path / "a.mbtiles", tmp_path / "copy.mbtiles")
    assert (tmp_path / "copy.mbtiles").read_bytes() == b"no database"


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()
