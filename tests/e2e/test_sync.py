"""File sync between two folders of two clients and a server: processes, sockets and disks as they are."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import Serve
from tests.profiles import LONG, examples
from tests.server_process import ServerProcess

from .laptops import DOWN, UP, Laptop, Network, until

MIB = 1024 * 1024
PART_BYTES = 8 * MIB
SETTINGS = {"GEOSTREAM_FILES_ANONYMOUS": "*=list read write delete", "GEOSTREAM_FILES_FREE_BYTES": "0"}


@pytest.fixture(scope="module")
def server(serve: Serve) -> ServerProcess:
    return serve(**SETTINGS)


@pytest.fixture(scope="module")
def second_server(serve: Serve, server: ServerProcess) -> ServerProcess:
    """Of the same folder."""
    return serve(**SETTINGS)


@pytest.fixture
def laptop_at(server: ServerProcess, tmp_path: Path) -> Iterator[Callable[[str], Laptop]]:
    """Makes clients of an address; afterwards they are gone, and the folder of the server is empty."""
    made: list[Laptop] = []

    def make(url: str) -> Laptop:
        made.append(Laptop(url, tmp_path / f"laptop-{len(made)}"))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None:
            each.process.end()
        shutil.rmtree(each.folder, ignore_errors=True)  # tests of large files leave no gigabytes behind
    empty_folder(server)
    for each in (server.data_dir / "files" / ".hub-trash").iterdir():
        each.unlink() if each.is_file() else shutil.rmtree(each)


@pytest.fixture
def laptops(server: ServerProcess, laptop_at: Callable[[str], Laptop]) -> tuple[Laptop, Laptop]:
    """Two of them, and an empty folder on the server."""
    return laptop_at(server.url), laptop_at(server.url)


@pytest.fixture
def network_to() -> Iterator[Callable[[ServerProcess], Network]]:
    """Makes networks between clients and a server."""
    with ExitStack() as made:
        yield lambda server: made.enter_context(closing(Network(server.port)))


def empty_folder(server: ServerProcess) -> None:
    _, found = server.request("GET", "/api/list?recursive=false", token="")
    for each in found:
        status, _ = server.request("DELETE", f"/api/delete?recursive=true&path={quote(each['path'])}", token="")
        assert status == 204


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


def requests(server: ServerProcess) -> dict[str, int]:
    """How many requests about files a server has answered, by what they asked for."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, int] = {}
    for action, count in re.findall(r'geostream_files_requests_total{action="([^"]*)",[^}]*} (\d+)', text):
        found[action] = found.get(action, 0) + int(count)
    return found


@pytest.mark.long_form(only=True)
@pytest.mark.timeout(300)
@pytest.mark.long_form
def test_many_small_files_take_few_requests(laptops: tuple[Laptop, Laptop], server: ServerProcess) -> None:
    one, two = laptops
    count = examples(400, long=10_000)
    for number in range(count):
        one.write(f"d{number % 20}/{number}", f"this is {number}")
    before = requests(server)
    assert one.sync("--quiet", seconds=120) == 0 and two.sync("--quiet", seconds=120) == 0
    taken = {action: total - before.get(action, 0) for action, total in requests(server).items()}
    assert taken.get("upload", 0) == taken.get("download", 0) == taken.get("mkdir", 0) == 0
    assert taken["upload-many"] <= count / 100 + 2 and taken["download-many"] <= count / 100 + 2
    assert two.tree() == one.tree() and len(one.tree()) == count + 20
    assert one.sync("--dry-run") == 0 and requests(server)["upload-many"] == before.get("upload-many", 0) + taken["upload-many"]


# -- large files -----------------------------------------------------------------


def large_file(path: Path, size: int) -> str:
    """Random blocks far apart, and nothing between them; returns the hash."""
    content = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for number in range(size // MIB):
            block = os.urandom(MIB) if number % 16 == 0 else bytes(MIB)
            content.update(block)
            file.seek(MIB, os.SEEK_CUR) if number % 16 else file.write(block)
        file.truncate(size)
    return content.hexdigest()


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def peak_memory(pid: int) -> int:
    """The most bytes that a process has had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.long_form(only=True)
@pytest.mark.timeout(examples(200, long=1500))
@pytest.mark.long_form
def test_a_large_file_goes_on_where_it_was_after_a_kill(
    server: ServerProcess, laptop_at: Callable[[str], Laptop], network_to: Callable[[ServerProcess], Network]
) -> None:
    size, seconds, network = examples(64, long=2048) * MIB, examples(60, long=400), network_to(server)
    one, two = laptop_at(network.url), laptop_at(network.url)
    expected = large_file(one.folder / "large.tif", size)
    before = peak_memory(server.pid)
    for laptop, direction in ((one, UP), (two, DOWN)):
        network.stall_after(direction, size * 5 // 8)
        laptop.start("--once", "--quiet")
        assert network.stalled.wait(seconds)
        assert laptop.process is not None
        assert peak_memory(laptop.process.pid) < 250 * MIB, "a client has the whole file in memory"
        laptop.kill()
        network.cut()
        first = network.passed[direction]
        # Of a download, what was on its way to the client when that was killed is sent again; of an upload, a part at most.
        kept = sum(each.stat().st_size for each in (two.folder / ".hub-uploads").iterdir()) if laptop is two else first - PART_BYTES
        assert kept > size // 4, "it was not in the middle"
        assert laptop.sync("--quiet", seconds=seconds) == 0
        assert network.passed[direction] - first <= size - kept + MIB, "more was sent again than had to be"
    assert hash_of(two.folder / "large.tif") == expected
    assert peak_memory(server.pid) < before + 64 * MIB, "the server has the whole file in memory"


@pytest.mark.long_form(only=True)
@pytest.mark.timeout(120)
def test_small_changes_do_not_wait_for_a_large_upload(
    server: ServerProcess, laptop_at: Callable[[str], Laptop], network_to: Callable[[ServerProcess], Network]
) -> None:
    network = network_to(server)
    one, two = laptop_at(network.url), laptop_at(server.url)
    for each in (one, two):
        each.start()
        each.write("there", "so that nothing is empty")
    until(lambda: all((each.state / "state.sqlite3").exists() for each in (one, two)), lambda: "they have not begun")
    network.slow_down(UP, 0.05)
    expected = large_file(one.folder / "large.tif", 64 * MIB)
    until(lambda: network.passed[UP] > MIB, lambda: network.passed)
    one.write("small", "from one")
    until(lambda: (two.folder / "small").exists(), lambda: "it waits for the large one", 10)
    two.write("back", "from two")
    until(lambda: (one.folder / "back").exists(), lambda: "it waits for the large one", 10)
    assert not (two.folder / "large.tif").exists() and network.passed[UP] < 32 * MIB
    network.speed_up()
    until(lambda: (two.folder / "large.tif").exists(), lambda: network.passed)
    assert hash_of(two.folder / "large.tif") == expected


# -- everything at once ------------------------------------------------------------


@pytest.mark.timeout(600)
@pytest.mark.long_form
@pytest.mark.parametrize("seed", range(examples(1, long=3)))
def test_random_edits_disconnects_and_kills_of_clients_and_servers_lose_nothing(
    server: ServerProcess,
    second_server: ServerProcess,
    laptop_at: Callable[[str], Laptop],
    network_to: Callable[[ServerProcess], Network],
    seed: int,
) -> None:
    chance = random.Random(20_240_115 + seed)
    servers = server, second_server
    networks = [network_to(each) for each in servers]
    laptops = [laptop_at(network.url) for network in networks]
    written: set[str] = set()

    def write(laptop: Laptop, path: str, text: str) -> None:
        written.discard(laptop.tree().get(path) or "")  # whoever works there replaces it, before it may have been synced
        written.add(text)
        laptop.write(path, text)

    for each in laptops:
        each.start()
    until(lambda: all(each.folder.is_dir() for each in laptops), lambda: "no folders")
    actions = ["write"] * 7 + ["edit", "move", "delete"] * 2 + ["cut", "pause", "kill client", "kill server"]
    for number in range(examples(25, long=60)):
        at = chance.randrange(2)
        laptop = laptops[at]
        files = [path for path, text in laptop.tree().items() if text is not None]
        match chance.choice(actions):
            case "edit" if files:
                write(laptop, chance.choice(files), f"edit {number}")
            case "move" if files:
                source, target = laptop.folder / chance.choice(files), laptop.folder / f"{chance.choice('pqr')}/moved-{number}"
                target.parent.mkdir(exist_ok=True)
                source.rename(target)
            case "delete" if len(files) > 5:
                path = chance.choice(files)
                written.discard(laptop.tree()[path] or "")
                (laptop.folder / path).unlink()
            case "cut":
                networks[at].cut()
            case "kill client":
                laptop.kill()
                laptop.start()
            case "kill server":
                servers[at].kill()
                servers[at].start()
            case "pause":
                time.sleep(chance.random())
            case _:
                write(laptop, f"{chance.choice('pqr')}/{chance.choice('stuvw')}", f"text {number}")
    one, two = laptops
    until(lambda: one.tree() == two.tree() and one.tree() != {}, lambda: (one.tree(), two.tree()), 120 if LONG else 60)
    for each in laptops:
        each.kill(signal.SIGTERM)
    for network in networks:
        network.cut()
    assert one.sync() in (0, 4) and two.sync() in (0, 4) and one.sync() == 0
    assert one.tree() == two.tree()
    assert written <= kept(one.folder) | kept(two.folder) | kept(server.data_dir / "files"), "something is nowhere any more"


def kept(folder: Path) -> set[str]:
    """All that is in a folder, or in its trash."""
    return {each.read_text() for each in folder.rglob("*") if each.is_file() and each.stat().st_size < 1000}
