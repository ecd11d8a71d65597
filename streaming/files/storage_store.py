"""The store on a storage of Django's, such as a bucket: without directories, without inodes, and without renaming in one step.

What is uploaded is staged on this machine and sent to the storage when it is complete. Nobody watches a storage; it is compared with
the feed now and then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import Storage

from streaming.core.errors import StreamError

from .paths import PathError, clean_path
from .staging import FOLDER, StagedFile, Staging
from .store import Stat, Store, not_found, not_in_trash, trashed_at

TRASH = ".hub-trash"


class StorageFile:
    """A file of a storage that is open to be read."""

    def __init__(self, file: Any, stat: Stat) -> None:
        self._file = file
        self.stat = stat

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from there."""
        self._file.seek(offset)
        data: bytes = self._file.read(size)
        return data

    def close(self) -> None:
        """Read no more."""
        self._file.close()


class StorageStore(Store):
    """A storage. Uploads are staged in a folder of this machine."""

    def __init__(self, storage: Storage, staging_folder: Path) -> None:
        self._storage = storage
        self._staging_folder = staging_folder
        self._open = False

    @property
    def exists(self) -> bool:
        return True

    def open(self) -> None:
        if not self._open:
            self._staging_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.staging = Staging(os.open(self._staging_folder, FOLDER))
            self._open = True

    def close(self) -> None:
        if self._open:
            os.close(self.staging.fd)
            self._open = False

    def stat(self, path: str) -> Stat | None:
        with suppress(FileNotFoundError, IsADirectoryError):
            if self._storage.exists(path) and not self._is_folder(path):
                modified = self._storage.get_modified_time(path)
                return Stat(self._storage.size(path), int(modified.timestamp() * 1e6) * 1000)
        return None

    def read(self, path: str) -> StorageFile:
        found = self.stat(path)
        if found is None:
            raise not_found(path)
        return StorageFile(self._storage.open(path, "rb"), found)

    def commit(self, path: str, staged: StagedFile, trash: str | None, unsynced: set[str] | None = None) -> Stat:
        if self.stat(path) is not None:
            if trash is not None:
                self._copy(path, f"{TRASH}/{trash}")
            self._storage.delete(path)
        with os.fdopen(self.staging.open(staged.name), "rb") as content:
            self._save(path, content)
        staged.discard()
        found = self.stat(path)
        if found is None:
            raise not_found(path)
        return found

    def move(self, source: str, target: str, trash: str | None = None) -> None:
        self._make_way(target, trash)
        for path, _ in list(self.scan(source)):
            self._move(path, target + path[len(source) :])

    def make_directory(self, path: str) -> Stat:
        """There are none; that one was made is in the feed alone."""
        if self.stat(path) is not None:
            raise StreamError("exists", f"there is something at {path[:200]!r} already")
        return Stat(0, 0, directory=True)

    def remove_directory(self, path: str) -> bool:
        return True

    def scan(self, top: str = "", unreadable: list[str] | None = None) -> Iterator[tuple[str, Stat]]:
        found = self.stat(top) if top else None
        if found is not None:
            yield top, found
            return
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                folders, names = self._storage.listdir(folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            inside = [f"{folder}/{name}" if folder else name for name in (*folders, *names)]
            waiting += filter(_is_clean, inside[: len(folders)])
            for path in filter(_is_clean, inside[len(folders) :]):
                if (found := self.stat(path)) is not None:
                    yield path, found

    def trash(self, path: str, id: str) -> None:
        found = list(self.scan(path))
        for inner, _ in found:
            self._move(inner, f"{TRASH}/{id}{inner[len(path) :]}")

    def trashed(self, id: str) -> Stat | None:
        found = self._in_trash(id) if trashed_at(id) and "/" not in id else []
        if not found:
            return None
        return self.stat(f"{TRASH}/{id}") if found == [""] else Stat(0, trashed_at(id) * 1_000_000, directory=True)

    def restore(self, id: str, path: str, trash: str | None = None) -> None:
        if self.trashed(id) is None:
            raise not_in_trash()
        self._make_way(path, trash)
        for inner in self._in_trash(id):
            self._move(f"{TRASH}/{id}{inner}", path + inner)

    def empty_trash(self, before: int) -> int:
        try:
            folders, names = self._storage.listdir(TRASH)
        except FileNotFoundError:
            return 0
        old = [id for id in (*folders, *names) if 0 < trashed_at(id) < before]
        for id in old:
            for inner in self._in_trash(id):
                self._storage.delete(f"{TRASH}/{id}{inner}")
        return len(old)

    def _in_trash(self, id: str) -> list[str]:
        """The files of what is in the trash: "" for a file, else what follows the id of each."""
        if self.stat(f"{TRASH}/{id}") is not None:
            return [""]
        found, waiting = [], [""]
        while waiting:
            folder = waiting.pop()
            with suppress(FileNotFoundError, NotADirectoryError):
                folders, names = self._storage.listdir(f"{TRASH}/{id}{folder}")
                waiting += [f"{folder}/{name}" for name in folders]
                found += [f"{folder}/{name}" for name in names]
        return found

    def _make_way(self, path: str, trash: str | None) -> None:
        """Something else is about to take this place. `StreamError("exists")` if it may not."""
        if self.stat(path) is None:
            return
        if trash is None:
            raise StreamError("exists", f"there is something at {path[:200]!r} already")
        self._move(path, f"{TRASH}/{trash}")

    def _is_folder(self, path: str) -> bool:
        """Storages in folders of a disk say of those too that they exist."""
        try:
            return Path(self._storage.path(path)).is_dir()
        except NotImplementedError:
            return False

    def _move(self, source: str, target: str) -> None:
        self._copy(source, target)
        self._storage.delete(source)

    def _copy(self, source: str, target: str) -> None:
        with self._storage.open(source, "rb") as content:
            self._save(target, content)

    def _save(self, path: str, content: Any) -> None:
        name = self._storage.save(path, File(content))
        if name != path:  # the storage found something there, and chose another name
            self._storage.delete(name)
            raise StreamError("exists", f"there is something at {path[:200]!r} already")


def _is_clean(path: str) -> bool:
    try:
        return clean_path(path) == path
    except PathError:
        return False
