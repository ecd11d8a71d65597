"""File sync between two folders of two clients and a server: processes, sockets and disks as they are."""

from __future__ import annotations

import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.processes import Process, run
from tests.profiles import examples
from tests.server_process import ServerProcess

SYNC = (sys.executable, "-m", "streaming.client.sync")
SECONDS = 30.0
INTERNAL = (".hub-trash", ".hub-uploads")


@pytest.fixture(scope="module")
def server(serve: Serve) -> ServerProcess:
    return serve(GEOSTREAM_FILES_ANONYMOUS="*=list read write delete")


class Laptop:
    """A client with a folder and a state of its own."""

    def __init__(self, server: ServerProcess, home: Path) -> None:
        self.folder, self._server, self._home = home / "maps", server, home
        self.process: Process | None = None
        home.mkdir()

    def command(self, *options: str) -> tuple[str, ...]:
        return (*SYNC, "--server", self._server.url, "--local-path", str(self.folder), "--state-dir", str(self._home / "state"), *options)

    def sync(self, *options: str) -> int:
        ended = run(*self.command(*options), check=False)
        print(ended.stdout, ended.stderr)
        return ended.returncode

    def start(self) -> None:
        with (self._home / "log").open("a") as log:
            self.process = Process(*self.command("--realtime"), stdout=log, stderr=log)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()
        self.process.end()
        self.process = None

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def tree(self) -> dict[str, str | None]:
        """The contents of all files; folders are None."""
        found: dict[str, str | None] = {}
        for each in self.folder.rglob("*"):
            path = each.relative_to(self.folder).as_posix()
            if path.partition("/")[0] not in INTERNAL:
                found[path] = None if each.is_dir() else each.read_text()
        return found


@pytest.fixture
def laptops(server: ServerProcess, tmp_path: Path) -> Iterator[tuple[Laptop, Laptop]]:
    """Two of them, and an empty folder on the server."""
    pair = Laptop(server, tmp_path / "one"), Laptop(server, tmp_path / "two")
    yield pair
    for each in pair:
        if each.process is not None:
            each.process.end()
    cleaner = Laptop(server, tmp_path / "cleaner")
    cleaner.folder.mkdir()
    assert cleaner.sync("--mode", "mirror", "--quiet") == 0
    shutil.rmtree(cleaner.folder)
    cleaner.folder.mkdir()
    assert cleaner.sync("--force-delete", "--quiet") in (0, 1)


def until(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def test_folders_are_the_same_after_a_sync(laptops: tuple[Laptop, Laptop]) -> None:
    one, two = laptops
    one.write("maps/deep/straße.txt", "hello")
    one.write("empty", "")
    (one.folder / "nothing in it").mkdir()
    assert one.sync() == 0 and two.sync() == 0
    assert (
        two.tree() == one.tree() == {"maps": None, "maps/deep": None, "maps/deep/straße.txt": "hello", "empty": "", "nothing in it": None}
    )


def test_files_of_the_same_content_are_downloaded_at_once(laptops: tuple[Laptop, Laptop]) -> None:
    one, two = laptops
    for name in "abcdefgh":
        one.write(name, "the same")
    assert one.sync() == 0 and two.sync() == 0
    assert two.tree() == one.tree()


def test_edits_renames_and_deletions_reach_the_other_side(laptops: tuple[Laptop, Laptop]) -> None:
    one, two = laptops
    for name in "abcd":
        one.write(name, f"this is {name}")
    assert one.sync() == 0 and two.sync() == 0
    two.write("a", "edited")
    (two.folder / "b").rename(two.folder / "moved")
    (two.folder / "c").unlink()
    assert two.sync() == 0 and one.sync() == 0
    assert one.tree() == {"a": "edited", "moved": "this is b", "d": "this is d"}


def test_a_conflict_keeps_both_versions(laptops: tuple[Laptop, Laptop]) -> None:
    one, two = laptops
    one.write("x.tif", "agreed")
    assert one.sync() == 0 and two.sync() == 0
    one.write("x.tif", "one")
    two.write("x.tif", "two")
    assert one.sync() == 0
    assert two.sync() == 4
    assert one.sync() == 0
    assert sorted(filter(None, one.tree().values())) == ["one", "two"] and one.tree() == two.tree()
    assert one.tree()["x.tif"] == "one"


@pytest.mark.parametrize(("strategy", "kept"), [("server", "one"), ("client", "two"), ("newer", "two")])
def test_a_strategy_decides_a_conflict(laptops: tuple[Laptop, Laptop], strategy: str, kept: str) -> None:
    one, two = laptops
    one.write("x", "one")
    assert one.sync() == 0
    two.write("x", "two")
    assert two.sync("--conflicts", strategy) == 0
    assert two.tree() == {"x": kept}


def test_an_emptied_folder_deletes_nothing_unless_told_to(laptops: tuple[Laptop, Laptop]) -> None:
    one, two = laptops
    one.write("x", "hello")
    assert one.sync() == 0
    (one.folder / "x").unlink()
    assert one.sync() == 3
    assert two.sync() == 0 and two.tree() == {"x": "hello"}
    assert one.sync("--force-delete") == 0
    assert two.sync("--force-delete") == 0 and two.tree() == {}


def test_a_dry_run_changes_nothing(laptops: tuple[Laptop, Laptop]) -> None:
    one, two = laptops
    one.write("x", "hello")
    assert one.sync("--dry-run") == 0
    assert two.sync() == 0 and two.tree() == {}


def test_a_server_that_is_not_there_and_options_that_make_no_sense_have_their_exit_codes(laptops: tuple[Laptop, Laptop]) -> None:
    one, _ = laptops
    assert one.sync("--server", "http://127.0.0.1:9") == 1
    assert one.sync("--server", "ftp://example.org") == 2


def test_changes_go_both_ways_as_they_happen(laptops: tuple[Laptop, Laptop]) -> None:
    one, two = laptops
    for each in laptops:
        each.start()
    until(lambda: all(each.folder.is_dir() for each in laptops), lambda: "no folders")
    one.write("a/x", "from one")
    two.write("b/y", "from two")
    until(lambda: one.tree() == two.tree() and len(one.tree()) == 4, lambda: (one.tree(), two.tree()))
    (one.folder / "b").rename(one.folder / "c")
    until(lambda: "c/y" in two.tree() and "b" not in two.tree(), two.tree)
    for each in laptops:
        each.kill(signal.SIGTERM)
    assert one.tree() == {"a": None, "a/x": "from one", "c": None, "c/y": "from two"} == two.tree()


def test_a_large_upload_goes_on_after_its_client_was_killed(laptops: tuple[Laptop, Laptop], server: ServerProcess) -> None:
    one, two = laptops
    one.folder.mkdir()
    with (one.folder / "large").open("wb") as file:
        for number in range(96):
            file.write(number.to_bytes(1, "big") * 1024 * 1024)
    uploads = server.data_dir / "files" / ".hub-uploads"
    one.start()
    until(lambda: any(each.stat().st_size > 16 << 20 for each in uploads.iterdir()), lambda: list(uploads.iterdir()))
    one.kill()
    before = {each.name for each in uploads.iterdir() if each.stat().st_size > 16 << 20}
    assert before and one.sync() == 0
    assert not {each.name for each in uploads.iterdir()} & before, "it was finished, not begun anew"
    assert two.sync() == 0
    assert (two.folder / "large").read_bytes() == (one.folder / "large").read_bytes()


@pytest.mark.timeout(600)
@pytest.mark.long_form
def test_random_edits_disconnects_and_kills_lose_nothing(laptops: tuple[Laptop, Laptop], server: ServerProcess) -> None:
    chance = random.Random(20_240_115)
    written: set[str] = set()

    def write(laptop: Laptop, path: str, text: str) -> None:
        written.discard(laptop.tree().get(path) or "")  # whoever works there replaces it, before it may have been synced
        written.add(text)
        laptop.write(path, text)

    for each in laptops:
        each.start()
    until(lambda: all(each.folder.is_dir() for each in laptops), lambda: "no folders")
    for number in range(examples(25, long=60)):
        laptop = chance.choice(laptops)
        files = [path for path, text in laptop.tree().items() if text is not None]
        match chance.choice(["write", "write", "write", "edit", "move", "kill", "pause"]):
            case "edit" if files:
                write(laptop, chance.choice(files), f"edit {number}")
            case "move" if files:
                source, target = laptop.folder / chance.choice(files), laptop.folder / f"{chance.choice('pqr')}/moved-{number}"
                target.parent.mkdir(exist_ok=True)
                source.rename(target)
            case "kill":
                laptop.kill()
                laptop.start()
            case "pause":
                time.sleep(chance.random())
            case _:
                write(laptop, f"{chance.choice('pqr')}/{chance.choice('stuvw')}", f"text {number}")
    one, two = laptops
    until(lambda: one.tree() == two.tree() and one.tree() != {}, lambda: (one.tree(), two.tree()))
    for each in laptops:
        each.kill(signal.SIGTERM)
    assert one.sync() in (0, 4) and two.sync() in (0, 4) and one.sync() == 0
    assert one.tree() == two.tree()
    assert written <= kept(one) | kept(two) | kept_by(server.data_dir / "files"), "something that was written is nowhere any more"


def kept(laptop: Laptop) -> set[str]:
    """All that is in a folder, or in its trash."""
    return kept_by(laptop.folder)


def kept_by(folder: Path) -> set[str]:
    return {each.read_text() for each in folder.rglob("*") if each.is_file() and each.stat().st_size < 1000}
