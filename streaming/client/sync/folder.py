"""The local folder: what is in it, and changes of it that never destroy what has not been agreed on.

Files are only ever replaced and deleted when they still are what the plan was made for; what is replaced or deleted goes to the folder's
trash (`.hub-trash`). Paths are opened step by step and never through a link: a server is not trusted to choose where its files go.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pathspec

from streaming.core.errors import StreamError
from streaming.files.disk_store import DiskStore
from streaming.files.merge import conflict_name
from streaming.files.paths import is_internal, twin_key
from streaming.files.staging import StagedFile, flushing
from streaming.files.store import OpenFile, Stat, trash_id

from .errors import Changed, SafetyStop, SyncError
from .plan import Content
from .state import BaseEntry, State

RACY_NS = 2_000_000_000
"""A file that was modified so shortly before it was last looked at may have changed again without another time."""
MAX_INTEGER = 2**63
"""SQLite takes no larger ones."""
TRASH_SECONDS = 30 * 24 * 3600


class NewFile(NamedTuple):
    """A small file that was downloaded. `expected` is the hash of what it replaces, None if nothing should be there."""

    path: str
    data: bytes
    modified_ns: int
    expected: str | None


class LocalFolder:
    """One folder of this machine. Everything here may block."""

    def __init__(self, root: Path, state: State, *, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self.root = root
        self._state = state
        self.store = DiskStore(root, durable=True)
        self._include = pathspec.GitIgnoreSpec.from_lines(include) if include else None
        self._exclude = pathspec.GitIgnoreSpec.from_lines(exclude)

    def open(self) -> None:
        """`SafetyStop` if it is gone, or another one, since the last time."""
        known = self._state.get("root")
        if known and not self.root.is_dir():
            raise SafetyStop(f"{self.root} is not there any more; was it moved, or is its disk not mounted?")
        try:
            self.store.open()
        except OSError as error:
            raise SyncError(f"{self.root} cannot be used: {error.strerror}") from error
        found = self.root.stat()
        here = f"{found.st_dev}:{found.st_ino}"
        if known and known != here and self._state.base():
            raise SafetyStop(f"{self.root} is another folder than at the last sync; --force-delete goes on with it")
        self._state.set("root", here)
        self.store.empty_trash(int((time.time() - TRASH_SECONDS) * 1000))

    def forget_root(self) -> None:
        """Take whatever folder is there for the right one."""
        self._state.set("root", "")

    def close(self) -> None:
        """Let go of it."""
        self.store.close()

    def wanted(self, path: str) -> bool:
        """Whether a path takes part in the sync."""
        if is_internal(path) or self._exclude.match_file(path):
            return False
        return self._include is None or self._include.match_file(path)

    # -- looking ---------------------------------------------------------------

    def scan(
        self, tops: Collection[str] = ("",), changing: set[str] | None = None, left_out: dict[str, str] | None = None
    ) -> dict[str, Content]:
        """What is there now, at these paths and below them. Of files that have not changed the hash is remembered.

        Files that are being written go to `changing`. What is `left_out` (and why) is not to be taken for deleted: directories that
        cannot be read, and names that differ only in case from one that was agreed on or comes first, for most other systems can have
        one of them only. `SafetyStop` if the folder is gone.
        """
        changing, left_out = (set() if changing is None else changing), ({} if left_out is None else left_out)
        found: dict[str, Content] = {}
        refreshed: list[BaseEntry] = []
        unreadable: list[str] = []
        try:
            entries = {path: stat for top in tops for path, stat in self.store.scan(top, unreadable) if self.wanted(path)}
        except StreamError as error:
            raise SafetyStop(f"{self.root} is not there any more; was it moved, or is its disk not mounted?") from error
        agreed = self._agreed(tops, entries)
        twins = {twin_key(path): path for path in agreed}
        for path in unreadable:
            if not path:
                raise SyncError(f"{self.root} cannot be read")
            left_out[path] = "the directory cannot be read"
        for path, stat in sorted(entries.items()):
            known = agreed.get(path)
            twin = twins.setdefault(twin_key(path), path)
            if twin != path and known is None and (twin in entries or twin not in agreed):
                left_out[path] = f"it differs only in case from {twin!r}; rename one of them"
                continue
            try:
                found[path] = content = self._content(path, stat, known)
            except Changed:
                changing.add(path)
                continue
            if known is not None and not stat.directory and known.hash == content.hash and not _unchanged(known, stat):
                refreshed.append(self.base_entry(path, content))
        if refreshed:
            self._state.agree(refreshed)
        return found

    def _agreed(self, tops: Collection[str], paths: Iterable[str]) -> dict[str, BaseEntry]:
        if "" in tops:
            return self._state.base()
        return {path: entry for path in paths if (entry := self._state.entry(path)) is not None}

    def look(self, path: str) -> Content | None:
        """What is there now at one path."""
        stat = self.store.stat(path)
        return None if stat is None else self._content(path, stat, self._state.entry(path))

    def _content(self, path: str, stat: Stat, known: BaseEntry | None) -> Content:
        if stat.directory:
            return Content("", is_directory=True)
        if known is not None and _unchanged(known, stat):
            return Content(known.hash, stat.size, modified_ns=stat.modified)
        try:
            hashed = self.store.hash(path)
        except (StreamError, OSError):
            hashed = None
        if hashed is None:
            raise Changed(path)
        return Content(hashed[1], hashed[0].size, modified_ns=hashed[0].modified)

    def base_entry(self, path: str, content: Content, stat: Stat | None = None) -> BaseEntry:
        """What is to be remembered of a path that both sides agree on. `stat` is of the file that had the content, if that is known.

        Without it the file must still be as it was looked at: another one may have taken its place since, with an older time.
        """
        if stat is None:
            stat = self.store.stat(path)
            if stat is not None and (stat.size, stat.modified) != (content.size, content.modified_ns):
                stat = None
        if stat is None or content.is_directory or not -MAX_INTEGER < stat.modified < MAX_INTEGER:
            return BaseEntry(path, content.hash)
        return BaseEntry(path, content.hash, stat.size, stat.modified, 0, stat.inode, time.time_ns())

    def open_file(self, path: str) -> OpenFile:
        """A file to be read. `Changed` if it is gone."""
        try:
            return self.store.read(path)
        except StreamError as error:
            raise Changed(path) from error

    def read_small(self, path: str, content: Content) -> bytes | None:
        """All of a file; None if it is not, or no longer, this content."""
        try:
            file = self.store.read(path)
        except StreamError:
            return None
        try:
            data = file.read_at(0, content.size + 1)
        finally:
            file.close()
        return data if sha256(data).hexdigest() == content.hash else None

    # -- changing --------------------------------------------------------------

    def put(self, path: str, staged: StagedFile, modified_ns: int, expected: str | None) -> Stat:
        """Put a downloaded file there. `Changed` if there is something else than expected."""
        staged.seal(modified_ns or time.time_ns(), True, 0o666 & ~_umask())  # this takes a while: only then is compared what is there
        self._check(path, expected)
        try:
            return self.store.commit(path, staged, trash_id())
        except StreamError as error:
            raise Changed(path) from error

    def put_many(self, files: Sequence[NewFile]) -> dict[str, Stat]:
        """Put many there, with one wait for the disk; returns the paths of those for which that could be done, with what is there now."""
        staged: list[StagedFile] = []
        done: dict[str, Stat] = {}
        unsynced: set[str] = set()
        mode, now = 0o666 & ~_umask(), time.time_ns()
        try:
            for new in files:
                staged.append(self.store.staging.create())
                staged[-1].write(new.data)
            flushing(lambda pair: pair[0].seal(pair[1].modified_ns or now, True, mode), list(zip(staged, files, strict=True)))
            for new, each in zip(files, staged, strict=True):
                with suppress(Changed, StreamError, OSError):
                    self._check(new.path, new.expected)
                    done[new.path] = self.store.commit(new.path, each, trash_id(), unsynced)
            self.store.sync(unsynced)
        except StreamError as error:
            raise SyncError(error.message) from error
        finally:
            for each in staged:
                if not each.committed:
                    each.discard()
        return done

    def make_directory(self, path: str) -> None:
        """Make a folder, unless it is there."""
        stat = self.store.stat(path)
        if stat is None:
            self._change(path, lambda: self.store.make_directory(path))
        elif not stat.directory:
            raise Changed(path)

    def delete(self, path: str, expected: str | None) -> None:
        """To the trash. A folder only goes if it is empty."""
        self._check(path, expected)
        stat = self.store.stat(path)
        if stat is not None and stat.directory:
            self.store.remove_directory(path)
        elif stat is not None:
            self._change(path, lambda: self.store.trash(path, trash_id()))

    def move(self, source: str, target: str, expected: str) -> Stat | None:
        """Rename a file. `Changed` if it is not what is expected, or something is where it goes."""
        self._check(source, expected)
        self._change(target, lambda: self.store.move(source, target))
        return self.store.stat(target)

    def set_aside(self, path: str, client_id: str) -> str:
        """Give the local version the name of a conflict copy; returns it."""
        now = datetime.now(UTC)
        name = conflict_name(path, f"{now:%Y%m%d-%H%M%S}", client_id)
        while self.store.stat(name) is not None:
            now = datetime.fromtimestamp(now.timestamp() + 1, UTC)
            name = conflict_name(path, f"{now:%Y%m%d-%H%M%S}", client_id)
        self._change(path, lambda: self.store.move(path, name))
        return name

    def _check(self, path: str, expected: str | None) -> None:
        content = self.look(path)
        if (None if content is None else content.hash) != expected:
            raise Changed(path)

    def _change(self, path: str, change: Callable[[], object]) -> None:
        try:
            change()
        except StreamError as error:
            raise Changed(path) from error
        except OSError as error:
            raise SyncError(f"{path}: {error.strerror}") from error


def _unchanged(known: BaseEntry, stat: Stat) -> bool:
    same = (known.size, known.mtime_ns, known.inode) == (stat.size, stat.modified, stat.inode)
    return same and known.scanned_ns - stat.modified > RACY_NS


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
