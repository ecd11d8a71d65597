"""What other programs do in the folder is announced: what they write, rename, delete, and what they did while nobody watched."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.engine.runtime import Runtime
from streaming.files.folder import Folder
from streaming.files.service import FilesService
from tests.dialects.file_sync.peer import FilePeer

from .http_peer import HttpPeer


async def until(condition: Callable[[], object], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def watched(root: Path, settings: Any, runtime: Runtime) -> Folder:
    """The folder, watched by this process."""
    settings.GEOSTREAM_FILES_WATCH = True
    settings.GEOSTREAM_FILES_SETTLE_SECONDS = 0.05
    service = runtime.service(FilesService)
    folder = await service.folder()
    await until(lambda: service.watcher is not None and service.watcher.scans)
    return folder


@pytest.fixture
async def peer(watched: Folder) -> AsyncIterator[FilePeer]:
    peer = await FilePeer().connect()
    await peer.subscribe("watching")
    yield peer
    await peer.close()


async def operations(peer: FilePeer, count: int) -> list[list[str]]:
    """The next announcements, as the vectors write them."""
    found = []
    for _ in range(count):
        ((kind, body),) = (await peer.receive())["operation"].items()
        found.append([kind, *(body.values() if kind == "Move" else [body.get("path") or body["metadata"]["path"]])])
    return found


async def test_files_come_change_and_go(peer: FilePeer, root: Path) -> None:
    (root / "a.txt").write_text("one")
    assert await operations(peer, 1) == [["Create", "a.txt"]]
    (root / "a.txt").write_text("two")
    assert await operations(peer, 1) == [["Update", "a.txt"]]
    (root / "a.txt").unlink()
    assert await operations(peer, 1) == [["Delete", "a.txt"]]
    assert await peer.nothing()


async def test_a_rename_is_a_move(peer: FilePeer, root: Path, watched: Folder) -> None:
    (root / "a.txt").write_text("one")
    await operations(peer, 1)
    (root / "a.txt").rename(root / "b.txt")
    assert await operations(peer, 1) == [["Move", "a.txt", "b.txt"]]
    (root / "b.txt").rename(root / "c.txt")
    (root / "c.txt").write_text("other")
    assert sorted(await operations(peer, 2)) == [["Create", "c.txt"], ["Delete", "b.txt"]]


async def test_an_atomic_replacement_is_an_update(peer: FilePeer, root: Path) -> None:
    (root / "a.txt").write_text("one")
    await operations(peer, 1)
    (root / ".a.txt.tmp").write_text("two")
    (root / ".a.txt.tmp").rename(root / "a.txt")
    assert await operations(peer, 1) == [["Update", "a.txt"]]


async def test_a_touch_is_nothing(peer: FilePeer, root: Path, watched: Folder) -> None:
    (root / "a.txt").write_text("one")
    await operations(peer, 1)
    os.utime(root / "a.txt", (1, 1))
    (root / "b.txt").write_text("two")
    assert await operations(peer, 1) == [["Create", "b.txt"]]
    record = await watched.find("a.txt")
    assert record is not None and record.size == 3
    assert await peer.nothing()


async def test_a_directory_comes_with_what_is_in_it(peer: FilePeer, root: Path, tmp_path: Path) -> None:
    (tmp_path / "s/t").mkdir(parents=True)
    (tmp_path / "s/c.txt").write_text("c")
    (tmp_path / "s/t/e.txt").write_text("e")
    (tmp_path / "s").rename(root / "s")
    assert sorted(await operations(peer, 4)) == [["Create", "s"], ["Create", "s/c.txt"], ["Create", "s/t"], ["Create", "s/t/e.txt"]]
    (root / "s").rename(root / "r")
    moved = await operations(peer, 4)
    assert sorted(moved) == [["Move", "s", "r"], ["Move", "s/c.txt", "r/c.txt"], ["Move", "s/t", "r/t"], ["Move", "s/t/e.txt", "r/t/e.txt"]]
    shutil.rmtree(root / "r")
    assert sorted(await operations(peer, 4)) == [["Delete", "r"], ["Delete", "r/c.txt"], ["Delete", "r/t"], ["Delete", "r/t/e.txt"]]
    assert await peer.nothing()


async def test_a_file_that_is_being_written_waits(peer: FilePeer, root: Path, settings: Any) -> None:
    settings.GEOSTREAM_FILES_SETTLE_SECONDS = 0.3
    with (root / "big.bin").open("wb") as file:
        for _ in range(12):
            file.write(b"x" * 1000)
            file.flush()
            await asyncio.sleep(0.05)
    message = await peer.receive()
    assert message["operation"]["Create"]["metadata"]["size"] == 12_000
    assert await peer.nothing()


async def test_own_uploads_are_announced_once(peer: FilePeer, root: Path, watched: Folder) -> None:
    http = HttpPeer()
    for number in range(5):
        await http.put(f"dir/{number}.txt", b"x" * number, x_client_id="me")
        assert (await peer.receive())["source_client"] == "me"
    (root / "last.txt").write_text("x")
    assert await operations(peer, 1) == [["Create", "last.txt"]]
    assert await peer.nothing()


async def test_links_and_odd_names_are_left_out(peer: FilePeer, root: Path) -> None:
    (root / "link").symlink_to("/etc/passwd")
    (root / "CON").write_text("x")
    (root / "Zu\u0308rich").write_text("x")  # not in Unicode's composed form
    os.mkfifo(root / "pipe")
    (root / "a.txt").write_text("x")
    assert await operations(peer, 1) == [["Create", "a.txt"]]
    assert await peer.nothing()


async def test_what_happened_while_nobody_watched_is_found(root: Path, settings: Any, runtime: Runtime) -> None:
    root.mkdir()
    (root / "before.txt").write_text("x")
    settings.GEOSTREAM_FILES_SETTLE_SECONDS = 0.05
    service = runtime.service(FilesService)
    folder = await service.folder()
    await HttpPeer().put("gone.txt", b"x")
    (root / "gone.txt").unlink()
    settings.GEOSTREAM_FILES_WATCH = True
    from streaming.files.watcher import Watcher

    watcher = Watcher(folder, "node")
    watcher.start()
    try:
        await until(lambda: folder.index.record("before.txt") and not folder.index.record("gone.txt"))
    finally:
        await watcher.stop()


async def test_only_one_process_watches(watched: Folder, service: FilesService, root: Path) -> None:
    from streaming.files.watcher import Watcher

    second = Watcher(watched, "another")
    second.start()
    try:
        await asyncio.sleep(0)
        assert service.watcher is not None and service.watcher.watching and not second.watching
        await service.watcher.stop()
        await until(lambda: second.watching and second.scans)
        (root / "late.txt").write_text("x")
        await until(lambda: watched.index.record("late.txt"))
    finally:
        await second.stop()


async def test_polling_finds_changes_too(root: Path, settings: Any, runtime: Runtime) -> None:
    settings.GEOSTREAM_FILES_WATCH, settings.GEOSTREAM_FILES_POLL_SECONDS = True, 0.05
    settings.GEOSTREAM_FILES_SETTLE_SECONDS = 0.05
    folder = await runtime.service(FilesService).folder()
    (root / "a.txt").write_text("x")
    await until(lambda: folder.index.record("a.txt"))


async def test_many_files_at_once(peer: FilePeer, root: Path, watched: Folder, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(500):
        (tmp_path / f"many/{number:04}").write_bytes(b"%d" % number)
    (tmp_path / "many").rename(root / "many")
    found = await operations(peer, 501)
    assert found[0] == ["Create", "many"]
    assert found[1:] == [["Create", f"many/{number:04}"] for number in range(500)]
    shutil.rmtree(root / "many")
    assert len({path for _, path in await operations(peer, 501)}) == 501
    assert await peer.nothing() and watched.index.files == 0


async def test_a_directory_that_cannot_be_read_is_not_an_empty_one(
    peer: FilePeer, root: Path, watched: Folder, service: FilesService, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "dir/deep").mkdir(parents=True)
    (root / "dir/a.txt").write_text("a")
    (root / "dir/deep/b.txt").write_text("b")
    await operations(peer, 4)
    read = watched.store._entries  # type: ignore[attr-defined]

    def fail(folder: str) -> Any:
        if folder == "dir":
            raise OSError(errno.EIO, "Input/output error")
        return read(folder)

    monkeypatch.setattr(watched.store, "_entries", fail)
    assert service.watcher is not None
    scans = service.watcher.scans
    service.watcher._scan_at = 0.0
    (root / "c.txt").write_text("c")
    assert await operations(peer, 1) == [["Create", "c.txt"]]
    await until(lambda: service.watcher is not None and service.watcher.scans > scans)
    assert await peer.nothing()


async def test_a_folder_that_was_removed_is_not_an_empty_one(peer: FilePeer, root: Path, watched: Folder, service: FilesService) -> None:
    (root / "a.txt").write_text("a")
    await operations(peer, 1)
    shutil.rmtree(root)
    root.mkdir()
    http = HttpPeer()
    answer = await http.get("/api/download?path=a.txt")
    assert (answer.status, answer.code) == (503, "folder_unavailable")
    assert (await http.put("b.txt", b"b")).code == "folder_unavailable"
    assert (await http.request("DELETE", "/api/delete?path=a.txt")).code == "folder_unavailable"
    assert service.watcher is not None
    with pytest.raises(StreamError):
        await service.watcher._settle([""])
    assert await peer.nothing()
    assert list(root.iterdir()) == []


async def test_what_redis_has_lost_is_announced_again(peer: FilePeer, root: Path, watched: Folder) -> None:
    (root / "a.txt").write_text("one")
    (root / "b.txt").write_text("two")
    await operations(peer, 2)
    replica, before = watched.index.replica, watched.index.replica.epoch
    sync_redis().flushall()
    (root / "b.txt").write_text("three")
    await until(lambda: replica.epoch != before and {"a.txt", "b.txt"} <= replica.items.keys())
