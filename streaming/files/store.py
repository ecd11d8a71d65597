"""A store: keeps the bytes of files under their paths. It knows nothing of users, conditions or announcements.

Paths are clean (`paths.py`). Everything here may block, and is called in threads; a caller holds the lock of the path it changes.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from streaming.core.errors import StreamError

from .metadata import FileRecord
from .staging import BLOCK, StagedFile, Staging


class Stat(NamedTuple):
    """What a store knows of a file without reading it. `modified` is nanoseconds, `inode` 0 where there is none."""

    size: int
    modified: int
    inode: int = 0
    directory: bool = False

    def is_of(self, record: FileRecord) -> bool:
        """Whether this is the file that a record describes, as far as can be known without reading it."""
        if self.directory or record.directory:
            return self.directory and record.directory
        return (self.size, self.modified, self.inode) == (record.size, record.modified, record.inode)

    def record(self, hash: str) -> FileRecord:
        """The record of it."""
        return FileRecord(self.size, hash, self.modified, self.directory, self.inode)


class OpenFile(Protocol):
    """A file that is open to be read, wherever the reader wants."""

    stat: Stat

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from there, fewer at the end."""

    def close(self) -> None:
        """Read no more."""


class Store(ABC):
    """Base class of stores."""

    staging: Staging
    folder: Path | None = None
    """The folder that others may change, to be watched."""

    @property
    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything to be opened."""

    @abstractmethod
    def open(self) -> None:
        """Begin; what is not there yet is made."""

    @abstractmethod
    def close(self) -> None:
        """End."""

    @abstractmethod
    def stat(self, path: str) -> Stat | None:
        """The file or directory; None for what is not there, or is neither (a link, a device)."""

    @abstractmethod
    def read(self, path: str) -> OpenFile:
        """Open a file. `StreamError("not_found")` or `is_directory`."""

    @abstractmethod
    def commit(self, path: str, staged: StagedFile, trash: str | None, unsynced: set[str] | None = None) -> Stat:
        """Put a sealed upload there in one step, with the directories above it. What was there goes to the trash under that id, or is gone.

        With `unsynced`, it is on the disk for good only after `sync` of the directories that are added there.
        `StreamError`: is_directory, not_a_directory, exists for what is neither file nor directory.
        """

    def sync(self, directories: Collection[str]) -> None:  # noqa: B027 (most have nothing to do)
        """Have what was committed into these directories on the disk."""

    @abstractmethod
    def move(self, source: str, target: str, trash: str | None = None) -> None:
        """Move a file or a whole directory to where nothing is. With `trash`: a file in the place of another, which goes to the trash.

        `StreamError`: not_found, exists, not_a_directory.
        """

    @abstractmethod
    def make_directory(self, path: str) -> Stat:
        """Make a directory, and those above it. `StreamError`: exists, not_a_directory."""

    @abstractmethod
    def remove_directory(self, path: str) -> bool:
        """Remove a directory if it is empty; returns whether it is gone."""

    @abstractmethod
    def scan(self, top: str = "", unreadable: list[str] | None = None) -> Iterator[tuple[str, Stat]]:
        """Everything in a directory, at any depth, whose path is clean. A `top` that is a file is itself all that there is.

        Directories that cannot be read are added to `unreadable`: nobody knows what is in them. Without it they are an `OSError`.
        """

    @abstractmethod
    def trash(self, path: str, id: str) -> None:
        """Move a file or a whole directory to the trash. `StreamError("not_found")`."""

    @abstractmethod
    def trashed(self, id: str) -> Stat | None:
        """What is in the trash under this id."""

    @abstractmethod
    def restore(self, id: str, path: str, trash: str | None = None) -> None:
        """Move something from the trash to where nothing is. With `trash`: a file in the place of another, which goes there.

        `StreamError`: not_found, exists.
        """

    @abstractmethod
    def empty_trash(self, before: int) -> int:
        """Remove for good what was put there before a time in milliseconds; returns how many."""

    @property
    def free_bytes(self) -> int | None:
        """What the disk has room for, where that is known."""
        return None

    def hash(self, path: str) -> tuple[Stat, str] | None:
        """A file's content, if it does not change while it is read. `StreamError` as for `read`."""
        file = self.read(path)
        try:
            content, offset = sha256(), 0
            while block := file.read_at(offset, BLOCK):
                content.update(block)
                offset += len(block)
        finally:
            file.close()
        unchanged = self.stat(path) == file.stat and offset == file.stat.size
        return (file.stat, content.hexdigest()) if unchanged else None


def trash_id() -> str:
    """A new name in the trash: begins with the time in milliseconds."""
    return f"{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(4)}"


def trashed_at(id: str) -> int:
    """The time in a name in the trash; 0 for what is none."""
    time_text = id.partition("-")[0]
    return int(time_text) if time_text.isascii() and time_text.isdigit() else 0


def not_in_trash() -> StreamError:
    """The refusal of what was restored meanwhile, or was kept for long enough."""
    return StreamError("not_found", "this is not in the trash any more")


def not_found(path: str) -> StreamError:
    """The refusal of what is not there."""
    return StreamError("not_found", f"there is nothing at {path[:200]!r}")
