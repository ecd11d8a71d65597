"""The Redis commands when things go wrong: Redis ends, what is published is hostile, clients ask for nonsense or do not read."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import pytest
import redis as redis_client
from websockets.sync.client import connect

from streaming.server.embedded_redis import RedisService
from streaming.server.redis_server import process_id
from tests.core.restarting import RestartingRedis
from tests.server_process import ServerProcess

from .conftest import Serve
from .sockets import TIMEOUT, BareSocket

pytestmark = pytest.mark.long_form(only=True)

MORE_SECONDS = 0.025
TIMES_MORE = 4
"""How much longer 99 of 100 answers may take where somebody makes trouble than at a server beside it where nobody does, at the same time:
this machine may be slow for reasons of its own.
"""
PAUSE_SECONDS = 0.002
"""Between two PINGs: who measures takes no processor from what is measured."""
WARM_UP = 1200
MESSAGES = 6000
BYTES = 10_240
PER_TURN = 12
TURN_SECONDS = 0.006
MORE_MEGABYTES = 40
AT_ONCE_SECONDS = 30
"""On a busy machine; who waits for a client that does not read gives up after GEOSTREAM_STALLED_SECONDS, which are 120."""


class RedisSocket:
    """A client; to be used in a `with` statement."""

    def __init__(self, server: ServerProcess) -> None:
        self._stack = ExitStack()
        connecting = connect(f"ws://127.0.0.1:{server.port}/ws/redis", compression=None, max_size=None, open_timeout=TIMEOUT)
        self._websocket = self._stack.enter_context(connecting)
        assert self.receive()["content"] == {"status": "open"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def send(self, *commands: str) -> None:
        for command in commands:
            self._websocket.send(command)

    def receive(self) -> dict[str, Any]:
        """The next frame, which must be JSON as browsers have it."""
        frame: dict[str, Any] = json.loads(self._websocket.recv(TIMEOUT), parse_constant=pytest.fail)
        return frame

    def receive_from(self, source: str) -> Any:
        """The content of the next frame from there."""
        while (frame := self.receive())["source"] != source:
            pass
        return frame["content"]

    def listen(self, *commands: str) -> None:
        """Send commands, and wait until they are carried out."""
        self.send(*commands, "PING")
        while self.receive_from("websocket") != "PONG":
            pass

    def pinged(self) -> float:
        """Seconds until a PONG."""
        began = time.monotonic()
        self.send("PING")
        assert self.receive()["content"] == "PONG"
        return time.monotonic() - began


def p99(delays: list[float]) -> float:
    return sorted(delays)[int(len(delays) * 0.99)]


def allowed(baseline: float) -> float:
    """What may be taken in trouble, by what is taken without."""
    return TIMES_MORE * baseline + MORE_SECONDS


@pytest.fixture(scope="module")
def server(serve: Serve) -> ServerProcess:
    return serve()


@pytest.fixture(scope="module")
def without(serve: Serve) -> ServerProcess:
    """A server on the same Redis where nobody makes trouble."""
    return serve(data="without")


@pytest.fixture
def redis(module_redis: RedisService) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(module_redis.url) as client:
        yield client


# -- Redis ends ----------------------------------------------------------------


@pytest.fixture(scope="module")
def restarting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestartingRedis]:
    redis = RestartingRedis(tmp_path_factory.mktemp("restarting"))
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def unlucky(serve: Serve, restarting: RestartingRedis) -> ServerProcess:
    """A server whose Redis is killed."""
    return serve(data="unlucky", redis_url=restarting.url)


def kill(restarting: RestartingRedis) -> None:
    pid = process_id(restarting.url)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    restarting.stop()


def publish_until_heard(redis: redis_client.Redis, channel: str, content: str) -> float:
    """Seconds until somebody listens."""
    began = time.monotonic()
    while not redis.publish(channel, content):
        assert time.monotonic() - began < 2, "nobody listens again"
        time.sleep(0.02)
    return time.monotonic() - began


def test_clients_stay_when_redis_is_killed_and_hear_again_soon(unlucky: ServerProcess, restarting: RestartingRedis) -> None:
    with redis_client.Redis.from_url(restarting.url) as redis, RedisSocket(unlucky) as early, RedisSocket(unlucky) as late:
        redis.hset("pub:a", "1", '{"n": 1}')
        early.listen("BBOX 0 0 10 10", "SUB pub:a", "PSUB pub:b*")
        early.send("GET pub:a")
        assert early.receive_from("pub:a") == {"n": 1}
        kill(restarting)
        late.listen("SUB pub:c")  # made once Redis is there
        for command, reference in (("GET pub:a client_ref=all", "all"), ("GET pub:a 1 one", "one"), ("PGET pub:a client_ref=p", "p")):
            late.send(command)
            told = late.receive()
            assert (told["content"]["status"], told["content"]["code"], told["client_reference"]) == ("error", "unavailable", reference)
        assert max(client.pinged() for client in (early, late)) < 1
        restarting.start()
        for channel, client in (("pub:a", early), ("pub:bb", early), ("pub:c", late)):
            publish_until_heard(redis, channel, '{"n": 2}')
            assert client.receive_from(channel) == {"n": 2}
        redis.hset("pub:a", "1", '{"n": 3}')
        late.send("GET pub:a 1 back")
        assert late.receive_from("pub:a 1") == {"n": 3}


# -- hostile publishes ---------------------------------------------------------


def feature(geometry: Any) -> bytes:
    return json.dumps({"type": "Feature", "geometry": geometry, "properties": {}}).encode()


def collection(depth: int) -> bytes:
    inner = b'{"type":"Point","coordinates":[1,1]}'
    for _ in range(depth):
        inner = b'{"type":"GeometryCollection","geometries":[%b]}' % inner
    return b'{"type":"Feature","geometry":%b,"properties":{}}' % inner


HOSTILE = {
    "nothing": b"",
    "no JSON": b"gibberish",
    "half of it": b'{"type":"Feature","geometry":{"type":"Po',
    "no text": b"\xff\xfe\x00",
    "half a character": b'"\\ud800"',
    "NaN": b'{"n":NaN,"i":-Infinity}',
    "a number without end": b'{"n":1e999}',
    "many digits": b"9" * 100_000,
    "brackets": b"[" * 200_000,
    "closed brackets": b"[" * 100_000 + b"]" * 100_000,
    "a deep collection": collection(5000),
    "a collection": collection(3),
    "null geometry": feature(None),
    "text for a geometry": feature("POINT(1 1)"),
    "text for numbers": feature({"type": "Point", "coordinates": ["a", "b"]}),
    "numbers beyond the world": feature({"type": "Point", "coordinates": [1e300, -1e300]}),
    "no coordinates": feature({"type": "Polygon"}),
    "an open ring of two": feature({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}),
    "empty": feature({"type": "MultiPolygon", "coordinates": []}),
    "mixed dimensions": feature({"type": "LineString", "coordinates": [[0, 0, 5], [1, 1], [2, 2, 1, 9]]}),
    "an unknown type": feature({"type": "Sphere", "coordinates": [0, 0]}),
    "text for features": b'{"type":"FeatureCollection","features":"none"}',
    "a line of thirty thousand": feature({"type": "LineString", "coordinates": [[n % 180, n % 90] for n in range(30_000)]}),
}
GOOD = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": {"last": True}}


def test_hostile_publishes_disturb_nobody(server: ServerProcess, without: ServerProcess, redis: redis_client.Redis) -> None:
    filters: dict[str, list[str]] = {
        "plain": [],
        "box": ["BBOX 0 0 2 2"],
        "projected": ["PROJECTION epsg:3857"],
        "box, projected": ["BBOX 0 0 2 2", "PROJECTION epsg:3857"],
        "projected, box": ["PROJECTION epsg:2056", "BBOX -1e9 -1e9 1e9 1e9", "HELLO 2 trim=1"],
        "gathered": ["BUFFER 5 10"],
        "by pattern": ["BBOX 0 0 2 2"],
    }
    clients = {name: RedisSocket(server) for name in filters}
    for name, client in clients.items():
        client.listen(*filters[name], "PSUB pub:hos*" if name == "by pattern" else "SUB pub:hostile")

    def publish_all() -> None:
        for payload in (*HOSTILE.values(), json.dumps(GOOD)):
            redis.publish("pub:hostile", payload)

    delays, baseline = pinged_while(publish_all, server, without)
    assert p99(delays) < allowed(p99(baseline))
    for name, client in clients.items():
        with client:
            while '"last": true' not in json.dumps(client.receive()):
                pass
            assert client.pinged() < 1, name


def test_hostile_values_of_a_hash_are_passed_over(server: ServerProcess, redis: redis_client.Redis) -> None:
    redis.hset("pub:hostile", mapping=HOSTILE | {"good": json.dumps(GOOD)})  # type: ignore[arg-type]
    with RedisSocket(server) as client:
        client.send("BBOX 0 0 2 2", "PROJECTION epsg:3857", "GET pub:hostile client_ref=all", "GET pub:hostile good one")
        while (frame := client.receive())["client_reference"] != "one":
            assert frame["client_reference"] == "all"
        assert frame["content"]["properties"] == {"last": True}
        for name in ("no JSON", "brackets"):
            client.send(f"GET pub:hostile client_ref={name.split()[0]} ref={name.split()[-1]}")
            assert client.receive()["content"] is None


# -- nonsense ------------------------------------------------------------------

BAD_PROJECTIONS = (
    "epsg:999990",
    "EPSG:999991",
    "urn:ogc:def:crs:EPSG::999992",
    "http://www.opengis.net/def/crs/EPSG/0/999993",
    "WGS84",
    "gibberish",
    "epsg:-1",
    "epsg:" + "9" * 1000,
    "epsg:5773",
    "+proj=utm",
)


def pinged_while(trouble: Callable[[], None], *servers: ServerProcess, least: int = 200) -> list[list[float]]:
    """How long each PONG took for somebody else at each server while there was trouble, and a little longer."""
    with ExitStack() as stack:
        others = [stack.enter_context(RedisSocket(server)) for server in servers]
        for other in others:
            other.pinged()
        thread = threading.Thread(target=trouble)
        thread.start()
        delays = list[list[float]]()
        while thread.is_alive() or len(delays) < least:
            delays.append([other.pinged() for other in others])
            time.sleep(PAUSE_SECONDS)
        thread.join()
    return [list(of_one) for of_one in zip(*delays, strict=True)]


def test_bad_projections_are_in_nobodys_way(server: ServerProcess, without: ServerProcess) -> None:
    def ask() -> None:
        with RedisSocket(server) as client:
            client.send("HELLO 2 errors=1", *(f"PROJECTION {crs}" for crs in BAD_PROJECTIONS))
            assert client.receive()["content"]["status"] == "hello"
            assert {client.receive()["content"]["code"] for _ in BAD_PROJECTIONS} == {"projection"}

    delays, baseline = pinged_while(ask, server, without)
    assert p99(delays) < allowed(p99(baseline))
    assert max(delays) < 10 * allowed(max(baseline))


# -- who does not read ---------------------------------------------------------


def megabytes(server: ServerProcess) -> float:
    """Resident memory of a server."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def dropped(server: ServerProcess) -> list[int]:
    """What operators see of each subscription."""
    with closing(sqlite3.connect(server.data_dir / "geostream.sqlite3")) as database:
        return sorted(number for (number,) in database.execute("SELECT dropped FROM streaming_subscription WHERE feed = 'pub:load'"))


def until_dropped(server: ServerProcess, counts: list[int]) -> None:
    """Until operators see so many: they are written about once a second."""
    deadline = time.monotonic() + 5
    while dropped(server) != counts:
        assert time.monotonic() < deadline, dropped(server)
        time.sleep(0.1)


class Reader(threading.Thread):
    """Reads what is published, and notes how late it came."""

    _SAID = re.compile(rb'"number":(\d+),"at":([0-9.]+)')

    def __init__(self, socket: BareSocket, last: int) -> None:
        super().__init__(daemon=True)
        self.socket = socket
        self.delays: list[float] = []
        self.numbers: list[int] = []
        self._last = last

    def run(self) -> None:
        while not self.numbers or self.numbers[-1] != self._last:
            payload = self.socket.frame()[1]
            now = time.time()
            if said := self._SAID.search(payload):
                self.numbers.append(int(said[1]))
                self.delays.append(now - float(said[2]))


def until_read(readers: list[Reader], number: int) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not all(number in reader.numbers for reader in readers):
        assert time.monotonic() < deadline, [reader.numbers[-1:] for reader in readers]
        time.sleep(0.01)


def publish_load(redis: redis_client.Redis, numbers: range) -> None:
    """So many at a time, at a steady pace."""
    filler, began = b"x" * BYTES, time.monotonic()
    for turn, start in enumerate(numbers[::PER_TURN]):
        time.sleep(max(0.0, began + turn * TURN_SECONDS - time.monotonic()))
        pipe = redis.pipeline(transaction=False)
        for number in range(start, start + PER_TURN):
            pipe.publish("pub:load", b'{"number":%d,"at":%.6f,"filler":"%b"}' % (number, time.time(), filler))
        pipe.execute()


def listening(server: ServerProcess, receive_buffer: int | None = None) -> BareSocket:
    socket = BareSocket(server.port, receive_buffer, path="/ws/redis")
    for command in (b"SUB pub:load", b"PING"):
        socket.send(command, text=True)
    while b'"PONG"' not in socket.frame()[1]:
        pass
    return socket


def connections(server: ServerProcess) -> int:
    """How many clients of the Redis commands the server has."""
    with urllib.request.urlopen(server.url + "/metrics", timeout=TIMEOUT) as answer:
        return int(float(re.search(r'^geostream_connections\{.*dialect="redis".*\} (\S+)$', answer.read().decode(), re.MULTILINE)[1]))  # type: ignore[index]


def until_connected(server: ServerProcess, count: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while connections(server) != count:
        assert time.monotonic() < deadline, connections(server)
        time.sleep(0.05)


@pytest.mark.parametrize("waiting", [0, 100], ids=["nothing waits", "more waits than is read"])
@pytest.mark.parametrize("farewell", [b"", b"\x88\x80\0\0\0\0", b"\xff\xff"], ids=["none", "a close frame", "nonsense"])
def test_clients_that_leave_while_they_are_sent_a_large_hash_are_gone_at_once(
    server: ServerProcess, redis: redis_client.Redis, farewell: bytes, waiting: int
) -> None:
    redis.hset("pub:big", mapping={str(number): json.dumps("x" * 16_000) for number in range(1000)})
    with ExitStack() as stack:
        clients = [BareSocket(server.port, receive_buffer=4096, path="/ws/redis") for _ in range(2)]
        for client in clients:
            stack.enter_context(client.tcp)
            client.send(b"GET pub:big", text=True)
            while b"pub:big" not in client.frame()[1]:
                pass
        until_connected(server, len(clients), AT_ONCE_SECONDS)
        for client in clients:
            for _ in range(waiting):
                client.send(b"PING", text=True)
            client.tcp.sendall(farewell)
            if waiting:
                client.tcp.shutdown(socket.SHUT_WR)  # not `close`: what it has not read would make that a reset, which nobody misses
            elif not farewell:
                client.tcp.close()
        until_connected(server, 0, AT_ONCE_SECONDS)


def test_a_reader_that_stalls_costs_little_and_is_in_nobodys_way(
    server: ServerProcess, without: ServerProcess, redis: redis_client.Redis
) -> None:
    last = WARM_UP + MESSAGES - 1
    readers = [Reader(listening(each), last) for each in (server, without)]
    with readers[0].socket.tcp, readers[1].socket.tcp:
        for reader in readers:
            reader.start()
        publish_load(redis, range(WARM_UP))
        until_read(readers, WARM_UP - 1)  # or who subscribes next is sent the rest of it too
        before = megabytes(server)
        stalled = listening(server, receive_buffer=4096)
        with stalled.tcp:
            pings = pinged_while(lambda: publish_load(redis, range(WARM_UP, last + 1)), server, without)
            for reader in readers:
                reader.join(TIMEOUT)
            growth = megabytes(server) - before
            told, pinged = ([p99(delays) for delays in of_both] for of_both in ([reader.delays for reader in readers], pings))
            for what, (here, there) in {"told": told, "pinged": pinged}.items():
                print(f"{what}: p99 {here * 1000:.1f} ms beside a reader that stalls, {there * 1000:.1f} ms without")
                assert here < allowed(there)
            print(f"memory: {growth:+.0f} MB")
            assert growth < MORE_MEGABYTES
            assert [reader.numbers for reader in readers] == [list(range(last + 1))] * 2
            late = Reader(stalled, last)
            late.run()
            assert late.numbers == sorted(late.numbers)
            assert len(late.numbers) < MESSAGES / 2
            until_dropped(server, [0, MESSAGES - len(late.numbers)])
