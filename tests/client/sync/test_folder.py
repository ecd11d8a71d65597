"""The local folder: what takes part, and changes that destroy nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from streaming.client.sync.errors import Changed, SafetyStop, SyncError
from streaming.client.sync.folder import LocalFolder
from streaming.client.sync.plan import Content
from streaming.client.sync.state import State


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "state")
    yield state
    state.close()


@pytest.fixture
def folder(tmp_path: Path, state: State) -> Iterator[LocalFolder]:
    folder = LocalFolder(tmp_path / "maps", state)
    folder.open()
    yield folder
    folder.close()


def put(folder: LocalFolder, path: str, text: str, expected: str | None = None) -> None:
    staged = folder.store.staging.create()
    staged.write(text.encode())
    folder.put(path, staged, 1_705_314_600_000_000_000, expected)


def trashed(folder: LocalFolder) -> list[str]:
    return [each.read_text() for each in (folder.root / ".hub-trash").iterdir()]


def test_a_scan_finds_files_and_folders_with_their_hashes(folder: LocalFolder) -> None:
    put(folder, "a/b.txt", "hello")
    found = folder.scan()
    assert found["a"].is_directory and found["a/b.txt"].hash == hash_of("hello") and len(found) == 2


def test_links_pipes_and_names_that_break_a_rule_take_no_part(folder: LocalFolder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    os.symlink(tmp_path / "secret", folder.root / "link")
    os.symlink(tmp_path, folder.root / "outside")
    os.mkfifo(folder.root / "pipe")
    (folder.root / "con.txt").write_text("x")
    assert folder.scan() == {}


def test_patterns_choose(tmp_path: Path, state: State) -> None:
    folder = LocalFolder(tmp_path / "maps", state, include=["*.tif", "keep/**"], exclude=["tmp/"])
    assert [path for path in ("a.tif", "a.txt", "keep/a.txt", "tmp/a.tif", ".hub-trash/a.tif") if folder.wanted(path)] == [
        "a.tif",
        "keep/a.txt",
    ]


def test_nothing_is_written_through_a_link(folder: LocalFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", folder.root / "maps")
    with pytest.raises((Changed, SyncError)):
        put(folder, "maps/x.txt", "x")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_replaced_or_deleted_goes_to_the_trash(folder: LocalFolder) -> None:
    put(folder, "x", "one")
    put(folder, "x", "two", expected=hash_of("one"))
    folder.delete("x", hash_of("two"))
    assert sorted(trashed(folder)) == ["one", "two"] and folder.scan() == {}


@pytest.mark.parametrize("change", ["replace", "delete", "move"])
def test_a_file_that_has_changed_meanwhile_is_left_alone(folder: LocalFolder, change: str) -> None:
    put(folder, "x", "agreed")
    (folder.root / "x").write_text("edited since")
    with pytest.raises(Changed):
        if change == "replace":
            put(folder, "x", "theirs", expected=hash_of("agreed"))
        elif change == "delete":
            folder.delete("x", hash_of("agreed"))
        else:
            folder.move("x", "y", hash_of("agreed"))
    assert (folder.root / "x").read_text() == "edited since"


def test_a_file_is_hashed_again_only_if_it_may_have_changed(folder: LocalFolder, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "x", "hello")
    state.agree([folder.base_entry("x", Content(hash_of("hello"), 5, modified_ns=1_705_314_600_000_000_000))])
    monkeypatch.setattr(folder.store, "hash", lambda path: pytest.fail("it was read"))
    assert folder.look("x") == Content(hash_of("hello"), 5, modified_ns=1_705_314_600_000_000_000)


def test_a_file_that_was_modified_just_before_it_was_looked_at_is_read_again(folder: LocalFolder, state: State) -> None:
    (folder.root / "x").write_text("hello")
    state.agree([folder.base_entry("x", Content(hash_of("hello"), 5))])
    times = (folder.root / "x").stat()
    (folder.root / "x").write_text("HELLO")
    os.utime(folder.root / "x", ns=(times.st_atime_ns, times.st_mtime_ns))
    found = folder.look("x")
    assert found is not None and found.hash == hash_of("HELLO")


def test_a_folder_that_is_gone_stops_the_sync(tmp_path: Path, state: State, folder: LocalFolder) -> None:
    folder.root.rename(tmp_path / "moved")
    with pytest.raises(SafetyStop, match="not there any more"):
        LocalFolder(tmp_path / "maps", state).open()


def test_another_folder_in_its_place_stops_the_sync(tmp_path: Path, state: State, folder: LocalFolder) -> None:
    put(folder, "x", "hello")
    state.agree([folder.base_entry("x", Content(hash_of("hello"), 5))])
    folder.root.rename(tmp_path / "moved")
    (tmp_path / "maps").mkdir()
    other = LocalFolder(tmp_path / "maps", state)
    with pytest.raises(SafetyStop, match="another folder"):
        other.open()
    other.close()


def test_two_syncs_of_one_folder_do_not_run_at_once(tmp_path: Path, state: State) -> None:
    with pytest.raises(SyncError, match="another sync"):
        State(tmp_path / "state")


def test_a_download_that_nobody_goes_on_with_is_swept(folder: LocalFolder) -> None:
    for name, age in (("download-old", 8), ("download-new", 6)):
        folder.store.staging.create(name).close()
        at = time.time() - age * 24 * 3600
        os.utime(folder.root / ".hub-uploads" / name, (at, at))
    folder.close()
    folder.open()
    assert os.listdir(folder.root / ".hub-uploads") == ["download-new"]
