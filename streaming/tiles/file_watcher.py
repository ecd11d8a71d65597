"""Notices that the files behind tilesets have changed, within half a second where the system tells of changes, else by looking.

Threads hear of what happens in the folders; for each tileset a task waits until its files are quiet and can be read, so that no half-copied
image is shown, and then says what is touched. It never relies on being told: every few seconds it looks at the files itself.
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
"""How long files must have stayed as they are."""
BUSY_SECONDS = 2.0
"""Files that never come to rest are looked at after this time, if they can be read."""
UNREADABLE_SECONDS = 5.0
"""Files that cannot be read are believed to be damaged when they have been quiet for this time."""
SWEEP_SECONDS = 2.0
"""How often files are looked at though nothing was heard."""
_DEBOUNCE_MS, _STEP_MS, _ROUND_MS = 150, 50, 250

Wanted = Callable[[], Mapping[str, TilesetSettings]]
Changed = Callable[[str, ChangedArea], Awaitable[None]]
Folders = frozenset[tuple[Path, int]]
"""Folders and their inodes: one that was replaced is another one."""


class SourceWatcher:
    """Watches the files of the tilesets that are wanted at the moment. `poll_seconds` is for file systems that do not tell of changes."""

    def __init__(self, poll_seconds: float | None = None) -> None:
        self._poll_seconds = poll_seconds
        self._poked = asyncio.Event()
        self._watched: dict[str, _Watched] = {}
        self._listeners: dict[bool, _Listener] = {}
        self.watching = asyncio.Event()
        """Set while all that is wanted is watched."""

    async def run(self, wanted: Wanted, changed: Changed) -> None:
        """Until cancelled: tells `changed` what is touched of which tileset, one after the other for each."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._poked.clear()
                    await self._adapt(wanted(), changed, tasks)
                    await self._listen()
                    if not self._poked.is_set():
                        self.watching.set()
                    await _set_within(self._poked, SWEEP_SECONDS)
        finally:
            self._watched.clear()
            await self._stop(list(self._listeners.values()))

    def refresh(self) -> None:
        """Other tilesets are wanted."""
        self.watching.clear()
        self._poked.set()

    async def _adapt(self, wanted: Mapping[str, TilesetSettings], changed: Changed, tasks: asyncio.TaskGroup) -> None:
        for name, watched in list(self._watched.items()):
            if wanted.get(name) != watched.files.tileset:
                watched.task.cancel()
                del self._watched[name]
        for name, tileset in wanted.items():
            if name not in self._watched and tileset.kind not in ("layer", "pushed"):
                watched = _Watched(await asyncio.to_thread(SourceFiles, tileset), changed, self._poll_seconds or SWEEP_SECONDS)
                watched.task = tasks.create_task(watched.run())
                self._watched[name] = watched

    async def _listen(self) -> None:
        """Listen in the folders that there are now, from before it ends in those that there were."""
        found = await asyncio.to_thread(_folders, [watched.files for watched in self._watched.values()])
        for recursive, folders in found.items():
            old = self._listeners.get(recursive)
            if old is None or old.folders != folders:
                new = _Listener(folders, recursive, self._poll_seconds, self._heard)
                self._listeners[recursive] = new
                await new.start()
                await self._stop([old] if old else [])
                for watched in self._watched.values():
                    watched.stir(set())  # what happened before anybody listened

    async def _stop(self, listeners: list[_Listener]) -> None:
        for listener in listeners:
            listener.stop()
        for listener in listeners:
            await asyncio.to_thread(listener.join)

    def _heard(self, paths: set[Path]) -> None:
        for watched in self._watched.values():
            watched.stir(paths)
        if any(path.is_dir() for path in paths):  # perhaps one that is to be listened in
            self._poked.set()


@dataclass(slots=True)
class _Watched:
    """One tileset that is watched."""

    files: SourceFiles
    changed: Changed
    sweep_seconds: float
    paths: set[Path] = field(default_factory=set)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] = field(init=False)

    def stir(self, paths: set[Path]) -> None:
        """Something happened, perhaps to this tileset."""
        self.paths |= paths
        self.stirred.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await _set_within(self.stirred, self.sweep_seconds)
            if await self._concerned():
                await self._quiet()
                paths, self.paths = self.paths, set()
                touched = await asyncio.to_thread(self.files.take, paths)
                if touched is not None:
                    await self.changed(self.files.tileset.name, touched)

    async def _concerned(self) -> bool:
        self.stirred.clear()
        heard, self.paths = self.paths, set()
        self.paths |= await asyncio.to_thread(self.files.concerned, heard)
        return bool(self.paths) or await asyncio.to_thread(self.files.changed)

    async def _quiet(self) -> None:
        """Until the files stay as they are and can be read; or are damaged, or busy for long."""
        before = await asyncio.to_thread(self.files.stamps, self.paths)
        began = still_since = time.monotonic()
        pause = QUIET_SECONDS
        while True:
            await asyncio.sleep(pause)
            await self._concerned()
            now, stamps = time.monotonic(), await asyncio.to_thread(self.files.stamps, self.paths)
            if stamps != before:
                before, still_since = stamps, now
                if now - began < BUSY_SECONDS:
                    continue
            if now - still_since > UNREADABLE_SECONDS or await asyncio.to_thread(self.files.can_be_opened):
                return
            pause = UNREADABLE_SECONDS / 10


class _Listener:
    """A thread that hears of what happens in folders, or anywhere under them."""

    def __init__(self, folders: Folders, recursive: bool, poll_seconds: float | None, heard: Callable[[set[Path]], None]) -> None:
        self.folders = folders
        self._recursive, self._poll_seconds, self._heard = recursive, poll_seconds, heard
        self._loop = asyncio.get_running_loop()
        self._listening = asyncio.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tile-watcher", daemon=True)

    async def start(self) -> None:
        """Begin, and wait until it hears."""
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
            except (OSError, RuntimeError) as error:  # too many folders for the system, or a network; RuntimeErrors are watchfiles' own
                logger.warning("files are looked at every %s s, for the system does not tell of their changes: %s", SWEEP_SECONDS, error)
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
            # A folder is said to be modified when files in it come and go, which are told themselves.
            paths = {Path(path) for change, path in changes if change != watchfiles.Change.modified or not Path(path).is_dir()}
            if paths:
                self._call(self._heard, paths)

    def _call(self, call: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)


def _folders(tilesets: list[SourceFiles]) -> dict[bool, Folders]:
    """Those to be listened in, and (True) under."""
    found: dict[bool, set[tuple[Path, int]]] = {False: set(), True: set()}
    for files in tilesets:
        for recursive, folders in zip((False, True), files.folders(), strict=True):
            for folder in folders:
                with suppress(OSError):
                    found[recursive].add((folder, folder.stat().st_ino))
    return {recursive: frozenset(folders) for recursive, folders in found.items()}


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
