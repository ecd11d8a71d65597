"""Watches the files behind tilesets.

A change is noticed within half a second where the system reports changes, else by polling.

Threads receive the events of folders. For each tileset, a task waits until its files are quiet and can be read, so that
no half-copied image is shown, and then reports which tiles have changed. Events may be lost, so the files are also
looked at every few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from streaming.engine.folder_listener import FileEvents, FolderListener, Pace

from .change_feed import ChangedArea
from .source_files import SourceFiles
from .tilesets import TilesetSettings

QUIET_SECONDS = 0.15
"""How long files must not have changed."""
BUSY_SECONDS = 2.0
"""Files that change all the time are read after this time, if they can be."""
UNREADABLE_SECONDS = 5.0
"""Files that cannot be read, and have been quiet for this time, are believed to be damaged."""
SWEEP_SECONDS = 2.0
"""How often files are looked at without an event."""
_DEBOUNCE_MS, _STEP_MS = 150, 50

Tilesets = Callable[[], Mapping[str, TilesetSettings]]
OnChange = Callable[[str, ChangedArea], Awaitable[None]]
Folders = frozenset[tuple[Path, int]]
"""Folders and their inodes: a folder that was replaced is another one."""


class SourceWatcher:
    """Watches the files of some tilesets. `poll_seconds` is for file systems that do not report changes."""

    def __init__(self, poll_seconds: float | None = None) -> None:
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._watched: dict[str, _WatchedTileset] = {}
        self._listeners: dict[bool, tuple[Folders, FolderListener[set[Path]]]] = {}
        self.watching = asyncio.Event()
        """Set while all files of the tilesets are watched."""

    async def run(self, tilesets: Tilesets, on_change: OnChange) -> None:
        """Watch until cancelled.

        `on_change` gets the changed tiles of a tileset, one change after the other for each tileset.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._wake.clear()
                    await self._adapt(tilesets(), on_change, tasks)
                    await self._listen()
                    if not self._wake.is_set():
                        self.watching.set()
                    await _wait(self._wake, SWEEP_SECONDS)
        finally:
            self._watched.clear()
            await asyncio.gather(*(listener.stop() for _, listener in self._listeners.values()))

    def refresh(self) -> None:
        """Call this when other tilesets are to be watched."""
        self.watching.clear()
        self._wake.set()

    async def _adapt(self, tilesets: Mapping[str, TilesetSettings], on_change: OnChange, tasks: asyncio.TaskGroup) -> None:
        for name, watched in list(self._watched.items()):
            if tilesets.get(name) != watched.files.tileset:
                watched.task.cancel()
                del self._watched[name]
        for name, tileset in tilesets.items():
            if name not in self._watched and tileset.source_kind.has_files:
                files = await asyncio.to_thread(SourceFiles, tileset)
                watched = _WatchedTileset(files, on_change, self._poll_seconds or SWEEP_SECONDS)
                watched.task = tasks.create_task(watched.run())
                self._watched[name] = watched

    async def _listen(self) -> None:
        """Listen to the folders of now; those of before are left only afterwards."""
        found = await asyncio.to_thread(_folders, [watched.files for watched in self._watched.values()])
        for recursive, folders in found.items():
            old = self._listeners.get(recursive)
            if old is None or old[0] != folders:
                new = self._listener([path for path, _ in folders], recursive)
                self._listeners[recursive] = folders, new
                await new.start()
                if old is not None:
                    await old[1].stop()
                for watched in self._watched.values():
                    watched.notify(set())  # files may have changed before

    def _listener(self, folders: list[Path], recursive: bool) -> FolderListener[set[Path]]:
        pace = Pace(_DEBOUNCE_MS, _STEP_MS, self._poll_seconds, SWEEP_SECONDS)
        return FolderListener(folders, _paths, self._on_events, what="folders of tilesets", pace=pace, recursive=recursive)

    def _on_events(self, paths: set[Path]) -> None:
        for watched in self._watched.values():
            watched.notify(paths)
        if any(path.is_dir() for path in paths):  # perhaps one that is to be watched
            self._wake.set()


@dataclass(slots=True)
class _WatchedTileset:
    """One tileset whose files are watched."""

    files: SourceFiles
    on_change: OnChange
    sweep_seconds: float
    paths: set[Path] = field(default_factory=set)
    notified: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] = field(init=False)

    def notify(self, paths: set[Path]) -> None:
        """Something happened to these paths."""
        self.paths |= paths
        self.notified.set()

    async def run(self) -> None:
        """Report changes until cancelled."""
        while True:
            await _wait(self.notified, self.sweep_seconds)
            if await self._has_changed():
                await self._until_quiet()
                paths, self.paths = self.paths, set()
                area = await asyncio.to_thread(self.files.take_change, paths)
                if area is not None:
                    await self.on_change(self.files.tileset.name, area)

    async def _has_changed(self) -> bool:
        self.notified.clear()
        paths, self.paths = self.paths, set()
        self.paths |= await asyncio.to_thread(self.files.relevant, paths)
        return bool(self.paths) or await asyncio.to_thread(self.files.changed)

    async def _until_quiet(self) -> None:
        """Wait until the files do not change any more and can be read, but not for ever."""
        before = await asyncio.to_thread(self.files.stamps, self.paths)
        began = still_since = time.monotonic()
        pause = QUIET_SECONDS
        while True:
            await asyncio.sleep(pause)
            await self._has_changed()
            now, stamps = time.monotonic(), await asyncio.to_thread(self.files.stamps, self.paths)
            if stamps != before:
                before, still_since = stamps, now
                if now - began < BUSY_SECONDS:
                    continue
            if now - still_since > UNREADABLE_SECONDS or await asyncio.to_thread(self.files.can_be_opened):
                return
            pause = UNREADABLE_SECONDS / 10


def _paths(events: FileEvents) -> set[Path]:
    """A folder counts as modified when a file in it comes or goes, but that file has an event of its own."""
    return {Path(path) for change, path in events if change != watchfiles.Change.modified or not Path(path).is_dir()}


def _folders(tilesets: list[SourceFiles]) -> dict[bool, Folders]:
    """The folders whose direct entries count, and (True) those where everything below counts."""
    found: dict[bool, set[tuple[Path, int]]] = {False: set(), True: set()}
    for files in tilesets:
        for recursive, folders in zip((False, True), files.folders(), strict=True):
            for folder in folders:
                with suppress(OSError):
                    found[recursive].add((folder, folder.stat().st_ino))
    return {recursive: frozenset(folders) for recursive, folders in found.items()}


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, so long at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
