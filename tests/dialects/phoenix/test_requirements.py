"""What a hub has to do that neither recorded server did, or only one of them: one test for each requirement, by its name."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from streaming.core import redis as connections
from streaming.core.errors import CloseCode
from streaming.server.embedded_redis import RedisService
from streaming.topics.tokens import mint
from tests.core.restarting import RestartingRedis
from tests.server_process import ServerProcess

from .backend import Backend
from .conftest import Connect
from .peer import PhoenixPeer
from .sockets import PhoenixSocket
from .vectors import REQUIREMENTS

UNAUTHORIZED = {"reason": "unauthorized"}
UNMATCHED = {"status": "error", "response": {"reason": "unmatched topic"}}
OK = {"status": "ok", "response": {}}


def token(id: str = "alice", channel: str = "room:1", lifetime: float = 3600) -> str:
    return mint(id, channel, lifetime)


@pytest.fixture
async def joined(peer: PhoenixPeer) -> PhoenixPeer:
    """A connection that has joined room:1 with join_ref 1, and been told who is there."""
    await peer.join("room:1", token=token())
    await peer.receive_event("presence_diff")
    return peer


def test_every_requirement_has_a_test() -> None:
    tested = {name.removeprefix("test_requirement_").replace("_", "-") for name in globals() if name.startswith("test_requirement_")}
    assert tested == {requirement["id"] for requirement in REQUIREMENTS}


async def test_requirement_join_ok(peer: PhoenixPeer) -> None:
    await peer.send("1", "1", "room:1", "phx_join", {"token": token()})
    me = f"{peer.name}:room:1:1"
    assert await peer.receive() == ["1", "1", "room:1", "phx_reply", {"status": "ok", "response": {"id": me}}]
    join_ref, ref, topic, event, state = await peer.receive()
    assert (join_ref, ref, topic, event) == ("1", None, "room:1", "presence_state")
    assert [meta["phx_ref"] for meta in state["alice"]["metas"]] == [me]
    join_ref, ref, topic, event, diff = await peer.receive()
    assert (join_ref, ref, topic, event) == (None, None, "room:1", "presence_diff")
    assert diff == {"joins": state, "leaves": {}}


async def test_requirement_join_bad_token(peer: PhoenixPeer) -> None:
    await peer.send("1", "1", "room:1", "phx_join", {"token": "garbage"})
    assert await peer.receive() == ["1", "1", "room:1", "phx_reply", {"status": "error", "response": UNAUTHORIZED}]


async def test_requirement_join_expired_token(peer: PhoenixPeer) -> None:
    answer = await peer.ask("1", "1", "room:1", "phx_join", {"token": token(lifetime=-1)})
    assert answer == ("error", {**UNAUTHORIZED, "detail": "token expired"})


async def test_requirement_join_wrong_channel_claim(peer: PhoenixPeer) -> None:
    assert await peer.ask("1", "1", "room:1", "phx_join", {"token": token(channel="room:2")}) == ("error", UNAUTHORIZED)


async def test_requirement_join_no_token_usertoken(phoenix: Connect) -> None:
    peer = await phoenix(f"userToken={token('bob')}&vsn=2.0.0")
    assert await peer.join("room:1") == {"id": f"{peer.name}:room:1:1"}
    assert list((await peer.receive_event("presence_state"))[4]) == ["bob"]


async def test_requirement_join_unmatched_topic(own_topics: None, peer: PhoenixPeer) -> None:
    await peer.send("5", "5", "nowhere:1", "phx_join", {})
    assert await peer.receive() == [None, "5", "nowhere:1", "phx_reply", UNMATCHED]


async def test_requirement_push_reply(joined: PhoenixPeer, backend: Backend) -> None:
    await joined.send("1", "2", "room:1", "ev", {"x": 1})
    assert await joined.receive() == ["1", "2", "room:1", "phx_reply", OK]
    assert await backend.hears("from:room:1:ev") == [b'{"x": 1}']


async def test_requirement_push_bytes_unchanged(joined: PhoenixPeer, backend: Backend) -> None:
    await joined.send_text('["1","3","room:1","ev",{"message":"Hello","extra":1}]')
    assert await backend.hears("from:room:1:ev") == [b'{"message":"Hello","extra":1}']


async def test_requirement_push_bytes_unchanged_2(joined: PhoenixPeer, backend: Backend) -> None:
    await joined.send_text('["1","4","room:1","ev",{"z":1,"a":12345678901234567890123}]')
    assert await backend.hears("from:room:1:ev") == [b'{"z":1,"a":12345678901234567890123}']


async def test_requirement_push_not_joined(peer: PhoenixPeer, backend: Backend) -> None:
    await peer.send("1", "2", "room:9", "ev", {})
    assert await peer.receive() == [None, "2", "room:9", "phx_reply", UNMATCHED]
    assert await backend.everything() == []


async def test_requirement_push_stale_join_ref(peer: PhoenixPeer, backend: Backend) -> None:
    await peer.join("room:1", "5", token=token())
    await peer.receive_event("presence_diff")
    await peer.send("1", "6", "room:1", "ev", {})
    await peer.receive_nothing()
    assert "from:room:1:ev" not in dict(await backend.everything())


async def test_requirement_push_null_join_ref(peer: PhoenixPeer, backend: Backend) -> None:
    await peer.join("room:1", "5", token=token())
    await peer.send(None, "6", "room:1", "ev", {})
    assert await peer.receive_event("phx_reply") == ["5", "6", "room:1", "phx_reply", OK]
    await backend.hears("from:room:1:ev")


@pytest.mark.parametrize("event", ["phx_anything", "phx_reply", "presence_state", "presence_diff"])
async def test_requirement_push_reserved_event(joined: PhoenixPeer, backend: Backend, event: str) -> None:
    await backend.everything()
    status, response = await joined.ask("1", "7", "room:1", event, {})
    assert status == "error" and response["reason"] == "reserved event"
    assert not any(channel.startswith("from:") for channel, _ in await backend.everything())


async def test_requirement_leave(joined: PhoenixPeer, phoenix: Connect) -> None:
    other = await phoenix()
    await other.join("room:1", token=token("bob"))
    await other.receive_event("presence_diff")
    await joined.receive_event("presence_diff")
    await joined.send("1", "8", "room:1", "phx_leave", {})
    assert await joined.receive() == ["1", "8", "room:1", "phx_reply", OK]
    assert await joined.receive() == ["1", "1", "room:1", "phx_close", {}]
    diff = (await other.receive_event("presence_diff"))[4]
    assert (list(diff["joins"]), list(diff["leaves"])) == ([], ["alice"])


async def test_requirement_leave_not_joined(peer: PhoenixPeer) -> None:
    await peer.send("1", "4", "room:zzz", "phx_leave", {})
    assert await peer.receive() == ["1", "4", "room:zzz", "phx_reply", OK]


async def test_requirement_leave_null_join_ref(joined: PhoenixPeer) -> None:
    await joined.send(None, "9", "room:1", "phx_leave", {})
    assert await joined.receive() == ["1", "9", "room:1", "phx_reply", OK]
    assert await joined.receive() == ["1", "1", "room:1", "phx_close", {}]


async def test_requirement_join_null_join_ref(peer: PhoenixPeer) -> None:
    await peer.send(None, "1", "room:1", "phx_join", {"token": token()})
    join_ref, ref, _, _, reply = await peer.receive()
    assert (join_ref, ref, reply["status"]) == (None, "1", "ok")
    assert (await peer.receive_event("presence_state"))[0] == "1"
    await peer.send("1", "2", "room:1", "ev", {})
    assert (await peer.receive_event("phx_reply"))[:2] == ["1", "2"]


async def test_requirement_duplicate_join(joined: PhoenixPeer, backend: Backend) -> None:
    await rejoin(joined, backend, before="1", ref="2")


async def test_requirement_rejoin_same_join_ref(peer: PhoenixPeer, backend: Backend) -> None:
    await peer.join("room:1", "2", token=token())
    await peer.receive_event("presence_diff")
    await rejoin(peer, backend, before="2", ref="2")


async def rejoin(peer: PhoenixPeer, backend: Backend, before: str, ref: str) -> None:
    await peer.send(ref, ref, "room:1", "phx_join", {"token": token()})
    assert (await peer.receive())[:4] == [ref, ref, "room:1", "phx_reply"]
    assert await peer.receive() == [before, before, "room:1", "phx_close", {}]
    state = (await peer.receive_event("presence_state"))[4]
    assert len(state["alice"]["metas"]) == 1
    await peer.receive_event("presence_diff")
    await backend.publish("to:room:1:update", {"n": 1})
    join_ref, _, _, _, payload = await peer.receive_event("update")
    assert join_ref in (None, ref) and payload == {"n": 1}
    assert [frame for frame in await peer.rest() if frame[3] == "update"] == []


async def test_requirement_glob_topic(phoenix: Connect, backend: Backend) -> None:
    victim, mallory = await phoenix(), await phoenix()
    await victim.join("secret-room", token=token("victim", "secret-room"))
    status, response = await mallory.ask("1", "1", "*", "phx_join", {"token": token("mallory", "*")})
    assert status == "error", response
    await backend.publish("to:secret-room:update", {"secret": 1})
    await victim.receive_event("update")
    await mallory.receive_nothing()


async def test_requirement_nested_topic(peer: PhoenixPeer, backend: Backend) -> None:
    await peer.join("weather", token=token(channel="weather"))
    await backend.publish("to:weather:wind:update", {"n": 1})
    await backend.publish("to:weather:update", {"n": 2})
    assert (await peer.receive_event("update"))[2:] == ["weather", "update", {"n": 2}]


async def test_requirement_no_loss_after_join(phoenix: Connect, backend: Backend) -> None:
    for number in range(20):
        peer = await phoenix()
        await peer.send("1", "1", "room:1", "phx_join", {"token": token()})
        await peer.receive()
        await backend.publish("to:room:1:update", {"n": number})
        assert (await peer.receive_event("update"))[4] == {"n": number}


async def test_requirement_burst(joined: PhoenixPeer, backend: Backend) -> None:
    await backend.publish_all(*(("to:room:1:n", b"[%d]" % number) for number in range(5000)))
    assert [(await joined.receive())[4] for _ in range(5000)] == [[number] for number in range(5000)]
    await joined.receive_nothing()


async def test_requirement_slow_client(joined: PhoenixPeer, phoenix: Connect, backend: Backend, settings: Any) -> None:
    settings.GEOSTREAM_OUTBOX_BYTES = 1_000_000
    slow = await phoenix()
    await slow.join("room:1", token=token("slow"))
    slow.stop_reading()
    await backend.publish_all(*(("to:room:1:big", b'{"n":%d,"text":"%s"}' % (number, b"x" * 50_000)) for number in range(300)))
    assert [(await joined.receive_event("big"))[4]["n"] for _ in range(300)] == list(range(300))
    async with asyncio.timeout(10):
        while not slow.connection.closing:
            await asyncio.sleep(0.02)
    slow.read_again()
    code, reason = await slow.closed()
    assert code == 1008 and "waiting" in reason
    await joined.join("room:2", "2", token=token(channel="room:2"))


async def test_requirement_invalid_json(peer: PhoenixPeer) -> None:
    await peer.send_text("not json")
    code, reason = await peer.closed()
    assert code == 1011 and reason


async def test_requirement_idle_timeout(phoenix: Connect, settings: Any) -> None:
    other = await phoenix()
    await other.join("room:1", token=token("bob"))
    settings.GEOSTREAM_PHOENIX_IDLE_SECONDS = 0.5
    silent = await phoenix()
    await silent.join("room:1", token=token())
    assert (await silent.closed())[0] == 1001
    while "alice" not in (await other.receive_event("presence_diff"))[4]["leaves"]:
        pass


def test_requirement_client_close(sockets: ServerProcess) -> None:
    with PhoenixSocket(sockets) as socket:
        assert socket.leave() == 1000


async def test_requirement_server_disconnect(peer: PhoenixPeer) -> None:
    peer.connection.close(CloseCode.DISCONNECTED, "disconnected by an operator")
    assert await peer.closed() == (1001, "disconnected by an operator")


async def test_requirement_subprotocol_token(phoenix: Connect) -> None:
    bearer = "base64url.bearer.phx." + b64encode(token("bob").encode()).decode().rstrip("=")
    peer = await phoenix(subprotocols=["phoenix", bearer])
    assert peer.accepted["subprotocol"] == "phoenix"
    assert await peer.join("room:1")


@pytest.mark.parametrize("path", ["/websocket", "/socket/websocket", "/websocket/websocket"])
async def test_requirement_paths(phoenix: Connect, path: str) -> None:
    await (await phoenix(path=path)).receive_nothing()


async def test_requirement_redis_restart(restarting_redis: RestartingRedis, peer: PhoenixPeer) -> None:
    await peer.join("system", token=token(channel="system"))
    restarting_redis.stop()
    restarting_redis.start()
    deadline = time.monotonic() + 10
    while not (found := [frame for frame in await peer.rest() if frame[3] == "update"]):
        assert time.monotonic() < deadline
        await connections.async_redis().publish("to:system:update", json.dumps({"n": 1}))
    assert found[0][4] == {"n": 1}


async def test_requirement_multi_instance_presence(
    own_topics: None, phoenix: Connect, make_server: Callable[..., ServerProcess], redis_service: RedisService, settings: Any
) -> None:
    settings.GEOSTREAM_NODE_TTL_SECONDS = 2
    environment = {"GEOSTREAM_TOPICS": "tests.dialects.phoenix.topics", "GEOSTREAM_NODE_TTL_SECONDS": "2"}
    first = make_server(redis_service.url, **environment)
    bob = await phoenix()
    with PhoenixSocket(first) as alice:
        alice.send("1", "1", "room:p1", "phx_join", {"user": "alice"})
        alice.receive_event("presence_state")
        await bob.join("room:p1", user="bob")
        assert sorted((await bob.receive_event("presence_state"))[4]) == ["alice", "bob"]
        while "bob" not in alice.receive_event("presence_diff")[4]["joins"]:
            pass
        first.kill()
    began = time.monotonic()
    while "alice" not in ((diff := await bob.receive_event("presence_diff"))[4])["leaves"]:
        assert time.monotonic() - began < 15, diff
