"""Long polling at two server processes behind one address: a request may reach either."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
import redis as redis_client

from streaming.server.embedded_redis import RedisService
from tests.server_process import ServerProcess

from .channel_tokens import token
from .conftest import ChannelServe

Pair = tuple[ServerProcess, ServerProcess]


class Poller:
    """A client that says each time which server it asks. `told` is what was told and nobody asked for yet."""

    def __init__(self) -> None:
        self.token = ""
        self.told: list[Any] = []

    def request(self, server: ServerProcess, body: bytes | None = None) -> Any:
        url = f"{server.url}/socket/longpoll?vsn=2.0.0&token={self.token}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def poll(self, server: ServerProcess) -> int:
        answer = self.request(server)
        self.token = answer["token"]
        self.told += map(json.loads, answer["messages"])
        status: int = answer["status"]
        return status

    def say(self, server: ServerProcess, *frame: Any) -> int:
        status: int = self.request(server, json.dumps(frame).encode())["status"]
        return status

    def next(self, server: ServerProcess, event: str) -> Any:
        """The payload of the next frame of an event; those before it are lost."""
        while True:
            while self.told:
                if (frame := self.told.pop(0))[3] == event:
                    return frame[4]
            assert self.poll(server) in {200, 204}


@pytest.fixture(scope="module")
def pair(channel_serve: ChannelServe) -> Pair:
    return channel_serve(), channel_serve()


@pytest.fixture
def redis(module_redis: RedisService) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(module_redis.url) as client:
        yield client


def joined(here: ServerProcess, topic: str) -> Poller:
    poller = Poller()
    assert poller.poll(here) == 410
    assert poller.say(here, "1", "1", topic, "phx_join", {"token": token("*")}) == 200
    assert poller.next(here, "phx_reply")["status"] == "ok"
    return poller


def test_a_push_may_reach_the_other_process(pair: Pair) -> None:
    here, there = pair
    poller = joined(here, "room:1")
    assert poller.say(there, "1", "2", "room:1", "echo", {"n": 1}) == 200
    assert poller.next(here, "phx_reply") == {"status": "ok", "response": {"n": 1}}


def test_a_poll_at_the_other_process_is_told_in_order(pair: Pair, redis: redis_client.Redis) -> None:
    here, there = pair
    poller = joined(here, "room:1")
    for number in range(100):
        redis.publish("to:room:1:update", json.dumps([number]))
    assert [poller.next((here, there)[number % 2], "update") for number in range(100)] == [[number] for number in range(100)]


def test_a_poll_that_waits_at_the_other_process_is_answered_at_once(pair: Pair, redis: redis_client.Redis) -> None:
    here, there = pair
    poller = joined(here, "room:1")
    with ThreadPoolExecutor(1) as threads:
        told = threads.submit(poller.next, there, "update")
        while not wait([told], timeout=0.1).done:
            redis.publish("to:room:1:update", '{"n": 1}')
    assert told.result() == {"n": 1}


def test_a_session_is_gone_with_its_process(pair: Pair) -> None:
    here, there = pair
    poller = joined(there, "room:1")
    there.kill()
    assert poller.poll(here) == 410
    assert poller.say(here, "1", "1", "room:1", "phx_join", {}) == 200
    assert poller.next(here, "phx_reply")["status"] == "ok"
