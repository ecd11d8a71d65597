"""`manage.py add_tiles --copy`: files get their place in the data folder only when they are good."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from streaming.models import Tileset

from .conftest import PNG, plain, truncate, write_raster


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
