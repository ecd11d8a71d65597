"""What every store does, on a disk and on a storage of Django's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage, InMemoryStorage

from streaming.core.errors import StreamError
from streaming.files.disk_store import DiskStore
from streaming.files.staging import StagedFile
from streaming.files.storage_store import StorageStore
from streaming.files.store import Store, trash_id

Put = Callable[..., None]


@pytest.fixture(params=["disk", "folder storage", "memory storage"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store
    if request.param == "disk":
        made = DiskStore(tmp_path / "files")
    elif request.param == "folder storage":
        made = StorageStore(FileSystemStorage(tmp_path / "files"), tmp_path / "uploads")
    else:
        made = StorageStore(InMemoryStorage(), tmp_path / "uploads")
    made.open()
    yield made
    made.close()


def staged(store: Store, content: bytes, modified: int = 1_700_000_000_000_000_000) -> StagedFile:
    upload = store.staging.create()
    upload.write(content)
    upload.seal(modified, durable=True, mode=0o644)
    return upload


def put(store: Store, path: str, content: bytes, trash: str | None = None) -> None:
    store.commit(path, staged(store, content), trash)


def content(store: Store, path: str) -> bytes:
    file = store.read(path)
    try:
        return file.read_at(0, 1000)
    finally:
        file.close()


def files(store: Store) -> list[str]:
    return sorted(path for path, stat in store.scan() if not stat.directory)


def refused(code: str, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(StreamError) as error:
        call(*arguments)
    assert error.value.code == code


def test_what_is_put_there_is_there(store: Store) -> None:
    put(store, "a/b/c.txt", b"hello")
    stat = store.stat("a/b/c.txt")
    assert stat is not None and stat.size == 5 and not stat.directory
    assert content(store, "a/b/c.txt") == b"hello"
    assert files(store) == ["a/b/c.txt"]
    hashed = store.hash("a/b/c.txt")
    assert hashed is not None and hashed[1].startswith("2cf24dba")


def test_a_range_is_read(store: Store) -> None:
    put(store, "a.txt", b"hello")
    file = store.read("a.txt")
    assert (file.read_at(1, 3), file.read_at(4, 10), file.read_at(9, 1)) == (b"ell", b"o", b"")
    file.close()


def test_nothing_is_where_nothing_is(store: Store) -> None:
    assert store.stat("a") is None
    refused("not_found", store.read, "a")
    refused("not_found", store.read, "a/b/c")


def test_what_is_replaced_is_in_the_trash(store: Store) -> None:
    put(store, "a.txt", b"old")
    id = trash_id()
    put(store, "a.txt", b"new", id)
    assert content(store, "a.txt") == b"new"
    store.restore(id, "back.txt")
    assert content(store, "back.txt") == b"old"
    refused("not_found", store.restore, id, "again.txt")


def test_what_is_deleted_comes_back(store: Store) -> None:
    put(store, "a/b.txt", b"x")
    id = trash_id()
    store.trash("a/b.txt", id)
    assert files(store) == []
    put(store, "other.txt", b"y")
    refused("exists", store.restore, id, "other.txt")
    store.restore(id, "a/b.txt")
    assert content(store, "a/b.txt") == b"x"


def test_the_trash_is_emptied_by_age(store: Store) -> None:
    for id in ("0000000001000-a", "0000000002000-b"):
        put(store, "a.txt", b"x")
        store.trash("a.txt", id)
    assert store.empty_trash(1500) == 1
    refused("not_found", store.restore, "0000000001000-a", "a.txt")
    store.restore("0000000002000-b", "a.txt")


def test_files_and_directories_are_moved(store: Store) -> None:
    put(store, "a/b.txt", b"b")
    put(store, "a/c/d.txt", b"d")
    store.move("a/b.txt", "x/y.txt")
    store.move("a", "z")
    assert files(store) == ["x/y.txt", "z/c/d.txt"]
    assert content(store, "z/c/d.txt") == b"d"


def test_a_move_replaces_nothing(store: Store) -> None:
    put(store, "a.txt", b"a")
    put(store, "b.txt", b"b")
    refused("exists", store.move, "a.txt", "b.txt")
    assert (content(store, "a.txt"), content(store, "b.txt")) == (b"a", b"b")


def test_names_from_elsewhere_do_not_leave_the_trash(store: Store) -> None:
    put(store, "a.txt", b"a")
    for id in ("../a.txt", "..", "", "1/../../a.txt", "x"):
        refused("not_found", store.restore, id, "b.txt")


def test_what_is_left_of_uploads_is_swept(store: Store) -> None:
    upload = store.staging.create()
    upload.write(b"x")
    upload.close()
    assert store.staging.sweep(3600) == 0
    os.utime(upload.name, (1, 1), dir_fd=store.staging.fd) if os.utime in os.supports_dir_fd else None
    assert store.staging.sweep(3600) == 1
    assert os.listdir(store.staging.fd) == []


def test_a_directory_of_a_disk(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "files")
    store.open()
    assert store.make_directory("a/b").directory
    refused("exists", store.make_directory, "a/b")
    put(store, "a/b/c.txt", b"x")
    refused("is_directory", store.read, "a/b")
    refused("is_directory", put, store, "a/b", b"x")
    refused("not_a_directory", put, store, "a/b/c.txt/d", b"x")
    refused("bad_request", store.move, "a", "a/b/a")
    assert not store.remove_directory("a/b")
    store.trash("a/b", trash_id())
    assert store.remove_directory("a")
    assert [path for path, _ in store.scan()] == []
    store.close()


def test_stored_files_have_the_permissions_of_djangos_uploads(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "files")
    store.open()
    put(store, "a.txt", b"x")
    assert (tmp_path / "files/a.txt").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "files/.hub-trash").stat().st_mode & 0o777 == 0o700
    store.close()
