"""`manage.py watch` as a process: what it prints, and what it tells the servers."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from streaming.management.commands.watch import describe_change
from streaming.server.embedded_redis import RedisService
from streaming.tiles.change_feed import EVERYTHING, ChangedArea, changed_tiles, parse_change
from streaming.tiles.grid import Tile
from tests.processes import MANAGE, PIPE, Process, Start, site_environment
from tests.tiles.conftest import PNG, plain, write_raster

Manage = Callable[..., Process]


@pytest.fixture
def site(tmp_path: Path, migrated_database: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    return folder


@pytest.fixture
def manage(site: Path, own_redis: RedisService, start_process: Start) -> Manage:
    """Starts commands on a site of the test's own."""
    environment = site_environment(site, own_redis.url)
    return lambda *arguments: start_process(*MANAGE, *arguments, env=environment, stdout=PIPE, stderr=PIPE)


def line(process: Process) -> str:
    """The next line without its time."""
    assert process.stdout is not None
    return process.stdout.readline()[9:].strip()


def announced(own_redis: RedisService, tileset: str) -> list[ChangedArea]:
    """The lines of a tileset's feed."""
    with redis.Redis.from_url(own_redis.url) as client:
        (key,) = [key for key in client.scan_iter() if f"tiles:{tileset}".encode() in key and client.type(key) == b"stream"]
        return [parse_change(next(value[13:] for value in fields.values() if value[13:14] == b"{")) for _, fields in client.xrange(key)]


def add(manage: Manage, *arguments: str) -> None:
    process = manage("add_tiles", *arguments)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


@pytest.fixture
def tree(site: Path) -> Path:
    tile = site / "tree" / "0" / "0" / "0.png"
    tile.parent.mkdir(parents=True)
    tile.write_bytes(PNG)
    return site / "tree"


def test_it_tells_the_servers_and_prints_a_line(manage: Manage, site: Path, tree: Path, own_redis: RedisService) -> None:
    add(manage, "relief", str(write_raster(site / "a.tif", plain(1, 2, 3))))
    add(manage, "tree", str(tree))
    process = manage("watch")
    assert line(process) == "watching relief, tree"
    write_raster(site / "a.tif", plain(4, 5, 6))
    assert line(process) == "relief: everything may have changed"
    assert announced(own_redis, "relief") == [EVERYTHING]
    (tree / "0" / "0" / "0.png").write_bytes(PNG + b"!")
    assert line(process) == "tree: 1 tile changed (0/0/0)"
    assert announced(own_redis, "tree") == [changed_tiles([Tile(0, 0, 0)])]


def test_it_picks_up_tilesets_that_are_added(manage: Manage, site: Path, tree: Path) -> None:
    process = manage("watch")
    assert line(process) == "watching nothing yet: no tileset has files"
    add(manage, "tree", str(tree))
    assert line(process) == "watching tree"
    (tree / "0" / "0" / "0.png").write_bytes(PNG + b"!")
    assert line(process) == "tree: 1 tile changed (0/0/0)"


def test_only_the_named_ones_are_watched_and_polled_if_so_desired(manage: Manage, site: Path, tree: Path) -> None:
    add(manage, "relief", str(write_raster(site / "a.tif", plain(1, 2, 3))))
    add(manage, "tree", str(tree))
    process = manage("watch", "tree", "--poll", "0.2")
    assert line(process) == "watching tree"
    write_raster(site / "a.tif", plain(4, 5, 6))
    (tree / "0" / "0" / "0.png").write_bytes(PNG + b"!")
    assert line(process) == "tree: 1 tile changed (0/0/0)"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well(manage: Manage, sign: signal.Signals) -> None:
    process = manage("watch")
    line(process)
    process.send_signal(sign)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_an_unknown_tileset_is_told(manage: Manage) -> None:
    process = manage("watch", "nowhere")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "There is no tileset nowhere" in errors and "Traceback" not in errors


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
