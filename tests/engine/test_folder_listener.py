"""A thread listens to folders, polls where the system reports nothing, and ends with them."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from streaming.engine.folder_listener import FileEvents, FolderListener, Pace


class Heard:
    """A listener, and what it is told of."""

    def __init__(self, *folders: Path, **options: Any) -> None:
        self.names: asyncio.Queue[set[str]] = asyncio.Queue()
        self.listener = FolderListener(folders, _names, self.names.put_nowait, what="folders of a test", **options)

    async def next(self) -> set[str]:
        return await asyncio.wait_for(self.names.get(), 10)


def _names(events: FileEvents) -> set[str]:
    return {Path(path).name for _, path in events} - {"ignored"}


@pytest.mark.parametrize("poll_seconds", [None, 0.05])
async def test_events_are_read_in_the_thread_and_told_on_the_loop(poll_seconds: float | None, tmp_path: Path) -> None:
    heard = Heard(tmp_path, pace=Pace(poll_seconds=poll_seconds))
    await heard.listener.start()
    (tmp_path / "a").write_text("x")
    assert "a" in await heard.next()
    await heard.listener.stop()
    assert not heard.listener.alive


async def test_what_nothing_is_made_of_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    heard = Heard(tmp_path / "inner")
    await heard.listener.start()
    (tmp_path / "inner/ignored").write_text("x")
    (tmp_path / "inner/a").write_text("x")
    assert await heard.next() == {"a"}
    await heard.listener.stop()


async def test_without_folders_and_with_one_that_is_not_there_it_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folders in ((), (tmp_path / "gone",)):
        heard = Heard(*folders)
        await heard.listener.start()
        await heard.listener.stop()
        assert not heard.listener.alive
    assert not caplog.records


async def test_where_the_system_refuses_it_polls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    watch = watchfiles.watch

    def refusing(*paths: Path, **options: Any) -> Any:
        if not options["force_polling"]:
            raise OSError("OS file watch limit reached")
        return watch(*paths, **options)

    monkeypatch.setattr(watchfiles, "watch", refusing)
    heard = Heard(tmp_path, pace=Pace(fallback_seconds=0.05))
    await heard.listener.start()
    (tmp_path / "a").write_text("x")
    assert "a" in await heard.next()
    assert "OS file watch limit reached" in caplog.text
    shutil.rmtree(tmp_path)
    await heard.listener.stop()
