"""The store on a disk: a folder that other programs may work in as well.

Every path is opened step by step from the folder's own descriptor, and no step follows a link: what others put there, at whatever
moment, leads nowhere outside. Only files and directories count; links, devices and pipes are as if they were not there.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streaming.core.errors import StreamError

from .paths import PathError, clean_path
from .staging import BLOCK, FOLDER, NEW, StagedFile, Staging, disk_errors, flushing
from .store import Stat, Store, not_found, not_in_trash, trashed_at

logger = logging.getLogger(__name__)

UPLOADS, TRASH = ".hub-uploads", ".hub-trash"
COMMIT_TRIES = 3
_NO_WAY = (errno.ENOTDIR, errno.ELOOP)
_NOT_NOW = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE)
"""Errors that say nothing about whether there is a file."""
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV)


class DiskFile:
    """A file of the store that is open to be read."""

    def __init__(self, fd: int, stat: Stat) -> None:
        self._fd = fd
        self.stat = stat

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from there."""
        return os.pread(self._fd, size, offset)

    def close(self) -> None:
        """Read no more."""
        os.close(self._fd)


class DiskStore(Store):
    """A folder. `durable`: what was answered is on the disk, whatever happens to the machine."""

    def __init__(self, folder: Path, durable: bool = True) -> None:
        self.folder = folder
        self._durable = durable
        self._root = self._trash = -1

    @property
    def exists(self) -> bool:
        assert self.folder is not None
        return self.folder.is_dir()

    def open(self) -> None:
        assert self.folder is not None
        if self._root >= 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        root = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in (UPLOADS, TRASH):
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=root)
        self.staging = Staging(os.open(UPLOADS, FOLDER, dir_fd=root))
        self._trash = os.open(TRASH, FOLDER, dir_fd=root)
        self._root = root

    def close(self) -> None:
        if self._root >= 0:
            for fd in (self._root, self._trash, self.staging.fd):
                os.close(fd)
        self._root = self._trash = -1

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self._root)
        return found.f_bavail * found.f_frsize

    # -- reading -------------------------------------------------------------

    def stat(self, path: str) -> Stat | None:
        try:
            with self._parent(path) as (parent, name):
                return _stat(parent, name)
        except StreamError as error:
            if error.code == "folder_unavailable":
                raise
            return None

    def read(self, path: str) -> DiskFile:
        try:
            with self._parent(path) as (parent, name):
                # Not blocking: to open a pipe would wait for its writer.
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except StreamError as error:
            raise (error if error.code == "folder_unavailable" else not_found(path)) from error
        except OSError as error:
            if error.errno in _NOT_NOW:
                raise
            raise not_found(path) from error
        found = _as_stat(os.fstat(fd))
        if found is None or found.directory:
            os.close(fd)
            raise not_found(path) if found is None else StreamError("is_directory", f"{path[:200]!r} is a directory")
        return DiskFile(fd, found)

    def scan(self, top: str = "", unreadable: list[str] | None = None) -> Iterator[tuple[str, Stat]]:
        if top:
            try:
                found = self.stat(top)
            except OSError as error:
                _leave_out(top, error, unreadable)
                return
            if found is None or not found.directory:
                if found is not None:
                    yield top, found
                return
            yield top, found
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                entries = self._entries(folder)
            except OSError as error:
                _leave_out(folder, error, unreadable)
                continue
            for path, found in entries:
                yield path, found
                if found.directory:
                    waiting.append(path)

    def _entries(self, folder: str) -> list[tuple[str, Stat]]:
        """What is in a directory; nothing if it is gone, or something else by now. `OSError` if that cannot be known."""
        entries = []
        try:
            with self._directory(folder) as fd:
                for name in os.listdir(fd):
                    path = f"{folder}/{name}" if folder else name
                    found = _stat(fd, name) if _is_clean(path) else None
                    if found is not None:
                        entries.append((path, found))
        except FileNotFoundError:
            return []
        except StreamError as error:
            if error.code == "folder_unavailable":
                raise
            return []
        return entries

    # -- changing ------------------------------------------------------------

    def commit(self, path: str, staged: StagedFile, trash: str | None, unsynced: set[str] | None = None) -> Stat:
        for _ in range(COMMIT_TRIES - 1):
            # A directory that was just found empty may be removed at this very moment.
            with suppress(FileNotFoundError):
                return self._commit(path, staged, trash, unsynced)
        return self._commit(path, staged, trash, unsynced)

    def sync(self, directories: Collection[str]) -> None:
        if self._durable:
            flushing(self._sync_directory, directories)

    def _sync_directory(self, path: str) -> None:
        with suppress(StreamError), self._directory(path) as fd:  # one that is gone has nothing to be kept
            os.fsync(fd)

    def _commit(self, path: str, staged: StagedFile, trash: str | None, unsynced: set[str] | None) -> Stat:
        with disk_errors(), self._parent(path, make=True) as (parent, name):
            found = _look(parent, name)
            if found is not None:
                if stat.S_ISDIR(found.st_mode):
                    raise StreamError("is_directory", f"{path[:200]!r} is a directory")
                if not stat.S_ISREG(found.st_mode):
                    raise StreamError("exists", f"{path[:200]!r} is no file on the server's disk")
                if trash is not None:
                    self._keep(parent, name, trash)
            os.rename(staged.name, name, src_dir_fd=self.staging.fd, dst_dir_fd=parent)
            staged.committed = True
            if unsynced is None:
                self._sync(parent)
            else:
                unsynced.add(path.rpartition("/")[0])
            result = _stat(parent, name)
        if result is None:
            raise not_found(path)
        return result

    def move(self, source: str, target: str, trash: str | None = None) -> None:
        with disk_errors(), self._parent(source) as (parent, name):
            found = _stat(parent, name)
            if found is None:
                raise not_found(source)
            with self._parent(target, make=True) as (new_parent, new_name):
                same = _look(new_parent, new_name)
                if same is not None and same.st_ino != found.inode:  # a change of case only may find itself
                    self._make_way(new_parent, new_name, target, trash)
                _rename(parent, name, new_parent, new_name, found.directory or same is not None)
                self._sync(new_parent)
            self._sync(parent)

    def make_directory(self, path: str) -> Stat:
        with disk_errors(), self._parent(path, make=True) as (parent, name):
            try:
                os.mkdir(name, dir_fd=parent)
            except FileExistsError:
                raise StreamError("exists", f"there is something at {path[:200]!r} already") from None
            self._sync(parent)
            found = _stat(parent, name)
        if found is None:
            raise not_found(path)
        return found

    def remove_directory(self, path: str) -> bool:
        try:
            with self._parent(path) as (parent, name):
                os.rmdir(name, dir_fd=parent)
        except (OSError, StreamError):
            return False
        return True

    # -- the trash -------------------------------------------------------------

    def trash(self, path: str, id: str) -> None:
        with self._parent(path) as (parent, name):
            if _stat(parent, name) is None:
                raise not_found(path)
            os.rename(name, id, src_dir_fd=parent, dst_dir_fd=self._trash)
            self._sync(parent)

    def trashed(self, id: str) -> Stat | None:
        return _stat(self._trash, id) if trashed_at(id) and "/" not in id else None

    def restore(self, id: str, path: str, trash: str | None = None) -> None:
        found = self.trashed(id)
        if found is None:
            raise not_in_trash()
        with disk_errors(), self._parent(path, make=True) as (parent, name):
            there = _look(parent, name) is not None
            if there:
                self._make_way(parent, name, path, trash)
            _rename(self._trash, id, parent, name, found.directory or there)
            self._sync(parent)

    def empty_trash(self, before: int) -> int:
        removed = 0
        for id in os.listdir(self._trash):
            if not 0 < trashed_at(id) < before:
                continue
            found = _look(self._trash, id)
            if found is not None and stat.S_ISDIR(found.st_mode):
                shutil.rmtree(id, ignore_errors=True, dir_fd=self._trash)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(id, dir_fd=self._trash)
            removed += 1
        return removed

    def _make_way(self, parent: int, name: str, path: str, trash: str | None) -> None:
        """Something else is about to take this place. `StreamError("exists")` if it may not."""
        found = _stat(parent, name)
        if trash is None or found is None or found.directory:
            raise StreamError("exists", f"there is something at {path[:200]!r} already")
        self._keep(parent, name, trash)

    def _keep(self, parent: int, name: str, id: str) -> None:
        """A second name in the trash: the path itself has its old content until it has the new one."""
        try:
            os.link(name, id, src_dir_fd=parent, dst_dir_fd=self._trash, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(parent, name, self._trash, id)

    # -- the way there ---------------------------------------------------------

    @contextmanager
    def _parent(self, path: str, make: bool = False) -> Iterator[tuple[int, str]]:
        folder, _, name = path.rpartition("/")
        with self._directory(folder, make) as fd:
            yield fd, name

    @contextmanager
    def _directory(self, path: str, make: bool = False) -> Iterator[int]:
        """A directory of the folder. `StreamError`: not_found, not_a_directory for a way through something else, folder_unavailable."""
        self._check_root()
        fd = os.dup(self._root)
        try:
            for segment in path.split("/") if path else ():
                inner = self._step(fd, segment, make)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    def _check_root(self) -> None:
        """A folder that was removed or replaced, or whose disk is gone, is not an empty one."""
        assert self.folder is not None
        opened = os.fstat(self._root)
        with suppress(OSError):
            found = os.stat(self.folder)
            if (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino):
                return
        raise StreamError("folder_unavailable", "the folder of files was removed or replaced on the server's disk")

    def _step(self, fd: int, segment: str, make: bool) -> int:
        try:
            return os.open(segment, FOLDER, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise StreamError("not_found", "there is no such directory") from None
        except OSError as error:
            if error.errno in _NO_WAY:
                raise StreamError("not_a_directory", f"{segment[:100]!r} is not a directory") from None
            raise
        with suppress(FileExistsError):
            os.mkdir(segment, dir_fd=fd)
            self._sync(fd)
        return self._step(fd, segment, make=False)

    def _sync(self, fd: int) -> None:
        if self._durable:
            os.fsync(fd)


def _leave_out(folder: str, error: OSError, unreadable: list[str] | None) -> None:
    if unreadable is None:
        raise error
    logger.warning("%r cannot be read and is taken as it was: %s", folder, error.strerror)
    unreadable.append(folder)


def _is_clean(path: str) -> bool:
    try:
        return clean_path(path) == path
    except PathError as error:
        if error.rule != "internal":
            logger.info("%r is left out: %s", path, error)
        return False


def _look(fd: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _stat(fd: int, name: str) -> Stat | None:
    found = _look(fd, name)
    return None if found is None else _as_stat(found)


def _as_stat(found: os.stat_result) -> Stat | None:
    if stat.S_ISREG(found.st_mode):
        return Stat(found.st_size, found.st_mtime_ns, found.st_ino)
    if stat.S_ISDIR(found.st_mode):
        return Stat(0, found.st_mtime_ns, found.st_ino, directory=True)
    return None


def _rename(source: int, name: str, target: int, new_name: str, replace: bool) -> None:
    """Rename. A file goes nowhere where something has appeared meanwhile: a new name is made, then the old one removed."""
    if not replace:
        try:
            os.link(name, new_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except FileExistsError:
            raise StreamError("exists", "there is something at the new path already") from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            os.unlink(name, dir_fd=source)
            return
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise StreamError("bad_request", "a directory cannot be moved into itself") from None
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR):
            raise StreamError("exists", "there is something at the new path already") from None
        raise


def _copy(source: int, name: str, target: int, new_name: str) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        writing = os.open(new_name, NEW, 0o600, dir_fd=target)
        try:
            while block := os.read(reading, BLOCK):
                os.write(writing, block)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
