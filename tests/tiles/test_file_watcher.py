"""Changed source files are noticed, once they are whole, and only those."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from streaming.tiles import file_watcher
from streaming.tiles.change_feed import EVERYTHING, ChangedArea, changed_tiles
from streaming.tiles.file_watcher import SourceWatcher
from streaming.tiles.grid import Tile
from streaming.tiles.tilesets import TilesetSettings

from .conftest import PNG, plain, write_raster
from .test_source_files import EAST, box_of, painted, tileset

WITHIN = 10.0
"""A machine that is busy with other tests is slow."""


class Watched:
    """A watcher of some tilesets, and the changes it reports."""

    def __init__(self, *tilesets: TilesetSettings, poll_seconds: float | None = None) -> None:
        self.tilesets = {one.name: one for one in tilesets}
        self.watcher = SourceWatcher(poll_seconds)
        self._changes: asyncio.Queue[tuple[str, ChangedArea]] = asyncio.Queue()

    async def __call__(self, name: str, area: ChangedArea) -> None:
        await self._changes.put((name, area))

    async def next(self) -> tuple[str, ChangedArea]:
        return await asyncio.wait_for(self._changes.get(), WITHIN)

    async def watch(self, *tilesets: TilesetSettings) -> None:
        self.tilesets = {one.name: one for one in tilesets}
        self.watcher.refresh()
        await self.watcher.watching.wait()

    def nothing(self) -> bool:
        return self._changes.empty()


@asynccontextmanager
async def watching(*tilesets: TilesetSettings, poll_seconds: float | None = None) -> AsyncIterator[Watched]:
    found = Watched(*tilesets, poll_seconds=poll_seconds)
    running = asyncio.create_task(found.watcher.run(lambda: found.tilesets, found))
    await asyncio.wait_for(found.watcher.watching.wait(), WITHIN)
    yield found
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.fixture(autouse=True)
def no_sweeps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test sees came as an event, and was not found by looking."""
    monkeypatch.setattr(file_watcher, "SWEEP_SECONDS", 600.0)
    yield


@pytest.fixture
def raster(data_dir: Path) -> Path:
    return write_raster(data_dir / "a.tif", plain(1, 2, 3))


@pytest.fixture
def tree(data_dir: Path) -> Path:
    for place in ("0/0/0.png", "3/4/5.png", "3/4/6.png"):
        path = data_dir / "tree" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
        os.utime(path, (1e9, 1e9))  # not in the second in which the test changes it
    return data_dir / "tree"


async def test_a_file_that_is_written_to_is_reported_within_a_second(raster: Path) -> None:
    async with watching(tileset("raster", "a.tif")) as changes:
        started = time.monotonic()
        write_raster(raster, plain(4, 5, 6))
        assert await changes.next() == ("some", EVERYTHING)
        assert time.monotonic() - started < 1
        write_raster(raster, plain(7, 8, 9))
        assert await changes.next() == ("some", EVERYTHING)


async def test_a_file_that_is_replaced_is_reported(raster: Path, tmp_path: Path) -> None:
    async with watching(tileset("raster", "a.tif")) as changes:
        for shade in (4, 5):
            write_raster(tmp_path / "new.tif", plain(shade, shade, shade)).replace(raster)
            assert await changes.next() == ("some", EVERYTHING)


async def test_a_file_that_goes_and_comes_back_is_reported(raster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watcher, "UNREADABLE_SECONDS", 0.3)
    async with watching(tileset("raster", "a.tif")) as changes:
        raster.unlink()
        assert await changes.next() == ("some", EVERYTHING)
        write_raster(raster, plain(4, 5, 6))
        assert await changes.next() == ("some", EVERYTHING)


async def test_a_file_that_is_not_there_yet_is_reported_when_it_comes(data_dir: Path) -> None:
    async with watching(tileset("raster", "a.tif")) as changes:
        write_raster(data_dir / "a.tif", plain(4, 5, 6))
        assert await changes.next() == ("some", EVERYTHING)


async def test_a_half_copied_file_is_not_reported_before_it_is_whole(raster: Path, tmp_path: Path, noise: Any) -> None:
    data, whole = write_raster(tmp_path / "new.tif", noise).read_bytes(), False
    async with watching(tileset("raster", "a.tif")) as changes:

        async def copy() -> None:
            nonlocal whole
            with raster.open("wb") as file:
                for start in range(0, len(data), len(data) // 4 + 1):
                    file.write(data[start : start + len(data) // 4 + 1])
                    whole = file.tell() == len(data)
                    file.flush()
                    await asyncio.sleep(0.4)  # quiet for long enough to be looked at

        copying = asyncio.create_task(copy())
        await changes.next()
        assert whole
        await copying


async def test_a_damaged_file_is_reported_in_the_end(raster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watcher, "UNREADABLE_SECONDS", 0.3)
    async with watching(tileset("raster", "a.tif")) as changes:
        raster.write_bytes(b"no image")
        assert await changes.next() == ("some", EVERYTHING)


async def test_a_file_that_changes_all_the_time_is_reported_all_the_same(
    data_dir: Path, mbtiles: Callable[..., Path], monkeypatch: Any
) -> None:
    monkeypatch.setattr(file_watcher, "BUSY_SECONDS", 0.5)
    path = mbtiles({(0, 0, 0): PNG}).rename(data_dir / "a.mbtiles")
    async with watching(tileset("mbtiles", "a.mbtiles")) as changes:

        async def write() -> None:
            for number in range(1_000_000):
                with sqlite3.connect(path, timeout=WITHIN) as writer:
                    writer.execute("UPDATE tiles SET tile_data = ?", [str(number).encode()])
                writer.close()
                await asyncio.sleep(0.05)

        writing = asyncio.create_task(write())
        assert await changes.next() == ("some", EVERYTHING)
        writing.cancel()


async def test_another_end_of_a_link_is_reported(data_dir: Path) -> None:
    for name in ("monday", "tuesday"):
        (data_dir / name).mkdir()
        write_raster(data_dir / name / "image.tif", plain(1, 2, 3))
    (data_dir / "latest.tif").symlink_to(data_dir / "monday" / "image.tif")
    async with watching(tileset("raster", "latest.tif")) as changes:
        (data_dir / "next.tif").symlink_to(data_dir / "tuesday" / "image.tif")
        (data_dir / "next.tif").replace(data_dir / "latest.tif")
        assert await changes.next() == ("some", EVERYTHING)


async def test_tiles_of_a_directory_are_reported_one_by_one(tree: Path) -> None:
    async with watching(tileset("directory", "tree")) as changes:
        (tree / "3" / "4" / "5.png").write_bytes(PNG + b"!")
        assert await changes.next() == ("some", changed_tiles([Tile(3, 4, 5)]))
        (tree / "3" / "4" / "6.png").unlink()
        assert await changes.next() == ("some", changed_tiles([Tile(3, 4, 6)]))


async def test_a_new_column_of_a_directory_is_reported(tree: Path) -> None:
    async with watching(tileset("directory", "tree")) as changes:
        (tree / "3" / "6").mkdir()
        (tree / "3" / "6" / "2.png").write_bytes(PNG)
        _, area = await changes.next()
        assert Tile(3, 6, 2) in area
        assert Tile(0, 0, 0) not in area


async def test_a_directory_that_is_replaced_is_reported_and_watched_further(tree: Path, data_dir: Path) -> None:
    shutil.copytree(tree, data_dir / "next")
    async with watching(tileset("directory", "tree")) as changes:
        tree.rename(data_dir / "old")
        (data_dir / "next").rename(tree)
        assert (await changes.next())[1] == EVERYTHING
        await changes.watch(*changes.tilesets.values())
        (tree / "3" / "4" / "5.png").write_bytes(PNG + b"!")
        assert Tile(3, 4, 5) in (await changes.next())[1]


async def test_painted_images_are_reported_also_the_first(raster: Path, data_dir: Path) -> None:
    async with watching(tileset("raster", "a.tif")) as changes:
        await changes.watch(tileset("raster", "a.tif"))
        first = painted(data_dir, 1, EAST)
        await changes.watch(tileset("raster", "a.tif"))
        assert box_of((await changes.next())[1]) == EAST
        first.unlink()
        assert box_of((await changes.next())[1]) == EAST


async def test_files_beside_it_mean_nothing(raster: Path, data_dir: Path) -> None:
    async with watching(tileset("raster", "a.tif")) as changes:
        write_raster(data_dir / "b.tif", plain(1, 2, 3))
        (data_dir / "a.tif.part").touch()
        raster.chmod(0o644)
        os.utime(raster.parent)
        write_raster(raster, plain(4, 5, 6), EAST)
        await changes.next()
        assert changes.nothing()


async def test_only_the_tileset_of_the_file_is_reported(raster: Path, data_dir: Path) -> None:
    write_raster(data_dir / "b.tif", plain(1, 2, 3))
    async with watching(tileset("raster", "a.tif", name="a"), tileset("raster", "b.tif", name="b")) as changes:
        write_raster(data_dir / "b.tif", plain(4, 5, 6))
        assert await changes.next() == ("b", EVERYTHING)
        write_raster(data_dir / "a.tif", plain(4, 5, 6))
        assert await changes.next() == ("a", EVERYTHING)
        assert changes.nothing()


async def test_tilesets_come_and_go(raster: Path, data_dir: Path) -> None:
    (data_dir / "far").mkdir()
    far = write_raster(data_dir / "far" / "b.tif", plain(1, 2, 3))
    near, other = tileset("raster", "a.tif", name="a"), tileset("raster", "far/b.tif", name="b")
    async with watching(near) as changes:
        await changes.watch(near, other)
        write_raster(far, plain(4, 5, 6))
        assert await changes.next() == ("b", EVERYTHING)
        await changes.watch(other)
        write_raster(raster, plain(4, 5, 6))
        write_raster(far, plain(7, 8, 9))
        assert await changes.next() == ("b", EVERYTHING)
        assert changes.nothing()


async def test_without_files_nothing_is_reported(data_dir: Path) -> None:
    async with watching(tileset("layer", "things"), tileset("pushed")) as changes:
        assert changes.nothing()


async def test_a_change_without_an_event_is_found_by_looking(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watcher, "SWEEP_SECONDS", 0.1)
    async with watching(tileset("raster", "later/a.tif")) as changes:
        (data_dir / "later").mkdir()
        write_raster(data_dir / "later" / "a.tif", plain(1, 2, 3))
        assert await changes.next() == ("some", EVERYTHING)


async def test_polling_finds_tiles_of_a_directory(tree: Path) -> None:
    async with watching(tileset("directory", "tree"), poll_seconds=0.1) as changes:
        for more in (b"!", b"??"):  # twice in a second, which is as fine as the library polls
            (tree / "3" / "4" / "5.png").write_bytes(PNG + more)
            assert await changes.next() == ("some", changed_tiles([Tile(3, 4, 5)]))


async def test_where_the_system_cannot_watch_it_polls(tree: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(file_watcher, "SWEEP_SECONDS", 0.1)
    watch = watchfiles.watch

    def refusing(*paths: Path, **options: Any) -> Any:
        if not options["force_polling"]:
            raise OSError("OS file watch limit reached")
        return watch(*paths, **options)

    monkeypatch.setattr(watchfiles, "watch", refusing)
    async with watching(tileset("directory", "tree")) as changes:
        (tree / "3" / "4" / "5.png").write_bytes(PNG + b"!")
        assert await changes.next() == ("some", changed_tiles([Tile(3, 4, 5)]))
    assert "OS file watch limit reached" in caplog.text
