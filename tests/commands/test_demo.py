"""`manage.py demo`: one command, everything runs; one Ctrl-C, nothing does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from streaming.client import GeoStreamClient
from streaming.management.demo_flights import flight_event
from streaming.server.embedded_redis import RedisService
from tests.processes import PIPE, STDOUT, Start, site_environment, starting
from tests.server_process import free_port

from ..profiles import only_long
from .conftest import feature

# 6379 may be in use on this machine, so it is not looked at.
PROGRAM = """
import sys
from streaming.server import embedded_redis
embedded_redis.DEFAULT_PORT = int(sys.argv.pop(1))
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "demo", *sys.argv[1:]])
"""


class Demo:
    """A demo with a data directory, a port and (unless one is given) a Redis of its own."""

    def __init__(self, start: Start, data_dir: Path, redis_url: str | None, *arguments: str, alone: bool = True) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        command = (sys.executable, "-c", PROGRAM, free_port(), "--port", self.port, *(["--alone"] if alone else []), *arguments)
        self.process = start(*command, env=site_environment(data_dir, redis_url), stdout=PIPE, stderr=STDOUT, preloaded=True)

    def wait_until_ready(self) -> str:
        """What it printed up to the last line of the banner."""
        assert self.process.stdout is not None
        printed = ""
        for line in self.process.stdout:
            printed += line
            if "Terminal" in line:
                return printed
        raise AssertionError(f"the demo did not start:\n{printed}")

    @property
    def redis_url(self) -> str:
        return str(json.loads((self.data_dir / "redis" / "running.json").read_text())["url"])

    def client(self) -> GeoStreamClient:
        return GeoStreamClient(f"ws://127.0.0.1:{self.port}/ws")


StartDemo = Callable[..., Demo]


@pytest.fixture
def start_demo(start_process: Start, tmp_path: Path, migrated_database: Path) -> Callable[..., Demo]:
    numbers = count()

    def start(*arguments: str, redis_url: str | None = None, alone: bool = True) -> Demo:
        folder = tmp_path / f"demo-{next(numbers)}"
        folder.mkdir()
        shutil.copy(migrated_database, folder / "geostream.sqlite3")
        return Demo(start_process, folder, redis_url, *arguments, alone=alone)

    return start


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, module_redis: RedisService) -> Iterator[StartDemo]:
    """Starts demos that the module's tests share, all with its Redis."""
    with starting() as start:

        def start_one(*arguments: str) -> Demo:
            folder = tmp_path_factory.mktemp("shared")
            shutil.copy(migrated_database, folder / "geostream.sqlite3")
            return Demo(start, folder, module_redis.url, *arguments)

        yield start_one


@pytest.fixture(scope="module")
def flying(start_shared: StartDemo) -> tuple[Demo, str]:
    """A demo that is ready, and what it printed."""
    demo = start_shared("--speed", "200")
    return demo, demo.wait_until_ready()


@pytest.fixture(scope="module")
def grounded(flying: tuple[Demo, str], start_shared: StartDemo, module_redis: RedisService) -> Demo:
    """A demo without flights, which is ready, after one that was killed with flights in the air."""
    with redis.Redis.from_url(module_redis.url) as client:
        wait_until(lambda: client.hlen("geostream:{layer:flights}:state"))
    flying[0].process.kill()
    demo = start_shared("--no-replay")
    demo.wait_until_ready()
    return demo


def gone(url: str) -> bool:
    try:
        with closing(redis.Redis.from_url(url, retry=None)) as client:
            client.ping()
    except redis.ConnectionError:
        return True
    return False


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


async def test_flights_fly_earthquakes_are_there_and_events_happen(flying: tuple[Demo, str]) -> None:
    demo, banner = flying
    assert f"http://127.0.0.1:{demo.port}/" in banner and "createsuperuser" in banner
    async with demo.client() as client:
        quakes = await client.subscribe_features("earthquakes", filter="mag >= 6")
        assert (await anext(quakes)).feature["properties"]["mag"] >= 6
        flights = await client.subscribe_features("flights")
        moved = [await anext(flights) for _ in range(100)]
        assert {change.type for change in moved} >= {"added", "updated"}
        events = await client.subscribe_events(["custom"])
        assert (await anext(events)).payload["kind"] == "flight"


@pytest.mark.long_form(only=True)
async def test_imagery_arrives_strip_by_strip(grounded: Demo) -> None:
    async with grounded.client() as client:
        tiles = await client.subscribe_tiles((-121, 13, -106, 31), (5, 6))  # the relief is the demo's default
        await tiles.ready()
        painted = [await anext(tiles) for _ in range(len(tiles.tiles) + 3)][-3:]
        assert any(tile.encoding for tile in painted)
        events = await client.subscribe_events(["progress"])
        assert "Miriam" in (await anext(events)).payload["message"]


@pytest.mark.parametrize("sign", [only_long(signal.SIGINT), signal.SIGTERM])
def test_a_signal_to_the_group_ends_everything(start_demo: Callable[..., Demo], sign: signal.Signals) -> None:
    demo = start_demo()
    demo.wait_until_ready()
    url = demo.redis_url
    assert not gone(url)
    os.killpg(demo.process.pid, sign)
    output, _ = demo.process.communicate(timeout=10)
    assert demo.process.returncode == 0, output
    assert gone(url)
    assert "Traceback" not in output


@pytest.mark.long_form(only=True)
def test_being_killed_ends_everything_too_and_the_worker_of_processes(start_demo: Callable[..., Demo]) -> None:
    demo = start_demo(alone=False)
    demo.wait_until_ready()
    url = demo.redis_url
    workers = [each for each in children(demo.process.pid) if b"process_worker" in Path(f"/proc/{each}/cmdline").read_bytes()]
    assert len(workers) == 1
    demo.process.kill()
    wait_until(lambda: gone(url) and not Path(f"/proc/{workers[0]}").exists(), 30)


def test_a_port_that_is_taken_is_told_before_anything_starts(start_demo: Callable[..., Demo]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        demo = start_demo("--port", str(taken.getsockname()[1]))
        output, _ = demo.process.communicate(timeout=30)
    assert demo.process.returncode == 1
    assert "Address already in use" in output and "Traceback" not in output
    assert not (demo.data_dir / "redis").exists()


def test_without_the_replay_there_are_no_flights_not_even_of_an_earlier_demo(grounded: Demo, module_redis: RedisService) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{grounded.port}/readyz", timeout=5) as answer:
        assert answer.status == 200
    with redis.Redis.from_url(module_redis.url) as client:
        assert client.hlen("geostream:{layer:earthquakes}:state") > 1000
        assert client.hlen("geostream:{layer:flights}:state") == 0


@pytest.mark.long_form(only=True)
def test_processes_are_offered_and_the_end_of_their_worker_is_said(start_demo: Callable[..., Demo], own_redis: RedisService) -> None:
    demo = start_demo("--no-replay", "--no-imagery", redis_url=own_redis.url, alone=False)
    banner = demo.wait_until_ready()
    assert f"http://127.0.0.1:{demo.port}/ogc/" in banner
    assert f"http://127.0.0.1:{demo.port}/files/  (the folder {demo.data_dir / 'files'};" in banner

    def offered() -> set[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{demo.port}/ogc/processes", timeout=5) as answer:
            return {each["id"] for each in json.loads(answer.read())["processes"]}

    wait_until(lambda: {"buffer", "hotspots", "zonal-statistics"} <= offered(), 40)
    (worker,) = children(demo.process.pid)
    os.kill(worker, signal.SIGKILL)
    assert demo.process.stdout is not None
    assert any("process_worker was ended by signal 9" in line for line in demo.process.stdout)
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait() == 0


def children(process: int) -> list[int]:
    """The programs that a process has started."""
    found = Path(f"/proc/{process}/task/{process}/children")
    if not found.exists():
        pytest.skip("needs /proc")
    return [int(each) for each in found.read_text().split()]


@pytest.mark.parametrize(
    "properties, message",
    [
        ({"callsign": "SWR12", "altitude_ft": 38000}, "SWR12 has appeared at 38,000 ft"),
        ({"callsign": None}, "4067f2 has appeared"),
    ],
)
def test_an_event_says_who_and_where(properties: dict[str, Any], message: str) -> None:
    assert flight_event(feature("4067f2", **properties), "appeared")["message"] == message
