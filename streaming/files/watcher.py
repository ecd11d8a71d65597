"""Notices what other programs do in the folder, and has it announced. One process at a time does, as the leader.

Events say only where to look. What was left alone for a moment is compared with the feed by size, time and inode; what differs there is
read and hashed. Events may be lost, so now and then the whole folder is compared.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from streaming.core.errors import StreamError
from streaming.core.items import Item
from streaming.core.keys import COMMON
from streaming.core.leader import Leader
from streaming.core.tasks import cancel
from streaming.engine.conf import conf
from streaming.engine.folder_listener import FileEvents, FolderListener, Pace

from .folder import Folder
from .metadata import record_of
from .paths import PathError, clean_path, is_below, is_internal
from .store import Stat
from .watch_events import Operation, fold

logger = logging.getLogger(__name__)

KEY = COMMON + "files:watcher"
"""The key with the node that watches."""
AT_ONCE = 100
"""Files that are announced together."""
UNREADABLE_SECONDS = 10.0
"""How soon the folder is compared again if a part of it could not be read."""
MANY = 1000
"""More paths than these at once are looked at together, as one scan of the folder."""


class _Difference(NamedTuple):
    """What is different on the disk, and what is still being changed."""

    operations: list[Operation]
    directories: set[str]
    unsettled: list[str]
    unreadable: list[str]
    """Directories of which nothing is known now."""


class Watcher:
    """One process's part in watching."""

    def __init__(self, folder: Folder, node: str) -> None:
        self._folder = folder
        self._leader = Leader(KEY, node, "watches the files", able=lambda: True, on_lead=self._lead)
        self._unsettled: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._listener: FolderListener[set[str]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._scan_at = 0.0
        self._epoch = ""  # of the feed, when the whole folder was compared
        self.scans = 0
        """How often the whole folder was compared."""

    @property
    def watching(self) -> bool:
        """Whether this is the process that watches."""
        return self._leader.leading

    @property
    def unsettled(self) -> int:
        """Paths that were changed and are not announced yet."""
        return len(self._unsettled)

    @property
    def unsettled_seconds(self) -> float:
        """How long the oldest of them has been waiting."""
        return time.monotonic() - min(self._unsettled.values()) if self._unsettled else 0.0

    def start(self) -> None:
        """Watch if no other process does."""
        self._leader.start()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Let another process watch."""
        await self._leader.stop()
        if self._task is not None:
            await cancel([self._task])
        await self._stop_listening()
        await self._leader.resign()

    def notice(self, paths: Iterable[str]) -> None:
        """Something happened to these paths of the disk."""
        now = time.monotonic()
        for path in paths:
            if not is_internal(path):
                self._unsettled[path] = now
        self._wake.set()

    def _lead(self, began: bool) -> None:
        if began:
            self._scan_at = 0.0
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._step()
            except StreamError as error:
                logger.warning("the folder of files could not be compared and will be: %s", error)
            except Exception:
                logger.exception("the folder of files could not be compared and will be")
            pause = conf.FILES_SETTLE_SECONDS if self._unsettled else 1.0
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            if self._unsettled:
                await asyncio.sleep(min(0.05, conf.FILES_SETTLE_SECONDS))

    async def _step(self) -> None:
        if not self.watching:
            await self._stop_listening()
            self._unsettled.clear()
            return
        await self._listen()
        now, epoch = time.monotonic(), self._folder.index.replica.epoch
        if now >= self._scan_at or epoch != self._epoch:  # another epoch: Redis has lost what it knew of the folder
            self._scan_at, self._epoch = now + conf.FILES_RESCAN_SECONDS, epoch
            await self._settle([""])
            self.scans += 1
        settled = [path for path, since in self._unsettled.items() if now - since >= conf.FILES_SETTLE_SECONDS]
        for path in settled:
            del self._unsettled[path]
        if settled:
            try:
                await self._settle([""] if len(settled) > MANY else _tops(settled))
            except BaseException:
                self.notice(settled)
                raise

    async def _settle(self, tops: list[str]) -> None:
        """Compare these paths and all below them with the feed, and announce what is different."""
        await self._folder.refresh()
        found = await self._folder.run(self._compare, tops, self._items(tops))
        self.notice(found.unsettled)
        if found.unreadable:
            self._scan_at = min(self._scan_at, time.monotonic() + UNREADABLE_SECONDS)
        files: list[str] = []
        for operation in found.operations:
            if operation[0] != "Move" and operation[1] not in found.directories:
                files.append(operation[1])
            else:
                await self._retrying(operation, self._announce(*operation))
        for start in range(0, len(files), AT_ONCE):
            some = files[start : start + AT_ONCE]
            await self._retrying(("Update", *some), self._announce_files(some))

    async def _retrying(self, operation: Operation, announcing: Awaitable[None]) -> None:
        """What is changed by others at this moment is looked at again."""
        try:
            await announcing
        except StreamError as error:
            if error.code not in ("busy", "not_found"):
                raise
            self.notice(operation[1:])

    async def _announce_files(self, paths: list[str]) -> None:
        for path in await self._folder.notice_files(paths):
            await self._announce("Update", path)

    async def _announce(self, kind: str, path: str, target: str = "") -> None:
        if kind == "Move" and await self._folder.notice_move(path, target):
            return
        for each in (path, target) if target else (path,):
            if await self._folder.look(each) is None and kind != "Delete":
                await self._folder.notice_directory(each)

    def _items(self, tops: list[str]) -> dict[str, Item]:
        """What the feed has of these paths and all below them."""
        index = self._folder.index
        items = index.replica.items
        if tops == [""]:
            return dict(items)
        return {path: items[path] for top in tops for path in (top, *index.below(top)) if path in items}

    def _compare(self, tops: list[str], items: dict[str, Item]) -> _Difference:
        """In a thread. A file that is still being written is unsettled, and as it was."""
        folder, index = self._folder, self._folder.index
        known = {path: (record.inode, record.hash) for path, record in ((path, record_of(item)) for path, item in items.items())}
        now: dict[str, tuple[int, str]] = {}
        unsettled: list[str] = []
        unreadable: list[str] = []
        for top in tops:
            for path, stat in folder.store.scan(top, unreadable):
                if stat.directory:
                    if index.is_directory(path) and path not in known:
                        known[path] = (stat.inode, "")  # implied: it is not announced
                    now[path] = (stat.inode, "")
                    continue
                content = self._content(path, stat)
                if content is not None:
                    now[path] = (stat.inode, content)
                    continue
                unsettled.append(path)
                if path in known:
                    now[path] = known[path]
        if unreadable:
            now = {path: seen for path, seen in known.items() if any(is_below(path, each) for each in unreadable)} | now
        directories = {path for path, (_, hash) in now.items() if not hash}
        return _Difference(fold(tops, known, now), directories, unsettled, unreadable)

    def _content(self, path: str, stat: Stat) -> str | None:
        """The hash of a file; None for one that is being written."""
        folder = self._folder
        record = folder.index.record(path)
        if record is not None and folder.agrees(path, stat):
            return record.hash
        if 0 <= time.time_ns() - stat.modified < conf.FILES_SETTLE_SECONDS * 1e9:
            return None
        try:
            found = folder.store.hash(path)
        except (StreamError, OSError):
            return None
        if found is None:
            return None
        folder.remember(path, *found)
        return found[1]

    # -- listening -------------------------------------------------------------

    async def _listen(self) -> None:
        root = self._folder.store.folder
        if root is None or (self._listener is not None and self._listener.alive):
            return
        if self._listener is not None:  # it ended: something may have been missed
            self._scan_at = 0.0
        pace = Pace(poll_seconds=conf.FILES_POLL_SECONDS or None)
        read = partial(_paths_in, root.resolve())
        self._listener = FolderListener([root.resolve()], read, self.notice, what="the folder of files", pace=pace)
        await self._listener.start()

    async def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.stop()


def _paths_in(root: Path, events: FileEvents) -> set[str]:
    """The paths of the folder to which something happened; those that are not clean are nobody's."""
    return {path for _, name in events if (path := _path_in(root, name)) is not None}


def _path_in(root: Path, name: str) -> str | None:
    try:
        path = Path(name).relative_to(root).as_posix()
        return path if clean_path(path) == path else None
    except (ValueError, PathError):
        return None


def _tops(paths: Iterable[str]) -> list[str]:
    """Those of these paths that are not below others of them."""
    tops: list[str] = []
    for path in sorted(paths):
        if not tops or not is_below(path, tops[-1]):
            tops.append(path)
    return tops
