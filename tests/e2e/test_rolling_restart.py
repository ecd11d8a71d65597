"""Two processes are replaced while clients listen and publishers publish: nobody loses anything, by the clients' own accounts."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from streaming.client import Backoff, GeoStreamClient
from streaming.server.embedded_redis import RedisService
from tests.conftest import Serve
from tests.geo_peer import point
from tests.server_process import ServerProcess
from tests.topics.phoenix_presence import PhoenixPresence

from .channel_tokens import SECRET, token

pytestmark = pytest.mark.long_form(only=True)

TOPIC = "news"
PRESENCE_SECONDS = 15.0
MEMBERS = [f"member-{number}" for number in range(4)]
GEO_CLIENTS = 6
PAUSE_SECONDS = 0.1
"""Between two rounds of publishing."""


@pytest.fixture(scope="module")
def server(serve: Serve) -> ServerProcess:
    """Two workers."""
    running = serve(
        workers=2,
        GEOSTREAM_JWT_SECRET=SECRET,
        GEOSTREAM_TOPIC_HISTORY=TOPIC,
        GEOSTREAM_DRAIN_SECONDS="1",
        GEOSTREAM_LOG_LEVEL="INFO",
    )
    running.publish("restart", point("first", 0, 0))
    return running


class Returning:
    """A client in a thread that comes back as often as the server sends it away, after a moment. `codes`: what it was closed with."""

    path = ""

    def __init__(self, server: ServerProcess) -> None:
        self.codes: list[int] = []
        self.seen: set[int] = set()
        self._url = f"ws://127.0.0.1:{server.port}{self.path}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def opened(self, socket: ClientConnection) -> None:
        """What it says first."""

    def take(self, text: str) -> None:
        """What it was told."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with connect(self._url, compression=None, max_size=None, proxy=None) as socket:
                    self.opened(socket)
                    self._listen(socket)
            except ConnectionClosed as error:
                assert error.rcvd is not None
                self.codes.append(error.rcvd.code)
            time.sleep(random.uniform(0.05, 0.3))

    def _listen(self, socket: ClientConnection) -> None:
        while not self._stopping.is_set():
            try:
                frame = socket.recv(0.1)
            except TimeoutError:
                continue
            self.take(frame if isinstance(frame, str) else frame.decode())


class Member(Returning):
    """A member of a topic with a history, as the documents have it for phoenix.js."""

    path = "/websocket?vsn=2.0.0"

    def __init__(self, server: ServerProcess, name: str) -> None:
        self.name = name
        self.recoveries: list[object] = []
        self.presence = PhoenixPresence()
        self._last_id: str | None = None
        super().__init__(server)

    def opened(self, socket: ClientConnection) -> None:
        payload = {"token": token(TOPIC, self.name), **({"last_id": self._last_id} if self._last_id else {})}
        self.presence = PhoenixPresence()
        socket.send(json.dumps(["1", "1", TOPIC, "phx_join", payload]))

    def take(self, text: str) -> None:
        _, _, _, event, payload = json.loads(text)
        if event == "phx_reply" and "last_id" in payload["response"]:
            self._last_id = payload["response"]["last_id"]
            self.recoveries.append(payload["response"]["recovered"])
        elif event == "last_id":
            self._last_id = payload["id"]
        elif event == "said":
            self.seen.add(payload["n"])
        else:
            self.presence.take(event, payload)


class RedisClient(Returning):
    """Subscribes to a channel and then reads the hash beside it, each time that it comes."""

    path = "/ws/redis"

    def opened(self, socket: ClientConnection) -> None:
        socket.send("SUB pub:restart")
        socket.send("GET pub:restart")

    def take(self, text: str) -> None:
        self.seen |= {int(number) for number in re.findall(r'"n": ?(\d+)', text)}


class Publisher:
    """Publishes number after number in three ways at once. `refused`: what was answered with anything but 200."""

    def __init__(self, server: ServerProcess, redis: redis_client.Redis) -> None:
        self.published = 0
        self.refused: list[object] = []
        self._server, self._redis = server, redis
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> set[int]:
        self._stopping.set()
        self._thread.join()
        return set(range(1, self.published + 1))

    def _run(self) -> None:
        while not self._stopping.is_set():
            number = self.published + 1
            try:
                status, answer = self._server.post("/api/layers/restart/features", point(str(number), 1, 1, n=number))
            except OSError as error:
                status, answer = 0, error
            if status != 200:
                self.refused.append((status, answer))
            text = json.dumps({"n": number})
            self._redis.hset("pub:restart", str(number), text)
            self._redis.publish("pub:restart", text)
            self._redis.publish(f"to:{TOPIC}:said", text)
            self.published = number
            time.sleep(PAUSE_SECONDS)


class GeoAccounts:
    """Python clients of the geo protocol, and the features that each was told of."""

    def __init__(self) -> None:
        self.seen: list[set[object]] = []
        self.recovered: list[object] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: list[GeoStreamClient] = []

    async def connect(self, url: str, count: int) -> None:
        for number in range(count):
            client = GeoStreamClient(url, format=("Json", "MessagePack")[number % 2], backoff=Backoff(initial=0.2, maximum=1.0))  # type: ignore[arg-type]
            await client.connect()
            subscription = await client.subscribe_features("restart")
            seen: set[object] = set()
            self.seen.append(seen)
            self._clients.append(client)
            self._tasks.append(asyncio.create_task(self._follow(subscription, seen)))

    async def _follow(self, subscription: object, seen: set[object]) -> None:
        async for change in subscription:  # type: ignore[attr-defined]
            seen.add(change.id)
            self.recovered.append(subscription.recovered)  # type: ignore[attr-defined]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        await asyncio.gather(*self._tasks)


async def until(holds: Callable[[], bool], seconds: float = 60.0, what: Callable[[], object] = lambda: "") -> float:
    """Wait; how many seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, what()
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def workers(server: ServerProcess) -> set[str]:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return {child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


@pytest.fixture
def redis(module_redis: RedisService) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(module_redis.url) as client:
        yield client


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_nobody_loses_anything_when_all_processes_are_replaced(server: ServerProcess, redis: redis_client.Redis) -> None:
    before = workers(server)
    geo = GeoAccounts()
    await geo.connect(server.ws_url, GEO_CLIENTS)
    members = [Member(server, name) for name in MEMBERS]
    redis_clients = [RedisClient(server) for _ in range(4)]
    everybody = [*members, *redis_clients]
    await until(lambda: all(len(member.presence.state) == len(MEMBERS) for member in members))  # what was said before is not theirs
    publisher = Publisher(server, redis)
    try:
        await until(lambda: publisher.published > 5)
        os.kill(server.pid, signal.SIGHUP)
        await until(lambda: "all workers have been replaced" in server.log.read_text(), what=server.log.read_text)
        await until(lambda: all(sorted(member.presence.state) == MEMBERS for member in members), PRESENCE_SECONDS)
        now = publisher.published
        await until(lambda: publisher.published > now + 5)
        published = publisher.stop()
        await until(
            lambda: all(client.seen == published for client in everybody),
            15,
            lambda: [(type(client).__name__, sorted(published - client.seen), client.codes) for client in everybody],
        )
        await until(lambda: all(seen - {"first"} == {str(number) for number in published} for seen in geo.seen), 15)
    finally:
        publisher.stop()
        for client in everybody:
            client.stop()
        await geo.close()
    assert len(workers(server) - before) == 2
    assert publisher.refused == []
    assert {code for client in everybody for code in client.codes} == {1012}
    assert all(client.codes for client in everybody)
    assert {recovered for member in members for recovered in member.recoveries[1:]} == {True}
    assert set(geo.recovered) <= {None, True} and True in geo.recovered
