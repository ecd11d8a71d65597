"""The client that users of the Redis commands have, npm `mobility-toolbox-js`, unchanged, against a server of ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_client

from streaming.server.embedded_redis import RedisService
from tests.geo_peer import point
from tests.server_process import ServerProcess

from .conftest import Serve
from .node_process import NodeProcess

pytestmark = pytest.mark.node

SOON = 2.0
ZURICH = [8.54, 47.38]
ZURICH_IN_METRES = [950668.45, 6003148.07]
AROUND_ZURICH = ["940000", "5990000", "960000", "6010000", "12", "mots=rail", "gen_level=5", "tenant=sbb"]
"""In metres: the package knows no other boxes, nor PROJECTION."""


class Mobility(NodeProcess):
    """Its `RealtimeAPI`, as often as a test wants: tests/js/redis/client.mjs."""

    subjects = ("socket", "channel")

    def __init__(self) -> None:
        super().__init__("mobility-toolbox-js", "tests/js/redis/client.mjs")


class Api:
    """One `RealtimeAPI` that is connected."""

    def __init__(self, process: Mobility, server: ServerProcess, path: str = "/ws/redis", **options: Any) -> None:
        self.process = process
        self.name = process.connected(f"ws://127.0.0.1:{server.port}{path}", options=options)

    def subscribe(self, channel: str) -> None:
        """The package asks for what is there as well."""
        self.process.call("subscribe", socket=self.name, channel=channel)
        self.settle()

    def settle(self) -> None:
        """Until all it sent has been carried out."""
        assert self.get(channel="station", args="-", id="settled")["content"] is None

    def frames(self, source: str) -> int:
        """How many of a channel have arrived that nobody asked for."""
        return sum(happening.get("source") == source for happening in self.process.happened if happening["socket"] == self.name)

    def get(self, **params: Any) -> Any:
        return self.process.call("get", socket=self.name, params=params)

    def call(self, what: str, **about: Any) -> None:
        self.process.call(what, socket=self.name, **about)

    def until(self, what: str, **about: Any) -> Any:
        return self.process.until(what, socket=self.name, **about)

    def message(self, channel: str) -> Any:
        """What its subscriber is told next."""
        return self.until("message", channel=channel)["content"]


Connect = Callable[..., Api]


@pytest.fixture(scope="module")
def server(serve: Serve) -> ServerProcess:
    return serve(GEOSTREAM_REDIS_READABLE="pub:*,trajectory,station")


@pytest.fixture(scope="module")
def process() -> Iterator[Mobility]:
    process = Mobility()
    yield process
    process.stop()


@pytest.fixture
def connect(process: Mobility, server: ServerProcess) -> Iterator[Connect]:
    def connected(**options: Any) -> Api:
        return Api(process, server, **options)

    yield connected
    process.disconnect_all()


@pytest.fixture
def redis(module_redis: RedisService) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(module_redis.url) as client:
        client.delete("trajectory", "station", "pub:a")
        yield client


def vehicle(number: int, coordinates: list[float]) -> str:
    geometry = {"type": "Point", "coordinates": coordinates}
    return json.dumps({"type": "Feature", "geometry": geometry, "properties": {"train_id": number}})


def publish(redis: redis_client.Redis, channel: str, content: str) -> None:
    """Once somebody listens."""
    deadline = time.monotonic() + SOON
    while not redis.publish(channel, content):
        assert time.monotonic() < deadline, "nobody listens"
        time.sleep(0.02)


def test_a_subscriber_is_told_what_is_there_and_what_is_published(connect: Connect, redis: redis_client.Redis) -> None:
    redis.hset("trajectory", "1", vehicle(1, ZURICH))
    api = connect()
    api.subscribe("trajectory")
    assert api.message("trajectory")["properties"] == {"train_id": 1}
    publish(redis, "trajectory", vehicle(2, ZURICH))
    assert api.message("trajectory")["properties"] == {"train_id": 2}


def test_what_is_published_comes_in_batches_as_the_package_asks(connect: Connect, redis: redis_client.Redis) -> None:
    api = connect(buffer=[200, 10])
    api.subscribe("pub:a")
    assert api.message("pub:a") is None  # of its GET
    pipe = redis.pipeline()
    for number in range(200):
        pipe.publish("pub:a", number)
    pipe.execute()
    assert len(api.until("frame", source="buffer")["content"]) > 1
    assert [api.message("pub:a") for _ in range(200)] == list(range(200))


def test_a_box_in_metres_holds_for_data_in_degrees_that_it_asked_for_in_metres(connect: Connect, redis: redis_client.Redis) -> None:
    api = connect(bbox=AROUND_ZURICH)
    api.subscribe("trajectory")
    publish(redis, "trajectory", vehicle(1, [0.0, 0.0]))
    publish(redis, "trajectory", vehicle(2, ZURICH_IN_METRES))  # geOps' servers publish metres
    assert api.message("trajectory") is None
    assert api.message("trajectory")["properties"] == {"train_id": 2}
    api.call("show", bbox=["-1", "-1", "1", "1", "12"])
    api.settle()
    publish(redis, "trajectory", vehicle(3, ZURICH_IN_METRES))
    publish(redis, "trajectory", vehicle(4, [0.0, 0.0]))
    assert api.message("trajectory")["properties"] == {"train_id": 4}


def test_answers_find_who_asked_by_their_reference(connect: Connect, redis: redis_client.Redis) -> None:
    redis.hset("station", mapping={"8503000": '{"name": "Zürich HB"}', "8507000": '{"name": "Bern"}'})
    api = connect()
    asked = {
        reference: api.process.start("get", socket=api.name, params={"channel": "station", "args": uic, "id": reference})
        for reference, uic in (("one", "8503000"), ("two", "8507000"), ("three", "8503000"))
    }
    answers = {reference: api.process.result(number) for reference, number in asked.items()}
    assert {reference: answer["content"]["name"] for reference, answer in answers.items()} == {
        "one": "Zürich HB",
        "two": "Bern",
        "three": "Zürich HB",
    }
    assert {reference: (answer["source"], answer["reference"]) for reference, answer in answers.items()} == {
        "one": ("station 8503000", "one"),
        "two": ("station 8507000", "two"),
        "three": ("station 8503000", "three"),
    }


def test_what_is_not_there_is_answered_too(connect: Connect) -> None:
    assert connect().get(channel="station", args="0", id="none")["content"] is None


def test_pings_are_answered(connect: Connect) -> None:
    api = connect(pingIntervalMs=50)
    for _ in range(3):
        api.until("frame", source="websocket", content="PONG")


@pytest.mark.parametrize(("end", "about"), [("unsubscribe", {"channel": "pub:a"}), ("reset", {})])
def test_who_has_had_enough_is_sent_no_more(connect: Connect, redis: redis_client.Redis, end: str, about: dict[str, str]) -> None:
    api, other = connect(buffer=[0, 0]), connect(buffer=[0, 0])
    for listener in (api, other):
        listener.subscribe("pub:a")
        publish(redis, "pub:a", "1")
        while listener.message("pub:a") is None:
            pass
    api.settle()  # it is told what the other waited for, too
    before = api.frames("pub:a")
    api.call(end, **about)
    api.settle()
    publish(redis, "pub:a", "2")
    while other.message("pub:a") != 2:
        pass
    api.settle()
    assert api.frames("pub:a") == before


def test_a_layer_is_read_and_heard_like_a_channel(connect: Connect, server: ServerProcess) -> None:
    server.publish("fleet", point("a", 8, 47))
    api = connect()
    api.subscribe("fleet")
    assert api.message("fleet")["geometry"]["coordinates"] == [8, 47]
    server.publish("fleet", point("a", 9, 47))
    assert api.message("fleet")["geometry"]["coordinates"] == [9, 47]


def test_the_short_path_and_a_key_in_the_address_do_as_well(process: Mobility, server: ServerProcess) -> None:
    assert Api(process, server, "/redis/", apiKey="of-another-service").get(channel="station")["content"] is None
    process.disconnect_all()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_connects_again_after_the_server_restarted_and_goes_on(
    connect: Connect, server: ServerProcess, redis: redis_client.Redis, end: str
) -> None:
    api = connect(bbox=AROUND_ZURICH)
    api.subscribe("trajectory")
    assert api.message("trajectory") is None
    getattr(server, end)()
    assert api.until("close")["code"] == (1012 if end == "stop" else 1006)
    redis.hset("trajectory", "1", vehicle(1, ZURICH_IN_METRES))
    server.start()
    api.until("open")
    assert api.message("trajectory")["properties"] == {"train_id": 1}
    publish(redis, "trajectory", vehicle(2, [0.0, 0.0]))
    publish(redis, "trajectory", vehicle(3, ZURICH_IN_METRES))
    assert api.message("trajectory")["properties"] == {"train_id": 3}
