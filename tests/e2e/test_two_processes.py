"""Two server processes on one Redis: what one is given, subscribers of the other see, in order and whole, whatever fails in between."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from streaming.core import feed as feed_module
from streaming.core import scripts
from streaming.core.feed import Feed
from streaming.core.script import Script
from streaming.dialects.geo.messages import FeatureData
from streaming.features.geojson import parse_feature
from tests.core.restarting import RestartingRedis
from tests.geo_peer import point
from tests.redis_elsewhere import redis_at
from tests.server_process import ServerProcess

from .conftest import Serve
from .sockets import GeoSocket


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestartingRedis]:
    redis = RestartingRedis(tmp_path_factory.mktemp("own"))
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def pair(serve: Serve, own_redis: RestartingRedis) -> tuple[ServerProcess, ServerProcess]:
    return serve(data="pair", redis_url=own_redis.url), serve(data="pair", redis_url=own_redis.url)


def step(number: int) -> dict[str, Any]:
    return point("k", number / 1000, 1, n=number)


def number_of(message: FeatureData) -> int:
    number: int = json.loads(message.geojson)["properties"]["n"]
    return number


def post(server: ServerProcess, layer: str, number: int) -> None:
    """Publish until it is accepted, as a client does that is told 503."""
    deadline = time.monotonic() + 30
    while server.post(f"/api/layers/{layer}/features", step(number))[0] == 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_change_reaches_subscribers_of_the_other_process_in_order(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    here.publish("order", step(0))
    with GeoSocket(there.ws_url) as socket:
        assert socket.subscribe("order").snapshot_count == 1
        for number in range(1, 101):
            here.publish("order", step(number))
        assert [number_of(socket.next()) for _ in range(101)] == list(range(101))


def test_nothing_is_lost_when_redis_restarts(pair: tuple[ServerProcess, ServerProcess], own_redis: RestartingRedis) -> None:
    here, there = pair
    here.publish("restart", step(0))
    with GeoSocket(there.ws_url) as socket:
        socket.subscribe("restart", snapshot=False)
        poster = threading.Thread(target=lambda: [post(here, "restart", number) for number in range(1, 201)])
        poster.start()
        assert number_of(socket.next()) == 1
        own_redis.stop()
        time.sleep(0.5)
        own_redis.start()
        assert [number_of(socket.next(timeout=30)) for _ in range(199)] == list(range(2, 201))
        poster.join()


def test_a_subscriber_resumes_at_the_other_process(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    here.publish("resume", step(0), point("gone", 1, 1))
    with GeoSocket(there.ws_url) as socket:
        socket.subscribe("resume")
        cursor = [socket.next().cursor for _ in range(2)][-1]
    here.publish("resume", step(1))
    assert here.request("DELETE", "/api/layers/resume/features/gone")[0] in {200, 204}
    with GeoSocket(here.ws_url) as socket:
        ack = socket.subscribe("resume", cursor=cursor)
        assert (ack.recovered, ack.snapshot_count) == (True, 2)
        assert sorted(socket.next_change() for _ in range(2)) == [("deleted", "gone"), ("updated", "k")]


@pytest.fixture
def quietly(own_redis: RestartingRedis, redis_service: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    """Publishes from this process without ringing."""
    silent = scripts.PUT.replace("'PUBLISH', meta", "'PING'")
    monkeypatch.setattr(feed_module, "_put", Script(silent))
    with redis_at(own_redis.url):
        yield lambda layer, number: Feed(f"layer:{layer}").put_sync([parse_feature(step(number))]) and None


def test_a_change_takes_a_moment_and_no_look_at_the_log(
    pair: tuple[ServerProcess, ServerProcess], quietly: Callable[[str, int], None]
) -> None:
    here, there = pair
    here.publish("quick", step(0))
    with GeoSocket(there.ws_url) as socket:
        socket.subscribe("quick", snapshot=False)
        numbers = count(1)

        def delay(publish: Callable[[int], Any]) -> float:
            number, started = next(numbers), time.monotonic()
            publish(number)
            assert number_of(socket.next()) == number
            return time.monotonic() - started

        rung = median(delay(lambda number: here.publish("quick", step(number))) for _ in range(7))
        looked = median(delay(lambda number: quietly("quick", number)) for _ in range(3))
        assert rung < looked / 2


def test_lost_doorbells_delay_changes_by_about_a_second(
    pair: tuple[ServerProcess, ServerProcess], quietly: Callable[[str, int], None]
) -> None:
    here, there = pair
    here.publish("quiet", step(0))
    with GeoSocket(there.ws_url) as socket:
        socket.subscribe("quiet", snapshot=False)
        for number in range(1, 11):
            quietly("quiet", number)
        started = time.monotonic()
        assert [number_of(socket.next()) for _ in range(10)] == list(range(1, 11))
        assert time.monotonic() - started < 2.5


def test_a_killed_process_does_not_keep_its_subscribers_from_resuming(
    serve: Serve, pair: tuple[ServerProcess, ServerProcess], own_redis: RestartingRedis, tmp_path: Path
) -> None:
    here, _ = pair
    doomed = serve(data="pair", redis_url=own_redis.url)
    here.publish("killed", step(0))
    with GeoSocket(doomed.ws_url) as socket:
        cursor = socket.subscribe("killed").cursor
        assert socket.next().cursor == cursor
        doomed.kill()
        here.publish("killed", step(1))
    with GeoSocket(here.ws_url) as socket:
        assert socket.subscribe("killed", cursor=cursor).recovered is True
        assert number_of(socket.next()) == 1
