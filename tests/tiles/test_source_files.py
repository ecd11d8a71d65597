"""What the files behind a tileset are, and which tiles a change of them changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streaming.tiles.change_feed import EVERYTHING, ChangedArea, changed_tiles
from streaming.tiles.grid import WORLD, Tile
from streaming.tiles.source_files import MAX_TILES, SourceFiles, changes_in_directory, source_paths
from streaming.tiles.tilesets import TilesetSettings

from .conftest import PNG, plain, write_raster

ROOT = Path("/tiles")
WEST, EAST, NORTH = (0.0, 40.0, 5.0, 45.0), (10.0, 40.0, 15.0, 45.0), (0.0, 50.0, 5.0, 60.0)


def tileset(kind: str, *sources: object, name: str = "some") -> TilesetSettings:
    return TilesetSettings(name, name, kind, tuple(map(str, sources)))


def painted(data_dir: Path, stamp: int, bounds: tuple[float, ...], tileset: str = "some") -> Path:
    folder = data_dir / "imagery" / tileset
    folder.mkdir(parents=True, exist_ok=True)
    return write_raster(folder / f"{stamp:020d}-0123-image.tif", plain(1, 2, 3), bounds)


def box_of(area: ChangedArea | None) -> Any:
    assert area is not None and area.box is not None
    return pytest.approx(area.box)


def test_files_are_named_whether_they_are_there_or_not(data_dir: Path) -> None:
    (data_dir / "there.tif").touch()
    assert source_paths(tileset("raster", "there.tif", "gone.tif")) == [data_dir / "there.tif", data_dir / "gone.tif"]


def test_of_a_link_both_ends_are_named(data_dir: Path) -> None:
    (data_dir / "new").mkdir()
    (data_dir / "latest.tif").symlink_to(data_dir / "new" / "2026.tif")
    assert source_paths(tileset("raster", "latest.tif")) == [data_dir / "latest.tif", data_dir / "new" / "2026.tif"]


def test_files_elsewhere_are_not_named(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "link.tif").symlink_to(tmp_path / "outside.tif")
    assert source_paths(tileset("raster", tmp_path / "outside.tif", "../outside.tif", "link.tif")) == []


def test_layers_and_pushed_tiles_have_no_files(data_dir: Path) -> None:
    assert source_paths(tileset("layer", "things")) == source_paths(tileset("pushed")) == []


def test_nothing_changed(data_dir: Path) -> None:
    write_raster(data_dir / "a.tif", plain(1, 2, 3))
    files = SourceFiles(tileset("raster", "a.tif"))
    assert not files.changed()
    assert files.take_change([data_dir / "a.tif"]) is None


def test_a_replaced_file_changes_everything_once(data_dir: Path) -> None:
    write_raster(data_dir / "a.tif", plain(1, 2, 3))
    files = SourceFiles(tileset("raster", "a.tif"))
    write_raster(data_dir / "a.tif", plain(4, 5, 6), WEST)
    assert files.changed()
    assert files.take_change([]) == EVERYTHING
    assert files.take_change([]) is None


def test_a_file_of_a_mosaic_changes_where_it_was_and_where_it_is(data_dir: Path) -> None:
    write_raster(data_dir / "a.tif", plain(1, 2, 3), WEST)
    write_raster(data_dir / "b.tif", plain(1, 2, 3), NORTH)
    files = SourceFiles(tileset("raster", "a.tif", "b.tif"))
    write_raster(data_dir / "a.tif", plain(4, 5, 6), EAST)
    assert box_of(files.take_change([])) == (0, 40, 15, 45)
    write_raster(data_dir / "a.tif", plain(7, 8, 9), EAST)
    assert box_of(files.take_change([])) == EAST


def test_a_damaged_file_of_a_mosaic_changes_everything(data_dir: Path) -> None:
    write_raster(data_dir / "a.tif", plain(1, 2, 3), WEST)
    write_raster(data_dir / "b.tif", plain(1, 2, 3), NORTH)
    files = SourceFiles(tileset("raster", "a.tif", "b.tif"))
    (data_dir / "a.tif").write_bytes(b"no image")
    assert files.take_change([]) == EVERYTHING


def test_painted_images_change_where_they_are_when_they_come_and_go(data_dir: Path) -> None:
    write_raster(data_dir / "a.tif", plain(1, 2, 3))
    files = SourceFiles(tileset("raster", "a.tif"))
    image = painted(data_dir, 1, EAST)
    assert box_of(files.take_change([])) == EAST
    painted(data_dir, 2, NORTH)
    assert box_of(files.take_change([])) == NORTH
    image.unlink()
    assert box_of(files.take_change([])) == EAST


def test_only_files_that_can_be_read_can_be_opened(data_dir: Path) -> None:
    path = write_raster(data_dir / "a.tif", plain(1, 2, 3, size=256))
    files = SourceFiles(tileset("raster", "a.tif"))
    assert files.can_be_opened()
    path.write_bytes(path.read_bytes()[:5000])
    assert not files.can_be_opened()


def test_a_journal_counts_as_the_database(data_dir: Path, mbtiles: Callable[..., Path]) -> None:
    path = mbtiles({(0, 0, 0): PNG}).rename(data_dir / "a.mbtiles")
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = wal")
    files = SourceFiles(tileset("mbtiles", "a.mbtiles"))
    reader = sqlite3.connect(path)
    reader.execute("SELECT * FROM tiles").fetchall()
    assert files.take_change([]) is None
    writer.execute("UPDATE tiles SET tile_data = x'00'")
    writer.commit()
    assert files.take_change([]) == EVERYTHING
    reader.close()
    writer.close()


@pytest.mark.parametrize(
    ("changed", "area"),
    [
        (["3/4/5.png", "0/0/0.png"], changed_tiles([Tile(3, 4, 5), Tile(0, 0, 0)])),
        (["3/4/5.png", "metadata.json", "4", "a/b/c/d.png"], ChangedArea(WORLD, range(3, 5))),
        (["3/4/5.png.part", "metadata.json", "3/9/1.png", "99/1/1.png", "-1/0/0.png", "²/0/0.png"], None),
        (["2/3"], ChangedArea((90.0, WORLD[1], 180.0, WORLD[3]), range(2, 3))),
        ([""], EVERYTHING),
        (["../other/1/1/1.png"], None),
    ],
)
def test_paths_of_a_directory_are_tiles(changed: list[str], area: ChangedArea | None) -> None:
    assert changes_in_directory([ROOT], [Path("/tiles", each) for each in changed]) == area


def test_very_many_tiles_are_announced_as_a_box() -> None:
    area = changes_in_directory([ROOT], [ROOT / "12" / str(2048 + n % 40) / f"{2048 + n // 40}.png" for n in range(MAX_TILES + 1)])
    assert area is not None and area.tiles is None
    assert Tile(12, 2048, 2048) in area and Tile(12, 2060, 2060) in area
    assert Tile(12, 2010, 2048) not in area and Tile(11, 1024, 1024) not in area


def test_another_folder_in_its_place_changes_everything(data_dir: Path) -> None:
    (data_dir / "tree" / "0").mkdir(parents=True)
    files = SourceFiles(tileset("directory", "tree"))
    assert files.take_change([data_dir / "tree" / "0" / "0" / "0.png"]) == changed_tiles([Tile(0, 0, 0)])
    (data_dir / "tree").rename(data_dir / "old")
    (data_dir / "tree").mkdir()
    assert files.take_change([]) == EVERYTHING
