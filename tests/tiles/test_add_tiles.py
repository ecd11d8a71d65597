"""`manage.py add_tiles --copy`: files get their place in the data folder only when they are good."""

from __future__ import annotations

import gzip
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from streaming.core.errors import StreamError
from streaming.models import Tileset
from streaming.tiles.grid import Tile, box_text
from streaming.tiles.sources.base import TileMetadata
from streaming.tiles.trial import trial_tiles
from tests.processes import run

from .conftest import EUROPE, PNG, plain, truncate, write_raster


@pytest.fixture(autouse=True)
def engine(transactional_db: None, redis: None, data_dir: Path) -> None:
    pass


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def add(name: str, *sources: Path, **options: Any) -> None:
    call_command("add_tiles", name, *map(str, sources), copy=True, stdout=StringIO(), **options)


def files(data_dir: Path) -> list[str]:
    """All that was copied."""
    return sorted(str(path.relative_to(data_dir)) for path in data_dir.rglob("*") if path.is_file())


def test_a_copy_replaces_the_one_before(data_dir: Path, elsewhere: Path) -> None:
    for value in (1, 2):
        add("relief", write_raster(elsewhere / "a.tif", plain(value)))
    copy = data_dir / "tiles" / "relief" / "a.tif"
    assert copy.read_bytes() == (elsewhere / "a.tif").read_bytes()
    assert files(data_dir) == ["tiles/relief/a.tif"]
    assert Tileset.objects.get().source == str(copy)


def test_what_is_refused_leaves_the_good_copy_as_it_was(data_dir: Path, elsewhere: Path) -> None:
    path = write_raster(elsewhere / "a.tif", plain(1))
    add("relief", path, title="Relief")
    good = path.read_bytes()
    with pytest.raises(CommandError, match=r"a\.tif: "):
        add("relief", truncate(path), title="Broken")
    assert (data_dir / "tiles" / "relief" / "a.tif").read_bytes() == good
    assert files(data_dir) == ["tiles/relief/a.tif"]
    assert Tileset.objects.get().title == "Relief"


def test_a_refused_file_leaves_nothing_behind(data_dir: Path, elsewhere: Path) -> None:
    good, bad = write_raster(elsewhere / "a.tif", plain(1)), truncate(write_raster(elsewhere / "b.tif", plain(1)))
    with pytest.raises(CommandError, match=r"b\.tif: "):
        add("mosaic", good, bad)
    assert not any((data_dir / "tiles").iterdir())
    assert not Tileset.objects.exists()


@pytest.mark.parametrize("name", ["bad name", "../outside", ".."])
def test_nothing_is_copied_for_what_is_no_name(data_dir: Path, elsewhere: Path, name: str) -> None:
    with pytest.raises(CommandError, match="Letters"):
        add(name, write_raster(elsewhere / "a.tif", plain(1)))
    assert not any(data_dir.iterdir())


def test_two_files_of_one_name_are_refused(data_dir: Path, elsewhere: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"called a\.tif"):
        add("mosaic", write_raster(elsewhere / "a.tif", plain(1)), write_raster(tmp_path / "a.tif", plain(2)))
    assert files(data_dir) == []


def test_a_directory_is_replaced_as_a_whole(data_dir: Path, elsewhere: Path) -> None:
    for x in (0, 1):
        column = elsewhere / "1" / str(x)
        column.mkdir(parents=True)
        (column / "0.png").write_bytes(PNG)
        add("pyramid", elsewhere)
        (column / "0.png").unlink()
        column.rmdir()
    assert files(data_dir) == ["tiles/pyramid/elsewhere/1/1/0.png"]


def test_a_file_elsewhere_is_refused_with_a_word_of_copying(elsewhere: Path) -> None:
    with pytest.raises(CommandError, match=r"GEOSTREAM_TILE_ROOTS.*--copy"):
        call_command("add_tiles", "relief", str(write_raster(elsewhere / "a.tif", plain(1))))
    with pytest.raises(CommandError, match="no such file"):
        call_command("add_tiles", "relief", str(elsewhere / "b.tif"))


def test_a_file_that_is_there_already_is_not_copied(data_dir: Path) -> None:
    add("relief", write_raster(data_dir / "a.tif", plain(1)))
    assert files(data_dir) == ["a.tif"]


def output(name: str, *sources: Path, **options: Any) -> tuple[str, str]:
    out, errors = StringIO(), StringIO()
    call_command("add_tiles", name, *map(str, sources), stdout=out, stderr=errors, **options)
    return out.getvalue(), errors.getvalue()


# -- the trial -----------------------------------------------------------------


def test_a_picture_on_which_nothing_can_be_seen_is_warned_of(data_dir: Path) -> None:
    out, errors = output("empty", write_raster(data_dir / "a.tif", plain(9), nodata=9))
    assert "nothing can be seen" in errors
    assert out.startswith("empty: raster")
    assert Tileset.objects.get().name == "empty"


@pytest.mark.parametrize("bounds", [EUROPE, (8.0, 47.0, 8.001, 47.001), (170.0, -10.0, 190.0, 10.0), (0.0, -90.0, 360.0, 90.0)])
def test_a_picture_is_not_warned_of_however_large_it_is(data_dir: Path, bounds: tuple[float, ...]) -> None:
    assert output("some", write_raster(data_dir / "a.tif", plain(9), bounds))[1] == ""


def test_what_cannot_be_drawn_is_not_saved(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise StreamError("invalid_source", "it cannot be drawn")

    monkeypatch.setattr("streaming.tiles.sources.warp.GeoTiff.read", fail)
    with pytest.raises(CommandError, match="cannot be drawn"):
        output("some", write_raster(data_dir / "a.tif", plain(9)))
    assert not Tileset.objects.exists()


def test_a_damaged_tile_of_low_zoom_is_noticed(data_dir: Path, mbtiles: Callable[..., Path]) -> None:
    path = mbtiles({(0, 0, 0): gzip.compress(bytes(1000))[:20]}, "pbf").rename(data_dir / "a.mbtiles")
    with pytest.raises(CommandError, match="truncated"):
        output("some", path)
    assert not Tileset.objects.exists()


@pytest.mark.parametrize(
    ("bounds", "zooms", "tiles"),
    [
        ((-180, -85, 180, 85), (0, 5), [Tile(1, 0, 0), Tile(1, 0, 1), Tile(1, 1, 0), Tile(1, 1, 1)]),
        ((8.1, 47.1, 8.2, 47.2), (0, 5), [Tile(5, 16, 11)]),
        ((8.1, 47.1, 8.2, 47.2), (7, 9), [Tile(9, 267, 179)]),
        ((170, -10, -170, -5), (0, 3), [Tile(3, 7, 4), Tile(3, 0, 4)]),
    ],
)
def test_the_trial_is_of_few_tiles_that_show_all(bounds: Any, zooms: tuple[int, int], tiles: list[Tile]) -> None:
    assert trial_tiles(TileMetadata(bounds, *zooms, "png")) == tiles


# -- what is printed -----------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ((-104.80001, 39.96001, -104.79951, 39.96041), "from -104.80001,39.96001 to -104.79951,39.96041"),
        (EUROPE, "from 0,40 to 20,60"),
        ((-180.0, -85.0511287798066, 180.0, 85.0511287798066), "from -180,-85.05 to 180,85.05"),
        ((179.9991, -1, -179.9992, 1), "from 179.9991,-1 to -179.9992,1"),
        ((0.0, 0.0, 0.0, 0.0), "from 0,0 to 0,0"),
        ((-1e-12, 5, 10, 10), "from 0,5 to 10,10"),
    ],
)
def test_a_field_is_not_a_point(bounds: Any, text: str) -> None:
    assert box_text(bounds) == text


def test_the_bounds_of_a_field_are_printed(data_dir: Path) -> None:
    path = write_raster(data_dir / "a.tif", plain(9), (-104.80001, 39.96001, -104.79951, 39.96041))
    assert "from -104.80001,39.96001 to -104.79951,39.96041" in output("field", path)[0]


def test_no_warning_of_a_library_is_printed(data_dir: Path, tmp_path: Path) -> None:
    """A file upside down, one beyond the map, one without overviews, and one of pixels without a place."""
    paths = [
        write_raster(data_dir / "a.tif", plain(9), (0.0, 60.0, 20.0, 40.0)),
        write_raster(data_dir / "b.tif", plain(9), (-180.0, -90.0, 180.0, 90.0)),
        write_raster(data_dir / "c.tif", plain(9, size=1100)),
    ]
    program = (
        "import django; from django.conf import settings; django.setup(); import sys\n"
        "from pathlib import Path\n"
        "from streaming.tiles.sources.raster import RasterSource\n"
        "for path in sys.argv[1:]: RasterSource([Path(path)]).render(0, 0, 0)\n"
        "print('done')"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    environment.pop("PYTHONWARNINGS", None)
    done = run(sys.executable, "-W", "default", "-c", program, *paths, env=environment)
    assert (done.stdout.strip(), [line for line in done.stderr.splitlines() if "rio_tiler" in line or "rasterio" in line]) == ("done", [])


# -- databases -----------------------------------------------------------------


def test_a_database_that_is_being_written_is_added_with_a_copy(data_dir: Path, mbtiles: Callable[..., Path]) -> None:
    path = mbtiles({(0, 0, 0): PNG})
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = wal")
        writer.execute("INSERT INTO tiles VALUES (1, 0, 0, ?)", [PNG])
        writer.commit()
        assert "zooms 0 to 1" in output("some", path, copy=True)[0]
    assert files(data_dir) == ["tiles/some/some.mbtiles"]


def test_the_journal_of_the_copy_before_is_taken_away(data_dir: Path, mbtiles: Callable[..., Path]) -> None:
    """It would be read as one of the new database."""
    path = mbtiles({(0, 0, 0): PNG})
    output("some", path, copy=True)
    journal = data_dir / "tiles" / "some" / "some.mbtiles-wal"
    journal.write_bytes(b"of the old one")
    output("some", path, copy=True)
    assert not journal.exists()
