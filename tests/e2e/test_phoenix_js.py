"""The official client, npm `phoenix` of two generations, against whole servers: what an application's front end does and goes through."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis as redis_client

from streaming.server.embedded_redis import RedisService
from tests.geo_peer import point
from tests.server_process import ServerProcess

from .channel_tokens import token
from .conftest import ChannelServe
from .phoenix_js import PACKAGES, PhoenixJs, Topic, phoenix_js

pytestmark = pytest.mark.node

SOON = 2.0


@pytest.fixture(scope="module")
def here(channel_serve: ChannelServe) -> ServerProcess:
    return channel_serve()


@pytest.fixture(scope="module")
def there(channel_serve: ChannelServe) -> ServerProcess:
    """Another process, on the same Redis; tests stop it, and start it again."""
    return channel_serve()


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, PhoenixJs]]:
    with phoenix_js("1.8") as newest, phoenix_js("1.7") as older:
        yield {"1.8": newest, "1.7": older}


@pytest.fixture
def all_versions(processes: dict[str, PhoenixJs]) -> Iterator[list[PhoenixJs]]:
    yield list(processes.values())
    for client in processes.values():
        client.disconnect_all()


@pytest.fixture(params=PACKAGES)
def client(request: pytest.FixtureRequest, processes: dict[str, PhoenixJs]) -> Iterator[PhoenixJs]:
    yield processes[request.param]
    processes[request.param].disconnect_all()


@pytest.fixture
def newest(processes: dict[str, PhoenixJs]) -> Iterator[PhoenixJs]:
    yield processes["1.8"]
    processes["1.8"].disconnect_all()


@pytest.fixture
def redis(module_redis: RedisService) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(module_redis.url) as client:
        yield client


def socket_url(server: ServerProcess) -> str:
    return f"ws://127.0.0.1:{server.port}/socket"


# -- joins, pushes, broadcasts -------------------------------------------------


def test_a_join_is_answered(client: PhoenixJs, here: ServerProcess) -> None:
    channel = client.socket(socket_url(here)).join("room:hello")
    assert (channel.response, channel.state) == ({"welcome": True}, "joined")


def test_a_refused_join_says_why_and_joins_once_it_may(client: PhoenixJs, here: ServerProcess) -> None:
    socket = client.socket(socket_url(here))
    assert socket.try_join("ships", {"token": token("planes")}, {"token": token("ships")}) == ("error", {"reason": "unauthorized"})
    socket.until("joined", topic="ships")


def test_a_join_without_a_token_is_refused_at_once(client: PhoenixJs, here: ServerProcess) -> None:
    began = time.monotonic()
    assert client.socket(socket_url(here)).try_join("ships") == ("error", {"reason": "unauthorized"})
    assert time.monotonic() - began < SOON


def test_the_token_of_the_socket_is_enough(client: PhoenixJs, here: ServerProcess) -> None:
    socket = client.socket(socket_url(here), options={"params": {"userToken": token("ships", "bob")}})
    assert socket.join("ships").response["id"].split(":")[1] == "ships"


@pytest.mark.parametrize(("event", "answer"), [("echo", ("ok", {"n": 1})), ("err", ("error", {"reason": "nope"}))])
def test_a_push_is_answered(client: PhoenixJs, here: ServerProcess, event: str, answer: tuple[str, object]) -> None:
    assert client.socket(socket_url(here)).join("room:1").push(event, {"n": 1}) == answer


def test_a_push_reaches_backends_as_it_is(client: PhoenixJs, here: ServerProcess, redis: redis_client.Redis) -> None:
    channel = client.socket(socket_url(here)).join("ships", {"token": token("ships")})
    with redis.pubsub() as backend:  # type: ignore[no-untyped-call]
        backend.subscribe("from:ships:move")
        assert backend.get_message(timeout=SOON) is not None
        assert channel.push("move", {"z": 1, "a": [1.5, "é"]}) == ("ok", {})
        heard = backend.get_message(timeout=SOON)
        assert heard is not None
        assert heard["data"] == '{"z":1,"a":[1.5,"é"]}'.encode()


def test_a_broadcast_reaches_the_members_of_both_processes(client: PhoenixJs, here: ServerProcess, there: ServerProcess) -> None:
    members = [client.socket(socket_url(server)).join("room:1", events=["shout"]) for server in (here, there)]
    members[0].push("ok", {})
    client.start("push", socket=members[0].socket.name, topic="room:1", event="shout", payload={"n": 1})
    assert [member.message("shout") for member in members] == [{"n": 1}, {"n": 1}]


def test_what_backends_publish_arrives(client: PhoenixJs, here: ServerProcess, redis: redis_client.Redis) -> None:
    channel = client.socket(socket_url(here)).join("ships", {"token": token("ships")}, events=["update"])
    assert redis.publish("to:ships:update", '{"message": "é"}') >= 1
    assert channel.message("update") == {"message": "é"}


def test_binary_pushes_are_answered_in_binary(client: PhoenixJs, here: ServerProcess) -> None:
    channel = client.socket(socket_url(here)).join("room:1", events=["bin", "binb"])
    assert channel.push("echo", {"hex": "00ff80"}) == ("ok", {"hex": "00ff80"})


def test_binary_messages_arrive_as_pushes_and_as_broadcasts(client: PhoenixJs, here: ServerProcess) -> None:
    channel = client.socket(socket_url(here)).join("room:1", events=["bin", "binb"])
    client.start("push", socket=channel.socket.name, topic="room:1", event="binpush", payload={"hex": "00ff"})
    assert (channel.message("bin"), channel.message("binb")) == ({"hex": "00ff"}, {"hex": "00ff"})


def test_binary_messages_to_and_from_backends(client: PhoenixJs, here: ServerProcess, redis: redis_client.Redis) -> None:
    channel = client.socket(socket_url(here)).join("ships", {"token": token("ships")}, events=["image"])
    with redis.pubsub() as backend:  # type: ignore[no-untyped-call]
        backend.subscribe("from:ships:image")
        assert backend.get_message(timeout=SOON) is not None
        assert channel.push("image", {"hex": "00ff80"}) == ("ok", {})
        heard = backend.get_message(timeout=SOON)
        assert heard is not None
        assert heard["data"] == b"\x00\xff\x80"
    redis.publish("to:ships:image", b"\x89PNG\x00")
    assert channel.message("image") == {"hex": b"\x89PNG\x00".hex()}


def test_leaving_ends_the_channel(client: PhoenixJs, here: ServerProcess) -> None:
    channel = client.socket(socket_url(here)).join("room:1")
    assert channel.leave() == ("ok", {})
    channel.until("closed")


def test_a_hundred_channels_on_one_socket(client: PhoenixJs, here: ServerProcess, redis: redis_client.Redis) -> None:
    socket = client.socket(socket_url(here), options={"params": {"token": token("many:*")}})
    joins = [client.start("join", socket=socket.name, topic=f"many:{n}", params=[{}], events=["update"]) for n in range(100)]
    assert {client.result(join)[0] for join in joins} == {"ok"}
    for n in range(100):
        redis.publish(f"to:many:{n}:update", f'{{"n": {n}}}')
    assert [Topic(socket, f"many:{n}", None).message("update") for n in range(100)] == [{"n": n} for n in range(100)]


def test_the_auth_token_of_the_subprotocol(newest: PhoenixJs, here: ServerProcess) -> None:
    socket = newest.socket(socket_url(here), authToken=[token("ships", "carol")])
    socket.join("ships", presence=True).shows("carol")


# -- presence ------------------------------------------------------------------


def test_presence_is_the_same_in_both_processes(client: PhoenixJs, here: ServerProcess, there: ServerProcess) -> None:
    alice = client.socket(socket_url(here)).join("crew", {"token": token("crew", "alice")}, presence=True)
    alice.shows("alice")
    bob = client.socket(socket_url(there)).join("crew", {"token": token("crew", "bob")}, presence=True)
    bob.shows("alice", "bob")
    alice.shows("alice", "bob")
    bob.socket.disconnect()
    assert alice.until("left")["key"] == "bob"
    alice.shows("alice")


def test_one_user_in_two_tabs_is_shown_once_with_two_metas(client: PhoenixJs, here: ServerProcess, there: ServerProcess) -> None:
    tabs = [client.socket(socket_url(server)).join("tabs", {"token": token("tabs")}, presence=True) for server in (here, there)]
    for tab in tabs:
        tab.shows("alice", "alice")
    tabs[1].leave()
    tabs[0].shows("alice")


# -- tokens --------------------------------------------------------------------


def test_a_token_is_renewed_before_it_ends(all_versions: list[PhoenixJs], here: ServerProcess) -> None:
    sockets = [client.socket(socket_url(here)) for client in all_versions]
    others = [socket.join("planes", {"token": token("planes", seconds=1)}) for socket in sockets]
    channels = [socket.join("ships", {"token": token("ships", seconds=1)}, events=["token_expiring"]) for socket in sockets]
    for channel in channels:
        assert channel.message("token_expiring")["expires_in"] <= 2
        assert channel.push("access_token", {"token": token("planes")}) == ("error", {"reason": "unauthorized"})
        assert channel.push("access_token", {"token": token("ships")}) == ("ok", {})
    for other in others:
        other.until("error")
    assert [channel.state for channel in channels] == ["joined", "joined"]


def test_when_a_token_ends_the_client_joins_with_its_next_one(all_versions: list[PhoenixJs], here: ServerProcess) -> None:
    channels = []
    for client in all_versions:
        tokens = [{"token": token("ships", seconds=1)}, {"token": token("ships")}]
        channels.append(client.socket(socket_url(here)).join("ships", *tokens))
    for channel in channels:
        assert channel.until("error")["reason"] == "token expired"
        channel.until("joined")
        assert channel.push("still", {}) == ("ok", {})


# -- long polling --------------------------------------------------------------


def test_long_poll_joins_pushes_and_hears(client: PhoenixJs, here: ServerProcess, redis: redis_client.Redis) -> None:
    topic = f"polled-{uuid4().hex}"  # who polls is there for a while after the last poll
    socket = client.socket(socket_url(here), transport="longpoll")
    channel = socket.join(topic, {"token": token(topic)}, events=["update"], presence=True)
    channel.shows("alice")
    assert channel.push("move", {"n": 1}) == ("ok", {})
    redis.publish(f"to:{topic}:update", '{"n": 2}')
    assert channel.message("update") == {"n": 2}
    bob = client.socket(socket_url(here)).join(topic, {"token": token(topic, "bob")})
    channel.shows("alice", "bob")
    bob.leave()
    channel.shows("alice")


def test_long_poll_refuses_a_join_with_a_reason(client: PhoenixJs, here: ServerProcess) -> None:
    socket = client.socket(socket_url(here), transport="longpoll")
    assert socket.try_join("polled", {"token": "forged"}) == ("error", {"reason": "unauthorized"})


def test_long_poll_joins_many_topics_at_once(client: PhoenixJs, here: ServerProcess) -> None:
    socket = client.socket(socket_url(here), transport="longpoll")
    joins = [client.start("join", socket=socket.name, topic=f"room:{n}") for n in range(150)]
    assert {client.result(join)[0] for join in joins} == {"ok"}


def test_long_poll_takes_the_auth_token(newest: PhoenixJs, here: ServerProcess) -> None:
    socket = newest.socket(socket_url(here), transport="longpoll", authToken=[token("ships", "carol")])
    assert socket.join("ships").state == "joined"


# -- layers --------------------------------------------------------------------


def test_a_layer_is_a_topic(client: PhoenixJs, here: ServerProcess) -> None:
    layer = f"fleet-{uuid4().hex}"  # each client's own: a change that is still on its way is none of the other's
    here.publish(layer, point("near", 8, 47), point("far", 80, 47))
    channel = client.socket(socket_url(here)).join(f"layer:{layer}", {"bbox": [5, 45, 11, 48]}, events=["added", "updated", "deleted"])
    assert [feature["id"] for feature in channel.response["features"]] == ["near"]
    here.publish(layer, point("near", 9, 47))
    assert channel.message("updated")["feature"]["geometry"]["coordinates"] == [9, 47]


# -- what fails ----------------------------------------------------------------


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_clients_rejoin_after_the_server_restarts(
    all_versions: list[PhoenixJs], there: ServerProcess, redis: redis_client.Redis, end: str
) -> None:
    params = {"token": token("ships")}
    members = [client.socket(socket_url(there)).join("ships", params, events=["update"]) for client in all_versions]
    polling = [client.socket(socket_url(there), transport="longpoll").join("ships", params, events=["update"]) for client in all_versions]
    for member in (*members, *polling):
        member.until("joined")
    getattr(there, end)()
    codes = [member.socket.until("close")["code"] for member in members]
    assert codes == ([1012, 1012] if end == "stop" else [1006, 1006])
    there.start()
    for member in (*members, *polling):
        member.until("joined")
    redis.publish("to:ships:update", '{"n": 1}')
    for member in (*members, *polling):
        assert member.message("update") == {"n": 1}


def test_clients_find_out_that_a_server_hangs_and_rejoin(all_versions: list[PhoenixJs], there: ServerProcess) -> None:
    options = {"heartbeatIntervalMs": 300}
    members = [client.socket(socket_url(there), options=options).join("room:1") for client in all_versions]
    for member in members:
        member.until("joined")
    os.kill(there.pid, signal.SIGSTOP)
    try:
        for member in members:
            member.until("error")
    finally:
        os.kill(there.pid, signal.SIGCONT)
    for member in members:
        member.until("joined")
        assert member.push("ok", {}) == ("ok", {})
