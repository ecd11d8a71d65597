"""Channels when things go wrong: bursts, clients that do not read or ask too much, bad tokens, and processes and Redis that end."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
import redis as redis_client

from streaming.server.embedded_redis import RedisService
from tests.core.restarting import RestartingRedis
from tests.dialects.phoenix.sockets import PhoenixSocket
from tests.server_process import ServerProcess
from tests.topics.phoenix_presence import PhoenixPresence

from .channel_tokens import FOREIGN, token
from .conftest import ChannelServe
from .phoenix_swarm import Swarm, masked
from .sockets import BareSocket

pytestmark = pytest.mark.long_form(only=True)

NODE_TTL_SECONDS = 3
SWEEP_SECONDS = 2
JOINS = 10_000
LIMITS = {
    "GEOSTREAM_OUTBOX_BYTES": str(1024 * 1024),
    "GEOSTREAM_MESSAGES_BURST": str(2 * JOINS),
    "GEOSTREAM_NODE_TTL_SECONDS": str(NODE_TTL_SECONDS),
    "GEOSTREAM_LOG_LEVEL": "DEBUG",
}


@pytest.fixture(scope="module")
def server(channel_serve: ChannelServe) -> ServerProcess:
    return channel_serve(**LIMITS)


@pytest.fixture(scope="module")
def doomed(channel_serve: ChannelServe) -> ServerProcess:
    """Another process, on the same Redis, that does not live through the tests."""
    return channel_serve(**LIMITS)


@pytest.fixture
def redis(module_redis: RedisService) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(module_redis.url) as client:
        yield client


class Watching:
    """A member of an open topic, and who it sees there."""

    def __init__(self, server: ServerProcess, topic: str, id: str) -> None:
        self.socket = PhoenixSocket(server)
        self.topic = topic
        self._presence = PhoenixPresence()
        self.socket.send("1", "1", topic, "phx_join", {"token": token(topic, id)})
        assert self.socket.receive_event("phx_reply")[4]["status"] == "ok"

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.__exit__(None, None, None)

    def sees(self, *keys: str) -> None:
        """Wait until these are there, and nobody else."""
        while sorted(self._presence.metas) != sorted(keys):
            _, _, _, event, payload = self.socket.receive()
            self._presence.take(event, payload)


# -- too much ------------------------------------------------------------------


async def publish(redis: redis_client.Redis, channel: str, payloads: list[bytes]) -> None:
    """All in one pipeline."""
    pipe = redis.pipeline(transaction=False)
    for payload in payloads:
        pipe.publish(channel, payload)
    await asyncio.to_thread(pipe.execute)


async def test_a_burst_reaches_every_member_whole_and_in_order(server: ServerProcess, redis: redis_client.Redis) -> None:
    payloads = [b'{"number":%d}' % number for number in range(5000)]
    async with Swarm("room:burst", "update", payloads) as swarm, asyncio.timeout(20):
        await swarm.join(server.port, 500)
        await publish(redis, "to:room:burst:update", payloads)
        await swarm.told(5000)


async def test_only_the_client_that_reads_nothing_is_closed(server: ServerProcess, redis: redis_client.Redis) -> None:
    payloads = [b'["%b"]' % (b"x" * 50_000)] * 300
    slow = BareSocket(server.port, receive_buffer=4096, path="/websocket?vsn=2.0.0")
    with slow.tcp, Watching(server, "near", "alice") as alice:
        for topic, params in (("near", {"token": token("near", "slow")}), ("room:slow", {})):
            slow.send(json.dumps(["1", "1", topic, "phx_join", params]).encode(), text=True)
        alice.sees("alice", "slow")
        async with Swarm("room:slow", "update", payloads) as swarm, asyncio.timeout(20):
            await swarm.join(server.port, 10)
            for start in range(0, 300, 10):  # those that read are never far behind
                await publish(redis, "to:room:slow:update", payloads[start : start + 10])
                await swarm.told(start + 10)
        alice.sees("alice")
        assert closed(slow) == (1008, "far too much is waiting for this client")


def closed(socket: BareSocket) -> tuple[int, str]:
    """Read to the end: code and reason."""
    while True:
        opcode, payload = socket.frame()
        if opcode == 8:
            return int.from_bytes(payload[:2], "big"), payload[2:].decode()


def test_ten_thousand_joins_at_once_are_in_nobodys_way(server: ServerProcess) -> None:
    greedy = BareSocket(server.port, path="/websocket?vsn=2.0.0")
    answers: Counter[str] = Counter()

    def join_all() -> None:
        greedy.tcp.sendall(b"".join(masked([str(ref), str(ref), f"room:{ref}", "phx_join", {}]) for ref in range(JOINS)))

    def read_all() -> None:
        while answers.total() < JOINS:
            reply = json.loads(greedy.frame()[1])[4]
            answers[reply["response"].get("reason", reply["status"])] += 1

    delays = []
    with greedy.tcp, PhoenixSocket(server) as other:
        other.send("1", "1", "room:other", "phx_join", {})
        other.receive()
        threads = [threading.Thread(target=work) for work in (join_all, read_all)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        while threads[1].is_alive():
            began = time.monotonic()
            other.send("1", "2", "room:other", "echo", {})
            assert other.receive()[4] == {"status": "ok", "response": {}}
            delays.append(time.monotonic() - began)
        for thread in threads:
            thread.join()
        took = time.monotonic() - started
    assert answers == {"ok": 1000, "too many channels joined": JOINS - 1000}
    print(f"{len(delays)} answers in {took:.2f} s: median {median(delays) * 1000:.1f} ms, at most {max(delays) * 1000:.0f} ms")
    assert median(delays) < took / 20
    assert max(delays) < took / 3


# -- bad tokens ----------------------------------------------------------------


def bad_tokens() -> dict[str, str]:
    return {
        "forged": token("ships")[:-4] + "AAAA",
        "foreign key": token("ships", key=FOREIGN),
        "alg none": token("ships", key=None, algorithm="none"),
        "another algorithm": token("ships", algorithm="HS512"),
        "another topic": token("planes"),
        "for somebody else": token("ships", aud="elsewhere"),
        "expired": token("ships", seconds=-10),
    }


def unauthorized(what: str) -> dict[str, str]:
    """The refusal of one of them."""
    return {"reason": "unauthorized", **({"detail": "token expired"} if what == "expired" else {})}


def test_bad_tokens_are_refused_and_kept_out_of_the_log(server: ServerProcess) -> None:
    tokens = bad_tokens()
    for what, bad in tokens.items():
        for path, params in (("/websocket?vsn=2.0.0", {"token": bad}), (f"/websocket?vsn=2.0.0&userToken={bad}", {})):
            with PhoenixSocket(server, path) as socket:
                socket.send("1", "1", "ships", "phx_join", params)
                assert socket.receive()[4] == {"status": "error", "response": unauthorized(what)}, what
        assert server.request("GET", f"/longpoll?vsn=2.0.0&userToken={bad}", token="")[1]["status"] == 410
    assert "refused: unauthorized" in server.log.read_text()
    _not_logged(server.log, tokens)


def test_bad_tokens_renew_nothing(server: ServerProcess) -> None:
    tokens = bad_tokens()
    with Watching(server, "ships", "alice") as alice:
        for what, bad in tokens.items():
            alice.socket.send("1", "2", "ships", "access_token", {"token": bad})
            assert alice.socket.receive_event("phx_reply")[4] == {"status": "error", "response": unauthorized(what)}, what
    _not_logged(server.log, tokens)


def _not_logged(log: Path, tokens: dict[str, str]) -> None:
    written = log.read_text()
    for bad in tokens.values():
        _, claims, signature = bad.split(".")
        assert claims not in written
        assert not signature or signature not in written


# -- what ends -----------------------------------------------------------------


def test_members_of_a_process_that_stops_are_gone_at_once(server: ServerProcess, doomed: ServerProcess) -> None:
    with Watching(server, "crew", "alice") as alice, Watching(doomed, "crew", "bob") as bob:
        alice.sees("alice", "bob")
        stopping = threading.Thread(target=doomed.stop)
        stopping.start()
        assert bob.socket.closed()[0] == 1012
        began = time.monotonic()
        alice.sees("alice")
        assert time.monotonic() - began < 1
        stopping.join()


def test_members_of_a_process_that_is_killed_are_gone_soon(server: ServerProcess, doomed: ServerProcess) -> None:
    if doomed.process is None:
        doomed.start()
    with Watching(server, "crew", "alice") as alice, Watching(doomed, "crew", "bob"):
        alice.sees("alice", "bob")
        doomed.kill()
        began = time.monotonic()
        alice.sees("alice")
        assert time.monotonic() - began < NODE_TTL_SECONDS + SWEEP_SECONDS + 4


@pytest.fixture(scope="module")
def restarting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestartingRedis]:
    redis = RestartingRedis(tmp_path_factory.mktemp("restarting"))
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def unlucky(channel_serve: ChannelServe, restarting: RestartingRedis) -> ServerProcess:
    """A process whose Redis goes away and comes back."""
    return channel_serve(data="unlucky", redis_url=restarting.url)


def test_topics_hear_again_soon_after_redis_restarts(unlucky: ServerProcess, restarting: RestartingRedis) -> None:
    with Watching(unlucky, "crew", "alice") as alice, Watching(unlucky, "crew", "bob") as bob:
        for member in (alice, bob):
            member.sees("alice", "bob")
        restarting.stop()
        alice.socket.send("1", "2", "crew", "move", {})
        assert alice.socket.receive_event("phx_reply")[4] == {"status": "error", "response": {"reason": "redis_unavailable"}}
        restarting.start()
        began = time.monotonic()
        with redis_client.Redis.from_url(restarting.url) as client:
            while not client.publish("to:crew:update", b'{"n": 1}'):
                assert time.monotonic() - began < 2
                time.sleep(0.02)
        for member in (alice, bob):
            assert member.socket.receive_event("update")[4] == {"n": 1}
        alice.socket.send("1", "3", "crew", "move", {})
        assert alice.socket.receive_event("phx_reply")[4]["status"] == "ok"


def test_presence_is_right_again_after_redis_restarts(unlucky: ServerProcess, restarting: RestartingRedis) -> None:
    with Watching(unlucky, "watch", "alice") as alice:
        with Watching(unlucky, "watch", "bob"):
            alice.sees("alice", "bob")
            restarting.stop()
        restarting.start()
        with Watching(unlucky, "watch", "carol") as carol:
            alice.sees("alice", "carol")
            carol.sees("alice", "carol")


def test_presence_is_right_again_after_redis_lost_everything(unlucky: ServerProcess, restarting: RestartingRedis) -> None:
    with Watching(unlucky, "lost", "alice") as alice, Watching(unlucky, "lost", "bob") as bob:
        alice.sees("alice", "bob")
        with redis_client.Redis.from_url(restarting.url) as client:
            client.flushall()
        bob.__exit__()
        with Watching(unlucky, "lost", "carol") as carol:
            for member in (alice, carol):
                member.sees("alice", "carol")
