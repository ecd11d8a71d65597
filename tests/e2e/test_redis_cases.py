"""The recorded sessions, step for step, against a running server with a Redis: what the original sends, or what we do better."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from streaming.server.embedded_redis import RedisService
from tests.dialects.redis_commands.vectors import CASES, GREETING, expected
from tests.server_process import ServerProcess

from .conftest import Serve

NAMES = ("vehicles", "stations", "secrets")
FENCE = "fence"


@pytest.fixture(scope="module")
def reading(serve: Serve) -> ServerProcess:
    """A server that lets clients read the names of the recordings."""
    return serve(GEOSTREAM_REDIS_READABLE="vehicles,stations,fence")


@pytest.fixture
def store(module_redis: RedisService) -> Iterator[redis.Redis]:
    """The Redis behind it, in which nothing of the recordings is left."""
    client = redis.Redis.from_url(module_redis.url)
    client.delete(*NAMES)
    yield client
    client.close()


class Case:
    """Plays the steps of one recording. What is published is fenced by a second client: once it hears of the fence, all has arrived."""

    def __init__(self, url: str, store: redis.Redis) -> None:
        self.store = store
        self._stack = ExitStack()
        self.client, self.watcher = self._connected(url), self._connected(url)
        self.watcher.send(f"SUB {FENCE}")
        self._pong(self.watcher)

    def close(self) -> None:
        self._stack.close()

    def _connected(self, url: str) -> ClientConnection:
        client = self._stack.enter_context(connect(url, max_size=8 * 1024 * 1024, compression=None))
        assert _without_time(client.recv(5)) == GREETING
        return client

    def setup(self, commands: list[dict[str, list[str]]]) -> None:
        for command in commands:
            for name, arguments in command.items():
                self.store.execute_command(name, *arguments)

    def play(self, step: dict[str, Any]) -> list[dict[str, Any]]:
        """The frames that a step is answered with, a close as `{"close": code}`."""
        if "publish" in step:
            channel, payload = step["publish"]
            self.store.publish(channel, _spelled_out(payload))
            self.store.publish(FENCE, "0")
            self.watcher.recv(5)
        else:
            text = _spelled_out(step.get("send", step.get("send_binary")))
            self.client.send(text if "send" in step else text.encode())
        return self._answers(len(expected(step)))

    def _answers(self, wanted: int) -> list[dict[str, Any]]:
        """As many as are wanted, and those that come before the answer to another question."""
        frames: list[dict[str, Any]] = []
        try:
            frames += [_without_time(self.client.recv(5)) for _ in range(wanted)]
            self.client.send("GET fence until until")
            while (frame := _without_time(self.client.recv(5)))["client_reference"] != "until":
                frames.append(frame)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            frames.append({"close": closed.rcvd.code})
        return frames

    def _pong(self, client: ClientConnection) -> None:
        client.send("PING")
        assert _without_time(client.recv(5))["content"] == "PONG"


def _spelled_out(text: str) -> str:
    """Long texts are described in the recordings."""
    if text.startswith("<") and text.endswith(" chars>"):
        length = int(text[1:].split()[0])
        return '"' + "x" * (length - 2) + '"'
    return text


def _without_time(frame: str | bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(frame)
    for envelope in (decoded, *(decoded["content"] if decoded["source"] == "buffer" else ())):
        assert isinstance(envelope.pop("timestamp"), float)
    return decoded


def _same(told: Any, wanted: Any) -> bool:
    """Numbers to nine digits; of an error its code."""
    if isinstance(wanted, str) and wanted.startswith("<") and wanted.endswith(" chars>"):
        return isinstance(told, str) and len(told) == int(wanted[1:].split()[0])
    if isinstance(wanted, dict) and isinstance(told, dict):
        part = wanted.get("status") in ("error", "hello")
        return (part or told.keys() == wanted.keys()) and all(key in told and _same(told[key], value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(told, list):
        return len(told) == len(wanted) and all(map(_same, told, wanted))
    if isinstance(wanted, int | float) and not isinstance(wanted, bool) and isinstance(told, int | float):
        return math.isclose(told, wanted, rel_tol=1e-9)
    return bool(told == wanted)


def _matching(told: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    """The same frames; those of a hash in any order."""
    left = list(told)
    for frame in wanted:
        found = next((one for one in left if _same(one, frame)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_recorded_session(case: dict[str, Any], reading: ServerProcess, store: redis.Redis) -> None:
    played = Case(f"ws://127.0.0.1:{reading.port}/ws/redis", store)
    played.setup(case["setup"])
    for step in case["steps"]:
        told = played.play(step)
        assert _matching(told, expected(step)), (step, told)
        if any("close" in frame for frame in told):
            break
    played.close()
