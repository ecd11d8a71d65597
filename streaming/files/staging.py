"""Staged files: what is being uploaded. Hashed while it is written, in a folder of its own, and nowhere to be seen until it is complete.

A staged file either becomes a file of the folder, in one step, or is discarded. What a process that died has left is swept.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TypeVar

from streaming.core.errors import StreamError

BLOCK = 1024 * 1024
"""Bytes read, hashed and written at a time."""
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FLUSHES = 8
"""Files that wait for the disk at the same time: the file system writes its journal once for all of them."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StagedFile:
    """One upload. `hash` and `size` are of what was written so far, by this process."""

    def __init__(self, staging: Staging, name: str, fd: int) -> None:
        self.name = name
        self.size = os.fstat(fd).st_size
        self._staging = staging
        self._fd: int | None = fd
        self._hash = sha256()
        self.committed = False
        """Whether it has become a file."""

    @property
    def sealed(self) -> bool:
        """Whether nothing more will be written."""
        return self._fd is None

    @property
    def hash(self) -> str:
        """SHA-256 in hexadecimal digits."""
        return self._hash.hexdigest()

    @property
    def digest(self) -> bytes:
        """The same in bytes."""
        return self._hash.digest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. `StreamError("folder_full")` if the disk is."""
        assert self._fd is not None
        self._hash.update(data)
        rest = memoryview(data)
        with disk_errors():
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        self.size += len(data)

    def seal(self, modified: int, durable: bool, mode: int | None) -> None:
        """Nothing more will be written: set time and mode, and have it on the disk."""
        assert self._fd is not None
        # Always a time of our own: its digits show whether anybody has written into the file since.
        os.utime(self._fd, ns=(modified, modified))
        if mode is not None:
            os.fchmod(self._fd, mode)
        with disk_errors():
            if durable:
                os.fsync(self._fd)
        self.close()

    def rehash(self) -> None:
        """Hash what was written by others before."""
        self._hash = sha256()
        fd = self._staging.open(self.name)
        try:
            while block := os.read(fd, BLOCK):
                self._hash.update(block)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Write no more; what is there stays."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def discard(self) -> None:
        """It will never be complete."""
        self.close()
        self._staging.remove(self.name)


class Staging:
    """The folder of staged files, by an open descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def create(self, name: str | None = None) -> StagedFile:
        """A new upload."""
        name = name or f"upload-{secrets.token_hex(16)}"
        try:
            with disk_errors():
                return StagedFile(self, name, os.open(name, NEW, 0o600, dir_fd=self.fd))
        except FileNotFoundError:
            raise StreamError("folder_unavailable", "the folder of files was removed on the server's disk") from None

    def resume(self, name: str) -> StagedFile:
        """An upload that goes on where it was left. `FileNotFoundError`."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return StagedFile(self, name, os.open(name, flags, dir_fd=self.fd))

    def truncate(self, name: str, size: int) -> None:
        """Forget what was written beyond."""
        fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            os.ftruncate(fd, size)
        finally:
            os.close(fd)

    def open(self, name: str) -> int:
        """A descriptor to read from."""
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)

    def read(self, name: str) -> bytes | None:
        """All of a small file, None if it is not there."""
        try:
            fd = self.open(name)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            return file.read(BLOCK)

    def write(self, name: str, data: bytes) -> None:
        """Put a small file there in one step."""
        temporary = f"{name}.{secrets.token_hex(4)}"
        try:
            with disk_errors():
                fd = os.open(temporary, NEW, 0o600, dir_fd=self.fd)
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
            os.rename(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except BaseException:
            self.remove(temporary)
            raise

    def size(self, name: str) -> int | None:
        """Bytes of one, None if it is not there."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_size
        except FileNotFoundError:
            return None

    def bytes(self) -> int:
        """What all of them take together."""
        total = 0
        for name in os.listdir(self.fd):
            total += self.size(name) or 0
        return total

    def remove(self, name: str) -> None:
        """Remove one; it need not be there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def sweep(self, seconds: float) -> int:
        """Remove what nobody has written to for so long; returns how many."""
        before, swept = time.time() - seconds, 0
        for name in os.listdir(self.fd):
            with suppress(FileNotFoundError):
                if os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mtime < before:
                    os.unlink(name, dir_fd=self.fd)
                    swept += 1
        return swept


T = TypeVar("T")


def flushing(flush: Callable[[T], object], each: Iterable[T]) -> None:
    """Call what waits for the disk for many files at once; raises the first error."""
    with ThreadPoolExecutor(FLUSHES, thread_name_prefix="flush") as pool:
        for _ in pool.map(flush, each):
            pass


@contextmanager
def disk_errors() -> Iterator[None]:
    """A full disk is a refusal, not a failure."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StreamError("folder_full", "the disk of the folder is full") from error
        raise
