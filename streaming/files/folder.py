"""The folder: every change of it, by whomever, goes through here.

A change holds the lock of its path, compares the store with the feed, checks its condition, changes the store, then the feed. So two
changes of one path come one after the other, in all processes, and what was changed behind the server's back is announced first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal, NoReturn, ParamSpec, TypeVar

from django.conf import settings

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.lru import LRU
from streaming.engine.conf import conf

from .changes import ANYTHING, OUTSIDE, Actor, FolderChange, Precondition
from .folder_feed import BATCH, LOCKS, FolderFeed, Step
from .metadata import ChangeNote, FileRecord
from .path_locks import Held, PathLocks
from .paths import clean_path, is_below, parents
from .room import Room
from .store import Stat, Store, not_found, not_in_trash, trash_id

if TYPE_CHECKING:
    from streaming.core.hub import Hub

    from .folder_index import FolderIndex
    from .staging import StagedFile

P = ParamSpec("P")
T = TypeVar("T")
STAMPS = 10_000
"""Files of which a process remembers that only their time has changed."""
Outcome = Literal["created", "updated", "unchanged"]


class Folder:
    """One process's way to the folder."""

    def __init__(
        self,
        store: Store,
        feed: FolderFeed,
        index: FolderIndex,
        hub: Hub,
        threads: ThreadPoolExecutor,
        audit: Callable[[FolderChange], None],
    ) -> None:
        self.store = store
        self.feed = feed
        self.index = index
        self.locks = PathLocks(LOCKS, feed.keys[0], conf.FILES_LOCK_SECONDS)
        self._hub = hub
        self._threads = threads
        self._audit = audit
        self.room = Room(store, index, self.run)
        self._hashed: LRU[str, tuple[Stat, str]] = LRU(STAMPS)
        self._touched: LRU[str, tuple[Stat, str]] = LRU(STAMPS)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what may block in a thread."""
        loop: asyncio.AbstractEventLoop | None = self._hub.loop
        assert loop is not None
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    async def refresh(self) -> None:
        """Have the index show everything that was stored before this call."""
        await self._hub.refresh(self.index.replica)

    async def reach(self, since: Cursor) -> bool:
        """Have the changes after a place in the log at hand; returns whether it still has them."""
        return await self._hub.reach(self.index.replica, since)

    # -- looking -------------------------------------------------------------

    async def find(self, path: str) -> FileRecord | None:
        """The record of a path as it is on the disk; what was changed behind our back is announced first."""
        stat, record = await self.run(self.store.stat, path), await self.feed.record(path)
        return record if self._agree(path, stat, record) else await self.look(path)

    async def look(self, path: str) -> FileRecord | None:
        """Compare a path with the disk, and announce what is different."""
        async with self.locks.hold(path):
            return await self._current(path)

    async def notice_files(self, paths: Sequence[str]) -> list[str]:
        """Announce files that somebody else has written or removed, many at once; returns those that have to be looked at one by one."""
        async with self.locks.hold(*paths):
            await self.refresh()
            found = await self.run(self._read_all, paths)
            new: list[tuple[str, FileRecord | None, FileRecord | None]] = []
            for path, read in found.items():
                before = self.index.record(path)
                if read is not None and before is not None and before.hash == read[1] and not before.directory:
                    self._touched.put(path, read)
                elif read is not None or before is not None:
                    new.append((path, before, None if read is None else read[0].record(read[1])))
            await self.feed.write(
                [Step(path, after, ChangeNote(directory=bool(before and before.directory))) for path, before, after in new]
            )
            for path, before, after in new:
                action = "delete" if after is None else "create" if before is None else "update"
                self._audit(FolderChange(action, path, "", before, after, "", OUTSIDE))
        return [path for path in paths if path not in found]

    def _read_all(self, paths: Sequence[str]) -> dict[str, tuple[Stat, str] | None]:
        """In a thread: stat and hash of those that are files and are left alone, None for what is not there."""
        found: dict[str, tuple[Stat, str] | None] = {}
        for path in paths:
            stat, known = self.store.stat(path), self._hashed.get(path)
            if stat is None and self.store.folder is not None:
                found[path] = None
            elif stat is not None and not stat.directory:
                with suppress(StreamError):
                    read = known if known is not None and known[0] == stat else self.store.hash(path)
                    if read is not None:
                        found[path] = read
        return found

    async def notice_directory(self, path: str) -> None:
        """Announce a directory that somebody else has made."""
        async with self.locks.hold(path):
            stat = await self.run(self.store.stat, path)
            await self.refresh()
            if stat is not None and stat.directory and not self.index.is_directory(path):
                await self._write([Step(path, stat.record(""))], "create", path, after=stat.record(""))

    async def notice_move(self, source: str, target: str) -> bool:
        """Announce a move that somebody else has made; returns whether it was one."""
        async with self.locks.hold(source, target):
            gone, there = await self.run(self.store.stat, source), await self.run(self.store.stat, target)
            record = await self.feed.record(source)
            if record is None or gone is not None or there is None or await self.feed.record(target) is not None:
                return False
            if (there.inode, there.size, there.directory) != (record.inode, record.size, record.directory):
                return False
            if not record.directory and there.modified != record.modified:
                return False
            await self._write(_move(source, target, record, there.record(record.hash), OUTSIDE), "move", source, target, record, record)
            return True

    # -- changing ------------------------------------------------------------

    async def upload(
        self, path: str, staged: StagedFile, actor: Actor, condition: Precondition = ANYTHING, modified: int | None = None
    ) -> tuple[FileRecord, Outcome]:
        """Put a complete upload there. `StreamError`, `Outdated`; the staged file is gone afterwards, whatever happened."""
        if not staged.sealed:
            await self.run(self.seal, staged, modified)
        try:
            async with self._making(path, reading=path) as held:
                # What is in the feed is compared with the disk in one go with the commit; if that is something else, it is announced first.
                before = self.feed.stored_record(held.stored)
                done = await self._commit(path, staged, actor, condition, before, held)
                return done or await self._commit(path, staged, actor, condition, await self._current(path), held) or _changing(path)
        finally:
            if not staged.committed:
                await self.run(staged.discard)

    async def _commit(
        self, path: str, staged: StagedFile, actor: Actor, condition: Precondition, before: FileRecord | None, held: Held
    ) -> tuple[FileRecord, Outcome] | None:
        """None if the disk has something else than what is believed to be there."""
        if before is None:
            await self._check_new(path)
        same = before is not None and before.hash == staged.hash
        trash = "" if before is None else trash_id()
        try:
            condition.check(path, before)
            if self.index.is_directory(path) or (before is not None and before.directory):
                raise StreamError("is_directory", f"{path[:200]!r} is a directory")
            await self.room.check(path, 0 if same else staged.size)
        except StreamError:
            if self._agree(path, await self.run(self.store.stat, path), before):
                raise
            return None
        stat = await self.run(self._commit_if, path, staged, before, same, trash or None)
        if stat is None:
            return None
        if same and before is not None:
            return before, "unchanged"
        after = stat.record(staged.hash)
        await self._write([Step(path, after, ChangeNote(actor.client))], "upload", path, "", before, after, trash, actor, held)
        return after, "created" if before is None else "updated"

    def _commit_if(self, path: str, staged: StagedFile, before: FileRecord | None, same: bool, trash: str | None) -> Stat | None:
        """In a thread: commit, if the disk has what is believed to be there."""
        stat = self.store.stat(path)
        if not self._agree(path, stat, before):
            return None
        return stat if same else self.store.commit(path, staged, trash)

    @staticmethod
    def seal(staged: StagedFile, modified: int | None) -> None:
        """In a thread: nothing more will be written to an upload."""
        staged.seal(modified or time.time_ns(), conf.FILES_DURABLE, file_mode())

    async def delete(self, path: str, actor: Actor, condition: Precondition = ANYTHING, recursive: bool = False) -> None:
        """Move a file, or a directory that is empty, to the trash. `recursive`: a directory with all that is in it."""
        async with self.locks.hold(path):
            before = await self._current(path)
            await self.refresh()
            if before is None and not self.index.is_directory(path):
                raise not_found(path)
            condition.check(path, before)
            inner = [each async for some in self._below(path) for each in some]
            if inner and not recursive:
                raise StreamError("not_empty", f"{path[:200]!r} is not empty")
            trash = trash_id() if recursive or not (before is None or before.directory) else ""
            if trash:
                await self.run(self.store.trash, path, trash)
            elif not await self.run(self.store.remove_directory, path):  # others may just have put something there
                raise StreamError("not_empty", f"{path[:200]!r} is not empty")
            gone = chain(reversed(inner), [(path, before)] if before is not None else [])
            steps = (Step(each, None, ChangeNote(actor.client, directory=record.directory)) for each, record in gone)
            await self._write(steps, "delete", path, "", before, None, trash, actor)
            await self._prune(path)

    async def move(self, source: str, target: str, actor: Actor) -> FileRecord | None:
        """Move a file, or a directory with all that is in it, to where nothing is."""
        if is_below(target, source) and source != target:
            raise StreamError("bad_request", "a directory cannot be moved into itself")
        async with self._making(target, source):
            before = await self._current(source)
            there = None if source == target else await self._current(target)
            await self._check_new(target, source)
            if before is None and not self.index.is_directory(source):
                raise not_found(source)
            if there is not None or self.index.is_directory(target) or source == target:
                raise StreamError("exists", f"there is something at {target[:200]!r} already")
            moved = [(source, before)] if before is not None else []
            async for some in self._below(source):
                _check_inside([each for each, _ in some], source, target)
                moved += some
            await self.run(self.store.move, source, target)
            for start in range(0, len(moved), BATCH // 2):
                steps: list[Step] = []
                for each, record in moved[start : start + BATCH // 2]:
                    new = target + each[len(source) :]
                    steps += _move(each, new, record, await self._restat(new, record), actor)
                await self.feed.write(steps)
            self._audit(FolderChange("move", source, target, before, before, "", actor))
            await self._prune(source)
            return before

    async def make_directory(self, path: str, actor: Actor) -> FileRecord:
        """Make a directory where nothing is."""
        async with self._making(path):
            before = await self._current(path)
            await self._check_new(path)
            if before is not None or self.index.is_directory(path):
                raise StreamError("exists", f"there is something at {path[:200]!r} already")
            await self.room.check(path, 0)
            after = (await self.run(self.store.make_directory, path)).record("")
            await self._write([Step(path, after, ChangeNote(actor.client))], "mkdir", path, "", None, after, "", actor)
            return after

    async def announce(self, path: str, hash: str, actor: Actor) -> None:
        """Announce what is stored once more, in the name of a client. `StreamError("not_stored")` if that is something else."""
        async with self.locks.hold(path):
            record = await self._current(path)
            if record is None or record.directory or record.hash != hash:
                raise StreamError("not_stored", "the server does not have this content: upload it first")
            await self.feed.write([Step(path, record, ChangeNote(actor.client))])

    async def replace(
        self, source: str, target: str, actor: Actor, condition: Precondition = ANYTHING, target_condition: Precondition = ANYTHING
    ) -> FileRecord:
        """Put a file in the place of another one, which goes to the trash."""
        async with self.locks.hold(source, target):
            before, replaced = await self._current(source), await self._current(target)
            for path, record, expected in ((source, before, condition), (target, replaced, target_condition)):
                if record is None or record.directory:
                    raise not_found(path)
                expected.check(path, record)
            assert before is not None
            if source == target:
                raise StreamError("exists", "it is there already")
            trash = trash_id()
            await self.run(self.store.move, source, target, trash)
            after = await self._restat(target, before)
            steps = [Step(target, after, ChangeNote(actor.client)), Step(source, None, ChangeNote(actor.client))]
            await self.feed.write(steps)
            self._audit(FolderChange("move", source, target, replaced, after, trash, actor))
            await self._prune(source)
            return after

    async def restore(
        self, trash: str, path: str, actor: Actor, condition: Precondition = ANYTHING, replace: bool = False
    ) -> FileRecord | None:
        """Put something from the trash back to where nothing is or, with `replace`, a file in the place of another one.

        Returns the record of a file; a directory has none.
        """
        async with self._making(path):
            before = await self._current(path)
            condition.check(path, before)
            found = await self.run(self.store.trashed, trash)
            if found is None:
                raise not_in_trash()
            if self.index.is_directory(path) or (before is not None and (not replace or before.directory or found.directory)):
                raise StreamError("exists", f"there is something at {path[:200]!r} already")
            if before is None:
                await self._check_new(path)
            self.room.check_quota(path, found.size)
            replaced = "" if before is None else trash_id()
            await self.run(self.store.restore, trash, path, replaced or None)
            records = await self.run(self._read_below, path)
            if found.directory:
                await self._check_restored(path, trash, records)
            await self.feed.write(Step(each, record, ChangeNote(actor.client)) for each, record in records.items())
            after = records.get(path)
            self._audit(FolderChange("restore", path, "", before, after, replaced, actor, restored=trash))
            return None if found.directory else after

    async def _check_restored(self, path: str, trash: str, records: Mapping[str, FileRecord]) -> None:
        """Back to the trash with a directory for which there is no room: how much is in it is known only now."""
        try:
            self.room.check_quota(path, sum(record.size for record in records.values()))
            if self.index.files + len(records) > conf.FILES_MOST:
                raise StreamError("folder_full", f"the folder may hold {conf.FILES_MOST} files")
        except StreamError:
            await self.run(self.store.trash, path, trash)
            raise

    def _read_below(self, path: str) -> dict[str, FileRecord]:
        """In a thread: the records of a file, or of all that is in a directory; of directories only those that are empty."""
        records: dict[str, FileRecord] = {}
        for each, stat in self.store.scan(path):
            if stat.directory:
                records[each] = stat.record("")
            elif (read := self.store.hash(each)) is not None:
                records[each] = read[0].record(read[1])
        implied = {parent for each in records for parent in parents(each)}
        return {each: record for each, record in records.items() if each not in implied}

    # -- how -----------------------------------------------------------------

    @asynccontextmanager
    async def _making(self, path: str, *others: str, reading: str = "") -> AsyncIterator[Held]:
        """Hold a path that may be new: if directories have to be made, the topmost of them."""
        async with self.locks.hold(self.index.missing_parent(path) or path, *others, reading=reading) as held:
            yield held

    async def _below(self, top: str) -> AsyncIterator[list[tuple[str, FileRecord]]]:
        """The records below a directory whose lock is held, some at a time: between them everything else has a turn."""
        after = ""
        while paths := list(islice(self.index.below(top, after), BATCH)):
            yield [(path, record) for path in paths if (record := self.index.record(path)) is not None]
            after = paths[-1]
            await asyncio.sleep(0)

    async def _current(self, path: str, actor: Actor = OUTSIDE) -> FileRecord | None:
        """The record of a path whose lock is held, after what is different on the disk was announced."""
        stat, record = await self.run(self.store.stat, path), await self.feed.record(path)
        if self._agree(path, stat, record):
            return record
        if stat is None or stat.directory:
            assert record is not None
            after = None if stat is None else stat.record("")
            steps = [Step(path, None, ChangeNote(directory=record.directory))]
            await self._write([*steps, *([Step(path, after)] if after else [])], "delete", path, "", record, after)
            return after
        known = self._hashed.get(path)
        found = known if known is not None and known[0] == stat else await self.run(self.store.hash, path)
        if found is None:
            raise StreamError("busy", "the file is being written on the server; try again")
        stat, hash = found
        after = stat.record(hash)
        if record is not None and record.hash == hash and not record.directory:
            self._touched.put(path, found)
            return record
        note = ChangeNote(actor.client)
        await self._write([Step(path, after, note)], "create" if record is None else "update", path, "", record, after, "", actor)
        return after

    def _agree(self, path: str, stat: Stat | None, record: FileRecord | None) -> bool:
        """Whether the disk has what the feed says."""
        if stat is None:
            return record is None or (record.directory and self.store.folder is None)
        if record is None:
            return stat.directory  # it is implied, or the watcher announces it
        return stat.is_of(record) or self._touched.get(path) == (stat, record.hash)

    def remember(self, path: str, stat: Stat, hash: str) -> None:
        """This file was read a moment ago: it need not be read again to be announced."""
        self._hashed.put(path, (stat, hash))

    def agrees(self, path: str, stat: Stat | None) -> bool:
        """The same as far as this process knows the feed."""
        return self._agree(path, stat, self.index.record(path))

    async def _check_new(self, path: str, source: str | None = None) -> None:
        await self.refresh()
        self.check_new(path, source)

    def check_new(self, path: str, source: str | None = None, more: int = 0) -> None:
        """`StreamError` if a new path may not be there, besides so many `more`. A move that changes only the case finds itself."""
        twin = self.index.twin(path)
        if twin is not None and not (source is not None and is_below(twin, source)):
            raise StreamError("case_conflict", f"{twin[:200]!r} is there already, and some systems take the two for one")
        for parent in parents(path):
            record = self.index.record(parent)
            if record is not None and not record.directory:
                raise StreamError("not_a_directory", f"{parent[:200]!r} is not a directory")
        directory = (self.index.missing_parent(path) or path).rpartition("/")[0]
        full = self.index.entries_in(directory) + more >= conf.FILES_MOST_IN_DIRECTORY
        if source is not None:
            full = full and source.rpartition("/")[0] != directory
        elif self.index.paths + more >= conf.FILES_MOST:
            full = True
        if full:
            raise StreamError("folder_full", "the folder, or this directory, holds as many files as it may")

    async def _restat(self, path: str, record: FileRecord) -> FileRecord:
        """The record after a move: a storage has changed the time."""
        if record.directory or self.store.folder is not None:
            return record
        stat = await self.run(self.store.stat, path)
        return record if stat is None else stat.record(record.hash)

    def note(self, change: FolderChange) -> None:
        """Have a change that was made in the audit."""
        self._audit(change)

    async def _write(
        self,
        steps: Iterable[Step],
        action: str,
        path: str,
        target: str = "",
        before: FileRecord | None = None,
        after: FileRecord | None = None,
        trash: str = "",
        actor: Actor = OUTSIDE,
        held: Held | None = None,
    ) -> None:
        await self.feed.write(steps, held)
        self._audit(FolderChange(action, path, target, before, after, trash, actor))

    async def _prune(self, path: str) -> None:
        """Remove the directories above that were there only for this path."""
        await self.refresh()
        for parent in reversed(parents(path)):
            if self.index.is_directory(parent) or not await self.run(self.store.remove_directory, parent):
                return


def _changing(path: str) -> NoReturn:
    raise StreamError("busy", f"{path[:200]!r} is being changed on the server; try again")


def _check_inside(paths: list[str], source: str, target: str) -> None:
    """`PathError` if something in a directory would have too long a path, or be too deep, where that is moved to."""
    for longest in (
        max(paths, key=lambda path: len(path.encode()), default=source),
        max(paths, key=lambda path: path.count("/"), default=source),
    ):
        clean_path(target + longest[len(source) :], conf.FILES_DEPTH)


def _move(source: str, target: str, record: FileRecord, after: FileRecord, actor: Actor) -> list[Step]:
    """The two halves of a move. Clients are sent one operation, at the second."""
    left = ChangeNote(actor.client, moved_to=target, directory=record.directory)
    return [Step(source, None, left), Step(target, after, ChangeNote(actor.client, moved_from=source))]


def file_mode() -> int | None:
    """The permissions of stored files, as Django's setting for uploads has them."""
    mode: int | None = settings.FILE_UPLOAD_PERMISSIONS
    return mode
