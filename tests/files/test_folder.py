"""The folder as a whole: whatever is done to it, the disk, the feed, the index and what clients were told agree."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import pytest

from streaming.core.errors import StreamError
from streaming.core.feed import parse_entries
from streaming.core.follower import Replacement
from streaming.core.items import Change
from streaming.core.redis import close_async_redis, sync_redis
from streaming.engine.runtime import Runtime
from streaming.files.changes import OUTSIDE, Actor
from streaming.files.folder import Folder
from streaming.files.folder_feed import FolderFeed, Step
from streaming.files.folder_index import FolderIndex
from streaming.files.metadata import FileRecord, record_of
from streaming.files.operations import PathFilter, operation_of
from streaming.files.service import FilesService
from tests.core.conftest import Rings, rings
from tests.profiles import examples

__all__ = ["rings"]

ME = Actor("anna", "laptop")
NAMES = ["a", "b", "c.txt", "D"]


def paths(chance: random.Random) -> str:
    return "/".join(chance.choices(NAMES, k=chance.randint(1, 3)))


async def store(folder: Folder, path: str, content: bytes) -> None:
    staged = folder.store.staging.create()
    staged.write(content)
    await folder.upload(path, staged, ME)


async def change(folder: Folder, root: Path, chance: random.Random) -> None:
    """Something at random, also what is refused, and what a program does behind the server's back."""
    kind, path, other = chance.randrange(8), paths(chance), paths(chance)
    if kind <= 2:
        await store(folder, path, b"%d" % chance.randrange(3))
    elif kind == 3:
        await folder.delete(path, ME, recursive=chance.random() < 0.5)
    elif kind <= 5:
        await folder.move(path, other, ME)
    elif kind == 6:
        await folder.make_directory(path, ME)
    else:
        target = root / path
        if target.is_file():
            target.write_bytes(b"behind")
        elif target.parent.is_dir() and not target.exists():
            target.write_bytes(b"new behind")
        await folder.look(path)


def disk(root: Path) -> dict[str, int]:
    found = [path for path in root.rglob("*") if ".hub-" not in str(path.relative_to(root))]
    return {str(path.relative_to(root)): path.stat().st_size for path in found if path.is_file()}


class Copy:
    """What a client has that does as it is told, from an empty folder on."""

    def __init__(self) -> None:
        self.files: dict[str, Any] = {}

    def take(self, operation: dict[str, Any]) -> None:
        ((kind, body),) = operation.items()
        if kind == "Delete":
            del self.files[body["path"]]
        elif kind == "Move":
            self.files[body["to"]] = self.files.pop(body["from"])
        else:
            assert (kind == "Create") == (body["metadata"].path not in self.files)
            self.files[body["metadata"].path] = body["metadata"].hash


class Follower:
    """An observer that applies every change to its copy, through a filter."""

    def __init__(self, folder: Folder, filter: PathFilter) -> None:
        self.copy, self.filter, self._folder = Copy(), filter, folder

    def changed(self, changes: list[Change]) -> None:
        from streaming.core.selection import Steps

        replica = self._folder.index.replica
        for delivery in Steps(replica.epoch, replica.seq, changes, self.filter).run():
            found = operation_of(delivery, self.filter)
            if found is not None:
                self.copy.take(found[0])

    def replaced(self, different: list[Replacement] | None) -> None:
        raise AssertionError("nothing was lost")


@pytest.mark.long_form
@pytest.mark.parametrize("seed", range(examples(6, long=60)))
async def test_everything_agrees_after_random_changes(seed: int, folder: Folder, root: Path) -> None:
    chance = random.Random(seed)
    everything, some = Follower(folder, PathFilter()), Follower(folder, PathFilter(("a",), ("*.txt",)))
    for follower in (everything, some):
        folder.index.replica.observe(follower)  # type: ignore[arg-type]
    for _ in range(60):
        try:
            await change(folder, root, chance)
        except StreamError as error:
            assert error.code in (
                "not_found",
                "exists",
                "is_directory",
                "not_a_directory",
                "not_empty",
                "bad_request",
                "case_conflict",
                "busy",
            )
    await folder.refresh()
    items = folder.index.replica.items
    records = {path: record_of(item) for path, item in items.items()}
    assert {path: record.size for path, record in records.items() if not record.directory} == disk(root)
    assert everything.copy.files == {path: record.hash for path, record in records.items()}
    assert some.copy.files == {path: record.hash for path, record in records.items() if some.filter.allows(path, record.directory)}
    await compare_with_new(folder)


async def compare_with_new(folder: Folder) -> None:
    """The index is as one that is made of what there is now."""
    old, new = folder.index, await FolderIndex(folder.index.replica).build(asyncio.to_thread)
    assert list(old.below("")) == list(new.below(""))
    assert (old.bytes, old.files) == (new.bytes, new.files)
    assert all(old.entries_in(path) == new.entries_in(path) and old.twin(path.upper()) == new.twin(path.upper()) for path in new.below(""))
    new.close()


async def test_everything_agrees_after_changes_at_the_same_time(folder: Folder, root: Path) -> None:
    async def worker(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            with contextlib.suppress(StreamError):
                await change(folder, root, chance)

    await asyncio.gather(*map(worker, range(4)))
    for path in [*disk(root), *folder.index.replica.items]:
        await folder.look(path)
    await folder.refresh()
    assert {path: record.size for path in folder.index.replica.items if not (record := folder.index.record(path)).directory} == disk(root)  # type: ignore[union-attr]
    await compare_with_new(folder)


async def test_a_process_that_died_between_disk_and_feed(folder: Folder, root: Path) -> None:
    """What it wrote is announced by the next one that looks."""
    (root / "dir").mkdir()
    (root / "dir/a.txt").write_bytes(b"written")
    await store(folder, "b.txt", b"b")
    (root / "b.txt").unlink()
    assert (await folder.look("dir/a.txt")) is not None
    assert (await folder.look("b.txt")) is None
    await store(folder, "b.txt", b"again")


async def test_a_redis_that_was_lost(folder: Folder, runtime: Runtime, root: Path, settings: Any) -> None:
    """The disk is the truth: the watcher announces it anew."""
    from streaming.core.redis import sync_redis
    from streaming.files.watcher import Watcher

    await store(folder, "dir/a.txt", b"a")
    await asyncio.to_thread(sync_redis().flushall)
    await folder.refresh()
    assert folder.index.files == 0
    settings.GEOSTREAM_FILES_SETTLE_SECONDS = 0.05
    watcher = Watcher(folder, runtime.hub.node)
    watcher.start()
    async with asyncio.timeout(10):
        while folder.index.record("dir/a.txt") is None:
            await asyncio.sleep(0.01)
    await watcher.stop()


async def test_the_log_is_cut_by_age(folder: Folder) -> None:
    for number in range(3):
        await store(folder, f"{number}", b"x")
    assert await folder.feed.cut(1000.0, 100) == 0
    await store(folder, "later", b"x")
    assert await folder.feed.cut(1050.0, 100) == 0
    assert await folder.feed.cut(1101.0, 100) == 3  # those up to the mark of 1000
    await folder.refresh()
    assert folder.index.files == 4


async def test_another_process_sees_what_was_uploaded(folder: Folder, service: FilesService) -> None:
    """The index of a process shows what all have stored, once it is refreshed."""
    await FolderFeed().write([Step("from/elsewhere", FileRecord(1, "0" * 64, 1))])
    await folder.refresh()
    assert folder.index.is_directory("from") and folder.index.record("from/elsewhere") is not None
    assert OUTSIDE.user == ""


async def test_what_is_written_is_what_is_rung(rings: Rings) -> None:
    """Each step is logged, with who made it, and nobody has to read the log for it."""
    record = FileRecord(1, "0" * 64, 1)
    await FolderFeed().write([Step("a", record), Step("b", record), Step("none", None)])
    await FolderFeed().write([Step("a", None), Step("b", record)])
    logged: Any = sync_redis().xrange(FolderFeed().log_key)
    entries = parse_entries(logged)
    assert [entry for _, ring in rings.heard for entry in ring.entries()] == entries
    assert [entry.key for entry in entries] == ["a", "b", "a", "b"]
    await close_async_redis()
