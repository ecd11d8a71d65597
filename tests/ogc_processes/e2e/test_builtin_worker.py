"""`manage.py process_worker` beside a running server."""

from __future__ import annotations

import random
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streaming.client import GeoStreamClient
from tests.conftest import Serve
from tests.geo_peer import point
from tests.processes import MANAGE, PIPE, Process, starting
from tests.server_process import ServerProcess

from .site import QUICK, Site, until

StartWorker = Callable[..., Process]
OFFERED = ("buffer", "geofence", "zonal-statistics")
GEOFENCE = {"layer": "moving", "areas": "areas", "publish_to": "inside", "update_seconds": 0.05}


@pytest.fixture(scope="module")
def one_server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site([serve(**QUICK, GEOSTREAM_PROCESS_OPEN_NAMES="*")], tmp_path_factory.mktemp("site"))
    yield site
    site.end()


@pytest.fixture
def start_worker(site: Site) -> Iterator[StartWorker]:
    with starting() as start:

        def start_worker(name: str = "builtin", wait: bool = True, **options: Any) -> Process:
            command = (*MANAGE, "process_worker", "--url", site.url(), "--name", name)
            process = start(*command, env=site.servers[0].environment, **options)
            if wait:
                until(lambda: site.console.workers().get(name, {}).get("online"), f"{name} connects")
                until(lambda: all(map(site.console.offered, OFFERED)), f"{name} offers its processes")
            return process

        yield start_worker


def features(server: ServerProcess, layer: str) -> dict[Any, Any]:
    status, answer = server.request("GET", f"/api/layers/{layer}/features?limit=1000")
    return {each["id"]: each for each in answer["features"]} if status == 200 else {}


def test_its_processes_do_jobs_and_publish(site: Site, start_worker: StartWorker) -> None:
    start_worker()
    shape = {"type": "Point", "coordinates": [7, 46]}
    buffer, echo, bad = (
        *site.submit("buffer", features={"value": shape}, distance=1000, publish_to="areas"),
        *site.submit("echo", text="teststring"),
        *site.submit("buffer", features={"value": {"type": "Point", "coordinates": [700, 46]}}, distance=1000),
    )
    ended = site.ended(buffer, echo, bad)
    assert [each["status"] for each in ended] == ["successful", "successful", "failed"], ended
    assert site.console.outputs(echo) == {"text": {"value": "teststring", "blob": None}}
    assert ended[2]["exception"]["status"] == 400 and "longitude 700" in ended[2]["exception"]["detail"]
    assert features(site.servers[0], "areas")[f"{buffer}-1"]["geometry"]["type"] == "Polygon"


def test_a_revoked_token_is_said(site: Site, start_worker: StartWorker) -> None:
    first = start_worker(stderr=PIPE)
    site.console.revoke("built-in worker")
    _, errors = first.communicate()
    assert first.returncode == 1 and "The server does not take this worker" in errors
    _, errors = start_worker(wait=False, stderr=PIPE).communicate()
    assert "was revoked" in errors and "--token" in errors and "Traceback" not in errors
    site.console.restore("built-in worker")


@pytest.mark.long_form(only=True)
async def test_geofence_is_exact_while_workers_are_killed_and_end(site: Site, start_worker: StartWorker) -> None:
    server, numbers = site.servers[0], random.Random(5)
    ring = [[0, -1], [10, -1], [10, 1], [0, 1], [0, -1]]
    server.publish("areas", {"type": "Feature", "id": "a", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}})
    server.publish("moving", point(99, 5, 0))
    expected: dict[Any, list[str]] = defaultdict(list, {99: ["enter"]})
    inside: set[int] = set()

    def move(count: int) -> None:
        for _ in range(count):
            key, x = numbers.randrange(5), numbers.choice([-5, 5, 20])
            server.publish("moving", point(key, x, 0))
            if (x == 5) != (key in inside):
                expected[key].append("enter" if x == 5 else "exit")
                inside.symmetric_difference_update([key])

    noticed: dict[Any, list[str]] = defaultdict(list)
    async with GeoStreamClient(f"ws://127.0.0.1:{server.port}/ws") as client:
        events = await client.subscribe_events(["custom"])

        async def all_noticed() -> None:
            while noticed != expected:
                event = await anext(events)
                noticed[event.payload["feature"]].append(event.payload["event"].removeprefix("geofence_"))
                assert noticed[event.payload["feature"]] == expected[event.payload["feature"]][: len(noticed[event.payload["feature"]])]

        worker = start_worker("first")
        (job,) = site.submit("geofence", **GEOFENCE)
        await all_noticed()
        move(20)
        worker.send_signal(signal.SIGKILL)
        move(20)
        worker = start_worker("second")
        move(10)
        await all_noticed()
        worker.send_signal(signal.SIGTERM)  # it hands the job over
        move(10)
        assert worker.wait() == 0
        start_worker("third")
        await all_noticed()
    assert site.console.attempts(job)[:2] == ["worker lost", "failed"]
    until(lambda: len(features(server, "inside")) == len(inside) + 1, "what is inside is drawn")
    site.console.dismiss(job)
    until(lambda: not features(server, "inside"), "what is inside goes with the job")


def test_it_ends_with_the_program_that_started_it(site: Site) -> None:
    with starting() as start:
        worker = start(*MANAGE, "process_worker", "--url", site.url(), "--with-parent", env=site.servers[0].environment, stdin=PIPE)
        assert worker.stdin is not None
        worker.stdin.close()
        worker.stdin = None
        worker.wait()
