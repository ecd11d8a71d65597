"""`manage.py watch` as a process: what it prints, and what it tells the servers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from streaming.core.redis import sync_redis
from streaming.management.commands.watch import describe_change
from streaming.tiles.change_feed import EVERYTHING, ChangedArea, changed_tiles, parse_change, tiles_feed
from streaming.tiles.grid import Tile
from tests.processes import MANAGE, PIPE, Process, Start
from tests.tiles.conftest import PNG, plain, write_raster

Watch = Callable[..., Process]


@pytest.fixture
def watch(beside: dict[str, str], start_process: Start) -> Watch:
    """Starts the command beside this process."""
    return lambda *arguments: start_process(*MANAGE, "watch", *arguments, env=beside, stdout=PIPE, stderr=PIPE)


def line(process: Process) -> str:
    """The next line without its time."""
    assert process.stdout is not None
    return process.stdout.readline()[9:].strip()


def announced(tileset: str) -> list[ChangedArea]:
    """The lines of a tileset's feed."""
    entries = sync_redis().xrange(tiles_feed(tileset).log_key)
    return [parse_change(next(value[13:] for value in fields.values() if value[13:14] == b"{")) for _, fields in entries]


@pytest.fixture
def relief(beside: dict[str, str], tmp_path: Path) -> Path:
    """The file of the tileset `relief`."""
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3))
    call_command("add_tiles", "relief", str(path), verbosity=0)
    return path


@pytest.fixture
def tile(beside: dict[str, str], tmp_path: Path) -> Path:
    """The file of the only tile of a directory, which is no tileset yet."""
    path = tmp_path / "tree" / "0" / "0" / "0.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(PNG)
    os.utime(path, (1, 1))  # who polls sees seconds
    return path


@pytest.fixture
def tree(tile: Path, tmp_path: Path) -> Path:
    """The same, of the tileset `tree`."""
    call_command("add_tiles", "tree", str(tmp_path / "tree"), verbosity=0)
    return tile


def test_it_tells_the_servers_and_prints_a_line(watch: Watch, relief: Path, tree: Path) -> None:
    process = watch()
    assert line(process) == "watching relief, tree"
    write_raster(relief, plain(4, 5, 6))
    assert line(process) == "relief: everything may have changed"
    assert announced("relief") == [EVERYTHING]
    tree.write_bytes(PNG + b"!")
    assert line(process) == "tree: 1 tile changed (0/0/0)"
    assert announced("tree") == [changed_tiles([Tile(0, 0, 0)])]


def test_it_picks_up_tilesets_that_are_added(watch: Watch, tile: Path, tmp_path: Path) -> None:
    process = watch()
    assert line(process) == "watching nothing yet: no tileset has files"
    call_command("add_tiles", "tree", str(tmp_path / "tree"), verbosity=0)
    assert line(process) == "watching tree"
    tile.write_bytes(PNG + b"!")
    assert line(process) == "tree: 1 tile changed (0/0/0)"


def test_only_the_named_ones_are_watched_and_polled_if_so_desired(watch: Watch, relief: Path, tree: Path) -> None:
    process = watch("tree", "--poll", "0.2")
    assert line(process) == "watching tree"
    write_raster(relief, plain(4, 5, 6))
    tree.write_bytes(PNG + b"!")
    assert line(process) == "tree: 1 tile changed (0/0/0)"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well(watch: Watch, sign: signal.Signals) -> None:
    process = watch()
    line(process)
    process.send_signal(sign)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


@pytest.mark.usefixtures("beside")
def test_an_unknown_tileset_is_told() -> None:
    with pytest.raises(CommandError, match="There is no tileset nowhere"):
        call_command("watch", "nowhere")


@pytest.mark.parametrize(
    ("touched", "text"),
    [
        (EVERYTHING, "everything may have changed"),
        (ChangedArea((1.0, 2.0, 3.5, 4.0), range(2, 5)), "from 1,2 to 3.5,4 in the zooms 2 to 4 may have changed"),
        (changed_tiles(Tile(3, 0, y) for y in range(6)), "6 tiles changed (3/0/0, 3/0/1, 3/0/2, 3/0/3, 3/0/4, …)"),
    ],
)
def test_a_line_says_what_is_touched(touched: ChangedArea, text: str) -> None:
    assert describe_change(touched) == text
