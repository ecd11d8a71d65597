"""The local folder: what is in it, and changes of it that never destroy what has not been agreed on.

Files are only ever replaced and deleted when they still are what the plan was made for; what is replaced or deleted goes to the folder's
trash (`.hub-trash`). Paths are opened step by step and never through a link: a server is not trusted to choose where its files go.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pathspec

from streaming.core.errors import StreamError
from streaming.files.disk_store import DiskStore
from streaming.files.merge import conflict_name
from streaming.files.paths import is_internal, twin_key
from streaming.files.staging import StagedFile
from streaming.files.store import OpenFile, Stat, trash_id

from .errors import Changed, SafetyStop, SyncError
from .plan import Content
from .state import BaseEntry, State

RACY_NS = 2_000_000_000
"""A file that was modified so shortly before it was last looked at may have changed again without another time."""
TRASH_SECONDS = 30 * 24 * 3600


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

    def scan(self, tops: Iterable[str] = ("",), on_file: Callable[[str], None] = lambda path: None) -> dict[str, Content]:
        """What is there now, at these paths and below them. Of files that have not changed the hash is remembered.

        Of names that differ only in case the first one takes part: most other systems can have one of them only.
        """
        found: dict[str, Content] = {}
        twins: dict[str, str] = {}
        for top in tops:
            for path, stat in sorted(self.store.scan(top)):
                if not self.wanted(path) or twins.setdefault(twin_key(path), path) != path:
                    continue
                on_file(path)
                if (content := self._content(path, stat)) is not None:
                    found[path] = content
        return found

    def look(self, path: str) -> Content | None:
        """What is there now at one path."""
        stat = self.store.stat(path)
        return None if stat is None else self._content(path, stat)

    def _content(self, path: str, stat: Stat) -> Content | None:
        if stat.directory:
            return Content("", is_directory=True)
        known = self._state.entry(path)
        if known is not None and _unchanged(known, stat):
            return Content(known.hash, stat.size, modified_ns=stat.modified)
        try:
            hashed = self.store.hash(path)
        except (StreamError, OSError):
            hashed = None
        if hashed is None:
            raise Changed(path)
        return Content(hashed[1], hashed[0].size, modified_ns=hashed[0].modified)

    def base_entry(self, path: str, content: Content) -> BaseEntry:
        """What is to be remembered of a path that both sides agree on."""
        stat = self.store.stat(path)
        if stat is None or content.is_directory:
            return BaseEntry(path, content.hash)
        return BaseEntry(path, content.hash, stat.size, stat.modified, 0, stat.inode, time.time_ns())

    def open_file(self, path: str) -> OpenFile:
        """A file to be read. `Changed` if it is gone."""
        try:
            return self.store.read(path)
        except StreamError as error:
            raise Changed(path) from error

    # -- changing --------------------------------------------------------------

    def put(self, path: str, staged: StagedFile, modified_ns: int, expected: str | None) -> None:
        """Put a downloaded file there. `Changed` if there is something else than expected."""
        self._check(path, expected)
        staged.seal(modified_ns or time.time_ns(), True, 0o666 & ~_umask())
        try:
            self.store.commit(path, staged, trash_id())
        except StreamError as error:
            raise Changed(path) from error

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

    def move(self, source: str, target: str, expected: str) -> None:
        """Rename a file. `Changed` if it is not what is expected, or something is where it goes."""
        self._check(source, expected)
        self._change(target, lambda: self.store.move(source, target))

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
