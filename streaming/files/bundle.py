"""Many small files at once: one lock, one wait for the disk and one change of the feed for all of them.

Only what is as it is expected to be goes together. Whatever is not (a condition, a file that was changed behind our back, two names that
differ in case) is uploaded alone afterwards, so that it is refused or taken exactly as it would be by itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .changes import ANYTHING, Actor, FolderChange, Precondition
from .folder import Folder, file_mode
from .folder_feed import Step
from .metadata import ChangeNote, FileRecord
from .paths import parents, twin_key
from .staging import StagedFile, flushing
from .store import Stat, trash_id


class NewFile(NamedTuple):
    """What is to be at a path: bytes, or a directory (None)."""

    path: str
    content: bytes | None
    condition: Precondition = ANYTHING
    modified: int | None = None


class _Commit(NamedTuple):
    """What goes together with the others."""

    new: NewFile
    staged: StagedFile | None
    before: FileRecord | None
    trash: str
    there: bool
    """Whether it is a directory that is there already."""


async def upload_bundle(folder: Folder, files: Sequence[NewFile], actor: Actor) -> list[FileRecord | StreamError]:
    """Put them all there, in their order; returns of each what is there now, or why it was refused. `StreamError` if Redis is away."""
    staged = await folder.run(_stage, folder, files)
    try:
        done = await _upload_together(folder, files, staged, actor)
        results: list[FileRecord | StreamError] = []
        busy: StreamError | None = None  # who waited for one path in vain does not wait for all the others
        for new, content in zip(files, staged, strict=True):
            result = done.get(new.path) or busy or await _upload_alone(folder, new, content, actor)
            busy = result if isinstance(result, StreamError) and result.code == "busy" else busy
            results.append(result)
        return results
    finally:
        await folder.run(_discard, staged)


async def _upload_together(
    folder: Folder, files: Sequence[NewFile], staged: Sequence[StagedFile | None], actor: Actor
) -> dict[str, FileRecord]:
    index = folder.index
    async with folder.locks.hold(*{index.missing_parent(new.path) or new.path for new in files}) as held:
        await folder.refresh()
        commits, placed = [], _Placed()
        for new, content in zip(files, staged, strict=True):
            if (commit := _ready(folder, new, content, placed)) is not None:
                commits.append(commit)
        found = await folder.run(_commit_all, folder, commits)
        done, steps, changes = {}, [], []
        for commit, stat in zip(commits, found, strict=True):
            if stat is None:
                continue
            path, before = commit.new.path, commit.before
            after = done[path] = stat.record("" if commit.staged is None else commit.staged.hash)
            if commit.there or (before is not None and before.hash == after.hash):
                done[path] = before or after
                continue
            steps.append(Step(path, after, ChangeNote(actor.client)))
            action = "mkdir" if commit.staged is None else "upload"
            changes.append(FolderChange(action, path, "", before, after, commit.trash, actor))
        if steps:
            await folder.feed.write(steps, held)
        for change in changes:
            folder.note(change)
    return done


class _Placed:
    """What the files before in the same bundle take: their names, and those of directories above them."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, bool]] = {}

    @property
    def count(self) -> int:
        """How many names these are, at least as many as are new."""
        return len(self._names)

    def takes(self, path: str, directory: bool) -> bool:
        """Whether a path fits beside them; then it is one of them."""
        names = {twin_key(each): (each, True) for each in parents(path)}
        if twin_key(path) in self._names and not (directory and self._names[twin_key(path)] == (path, True)):
            return False
        names[twin_key(path)] = (path, directory)
        if any(self._names.get(key, name) != name for key, name in names.items()):
            return False
        self._names |= names
        return True


def _ready(folder: Folder, new: NewFile, staged: StagedFile | None, placed: _Placed) -> _Commit | None:
    """None for what has to be looked at alone."""
    path, before, there = new.path, folder.index.record(new.path), folder.index.is_directory(new.path)
    try:
        if not placed.takes(path, staged is None) or (there and staged is not None):
            return None
        new.condition.check(path, before)
        if before is None and not there:
            folder.check_new(path, more=placed.count)
    except StreamError:
        return None
    return _Commit(new, staged, before, "" if before is None else trash_id(), there)


def _commit_all(folder: Folder, commits: Sequence[_Commit]) -> list[Stat | None]:
    """In a thread. None for what the disk has something else in the place of."""
    unsynced: set[str] = set()
    found = [_commit(folder, commit, unsynced) for commit in commits]
    folder.store.sync(unsynced)
    return found


def _commit(folder: Folder, commit: _Commit, unsynced: set[str]) -> Stat | None:
    path, staged, before = commit.new.path, commit.staged, commit.before
    try:
        stat = folder.store.stat(path)
        if not folder.agrees(path, stat):
            return None
        if staged is None:
            return stat if stat is not None and stat.directory else folder.store.make_directory(path)
        if before is not None and before.hash == staged.hash:
            return stat
        return folder.store.commit(path, staged, commit.trash or None, unsynced)
    except StreamError:
        return None


async def _upload_alone(folder: Folder, new: NewFile, staged: StagedFile | None, actor: Actor) -> FileRecord | StreamError:
    try:
        if staged is None:
            return await folder.make_directory(new.path, actor)
        return (await folder.upload(new.path, staged, actor, new.condition))[0]
    except StreamError as error:
        if error.code == "redis_unavailable":
            raise
        return error


def _stage(folder: Folder, files: Sequence[NewFile]) -> list[StagedFile | None]:
    """In a thread: write all, then wait for the disk."""
    staged: list[StagedFile | None] = []
    now, durable, mode = time.time_ns(), bool(conf.FILES_DURABLE), file_mode()
    try:
        for new in files:
            staged.append(None if new.content is None else folder.store.staging.create())
            if (last := staged[-1]) is not None and new.content is not None:
                last.write(new.content)
        sealing = [(each, new.modified or now) for each, new in zip(staged, files, strict=True) if each is not None]
        flushing(lambda pair: pair[0].seal(pair[1], durable, mode), sealing)
    except BaseException:
        _discard(staged)
        raise
    return staged


def _discard(staged: Sequence[StagedFile | None]) -> None:
    for each in staged:
        if each is not None and not each.committed:
            each.discard()
