"""Watches the files behind tilesets.

A change is noticed within half a second where the system reports changes, else by polling.

Threads receive the events of folders. For each tileset, a task waits until its files are quiet and can be read, so that
no half-copied image is shown, and then reports which tiles have changed. Events may be lost, so the files are also
looked at every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from .change_feed import ChangedArea
from .source_files import SourceFiles
from .tilesets import TilesetSettings

logger = logging.getLogger(__name__)

QUIET_SECONDS = 0.15
"""How long files must not have changed."""
BUSY_SECONDS = 2.0
"""Files that change all the time are read after this time, if they can be."""
UNREADABLE_SECONDS = 5.0
"""Files that cannot be read, and have been quiet for this time, are believed to be damaged."""
SWEEP_SECONDS = 2.0
"""How often files are looked at without an event."""
_DEBOUNCE_MS, _STEP_MS, _ROUND_MS = 150, 50, 250

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
        self._listeners: dict[bool, _FolderListener] = {}
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
            await self._stop(list(self._listeners.values()))

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
            if old is None or old.folders != folders:
                new = _FolderListener(folders, recursive, self._poll_seconds, self._on_events)
                self._listeners[recursive] = new
                await new.start()
                await self._stop([old] if old else [])
                for watched in self._watched.values():
                    watched.notify(set())  # files may have changed before

    async def _stop(self, listeners: list[_FolderListener]) -> None:
        for listener in listeners:
            listener.stop()
        for listener in listeners:
            await asyncio.to_thread(listener.join)

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


class _FolderListener:
    """A thread that receives the events of folders; `recursive`: also those of everything below."""

    def __init__(self, folders: Folders, recursive: bool, poll_seconds: float | None, on_events: Callable[[set[Path]], None]) -> None:
        self.folders = folders
        self._recursive, self._poll_seconds, self._on_events = recursive, poll_seconds, on_events
        self._loop = asyncio.get_running_loop()
        self._listening = asyncio.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tile-watcher", daemon=True)

    async def start(self) -> None:
        """Begin, and wait until events are received."""
        self._thread.start()
        await self._listening.wait()

    def stop(self) -> None:
        """End soon."""
        self._end.set()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _run(self) -> None:
        try:
            try:
                self._listen(polling=self._poll_seconds is not None)
            except FileNotFoundError:  # the next sweep finds other folders
                return
            except (OSError, RuntimeError) as error:  # RuntimeError is watchfiles' own
                # Too many folders for the system, or a network file system.
                logger.warning("files are looked at every %s s, for the system does not report their changes: %s", SWEEP_SECONDS, error)
                self._listen(polling=True)
        except (OSError, RuntimeError) as error:
            logger.warning("folders of tilesets cannot be watched: %s", error)
        finally:
            self._call(self._listening.set)

    def _listen(self, polling: bool) -> None:
        rounds = watchfiles.watch(
            *(path for path, _ in self.folders),
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=self._end,
            rust_timeout=_ROUND_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=polling,
            poll_delay_ms=int((self._poll_seconds or SWEEP_SECONDS) * 1000),
            recursive=self._recursive,
            ignore_permission_denied=True,
        )
        for changes in rounds if self.folders else ():
            self._call(self._listening.set)
            # A folder counts as modified when a file in it comes or goes, but that file has an event of its own.
            paths = {Path(path) for change, path in changes if change != watchfiles.Change.modified or not Path(path).is_dir()}
            if paths:
                self._call(self._on_events, paths)

    def _call(self, call: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)


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
