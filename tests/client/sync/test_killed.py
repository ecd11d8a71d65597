"""A client that is killed, at whatever moment: a path has its old or its new content, and nothing is nowhere."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from streaming.client.sync.errors import Changed
from streaming.client.sync.folder import LocalFolder
from streaming.client.sync.state import State

pytestmark = pytest.mark.long_form(only=True)

CHANGING = ("open", "write", "fsync", "rename", "link", "unlink", "mkdir", "utime", "fchmod", "ftruncate", "rmdir", "close")
"""The calls before and after which it is killed."""
KILLED = 77
Act = Callable[[LocalFolder], object]


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def replace(folder: LocalFolder) -> None:
    staged = folder.store.staging.create()
    staged.write(b"new")
    folder.put("dir/a", staged, 10**18, hash_of("old"))


def put_new(folder: LocalFolder) -> None:
    staged = folder.store.staging.create()
    staged.write(b"new")
    folder.put("new/deep/a", staged, 10**18, None)


ACTS: dict[str, tuple[Act, set[str]]] = {
    "replace": (replace, {"old", "other"}),
    "put": (put_new, {"old", "other"}),
    "delete": (lambda folder: folder.delete("dir/a", hash_of("old")), {"old", "other"}),
    "move": (lambda folder: folder.move("dir/a", "else/where", hash_of("old")), {"old", "other"}),
    "set aside": (lambda folder: folder.set_aside("dir/a", "me"), {"old", "other"}),
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "maps/dir").mkdir(parents=True)
    (tmp_path / "maps/dir/a").write_text("old")
    (tmp_path / "maps/dir/b").write_text("other")
    yield tmp_path


def die_at(count: int) -> None:
    """Kill this process with the call of that number, before or after it is made."""
    left = count

    def dying(name: str) -> Callable[..., object]:
        call = getattr(os, name)

        def counted(*arguments: object, **more: object) -> object:
            nonlocal left
            if left == 0:
                os._exit(KILLED)
            found = call(*arguments, **more)
            left -= 1
            return found

        return counted

    for name in CHANGING:
        setattr(os, name, dying(name))


def run_and_die(home: Path, act: Act, count: int) -> bool:
    """Whether it was killed, and not finished."""
    child = os.fork()
    if child == 0:
        try:
            state = State(home / f"state-{count}")
            folder = LocalFolder(home / "maps", state)
            folder.open()
            die_at(count)
            act(folder)
            os._exit(0)
        finally:  # it raised
            traceback.print_exc()
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED), "it failed"
    return status == KILLED


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", ACTS)
def test_nothing_is_lost_whenever_the_client_is_killed(name: str, home: Path) -> None:
    act, before = ACTS[name]
    for count in range(200):
        killed = run_and_die(home, act, count)
        folder = home / "maps"
        files = [each for each in folder.rglob("*") if each.is_file() and ".hub-uploads" not in each.parts]
        texts = {each.read_text() for each in files}
        assert before <= texts <= before | {"new"}, (count, texts)
        visible = {each for each in files if ".hub-trash" not in each.parts}
        for path in visible:
            assert path.read_text() == ("other" if path.name == "b" else "old") or (path.name == "a" and path.read_text() == "new")
        if name == "replace":
            assert (folder / "dir/a").read_text() in ("old", "new")
        elif name in ("move", "set aside"):
            assert "old" in {each.read_text() for each in visible}
        if not killed:
            assert count > 3
            return
        for path in visible:  # again, from the beginning
            path.unlink()
        (folder / "dir").mkdir(exist_ok=True)
        (folder / "dir/a").write_text("old")
        (folder / "dir/b").write_text("other")
    raise AssertionError("it was never finished")


def test_what_was_put_in_place_but_not_remembered_is_agreed_on_by_the_next_round(home: Path) -> None:
    state = State(home / "state")
    folder = LocalFolder(home / "maps", state)
    folder.open()
    replace(folder)
    with pytest.raises(Changed):  # what it was planned for is not there any more: nothing is replaced twice
        replace(folder)
    assert (home / "maps/dir/a").read_text() == "new"
    folder.close()
    state.close()
