"""The bridge: what backends publish on Redis reaches clients, and what clients push reaches backends."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from streaming.engine.runtime import Runtime
from streaming.topics.bridge import BROADCAST_CHANNEL
from streaming.topics.tokens import mint
from tests.core.restarting import RestartingRedis

from .backend import Backend
from .conftest import Connect
from .peer import Binary, PhoenixPeer, encoded


async def entered(peer: PhoenixPeer, topic: str = "room:1", id: str = "alice", ref: str = "1") -> PhoenixPeer:
    """The peer has joined, and been told that it has."""
    await peer.join(topic, ref, token=mint(id, topic))
    await peer.receive_event("presence_diff")
    return peer


@pytest.fixture
async def member(peer: PhoenixPeer) -> PhoenixPeer:
    """A member of room:1."""
    return await entered(peer)


# -- to clients ----------------------------------------------------------------


async def test_objects_and_arrays_are_json(member: PhoenixPeer, backend: Backend) -> None:
    for payload in (b"{}", b"[]", b'{"z":1,"a":2.50}', b'[1, {"b": "\xc3\xa9"}]', b'{"big":12345678901234567890123}'):
        await backend.publish("to:room:1:ev", payload)
        assert await member.receive() == [None, None, "room:1", "ev", json.loads(payload)]


NO_JSON = [b'"text"', b"42", b"true", b"null", b"Hello", b"\0\1", b"{} {}", b"[1,]", b"[" * 2000]
NO_JSON += [b"{not json", b' {"a":1}', b'{"a":"\xff"}', b'{"a":1e400}']


async def test_all_else_is_binary(member: PhoenixPeer, backend: Backend) -> None:
    for payload in NO_JSON:
        await backend.publish("to:room:1:ev", payload)
        assert await member.receive() == Binary(2, None, None, "room:1", "ev", payload)


async def test_nothing_is_no_message(member: PhoenixPeer, backend: Backend) -> None:
    await backend.publish("to:room:1:ev", b"")
    await backend.publish("to:room:1:ev", b"{}")
    assert (await member.receive())[4] == {}


async def test_payloads_keep_their_bytes(member: PhoenixPeer, backend: Backend) -> None:
    member.connection.sender.write, written = lambda frames: written.extend(frames), []
    await backend.publish("to:room:1:ev", b'{"z" : 1.0,"a":"\\u00e9"}')
    async with asyncio.timeout(5):
        while not written:
            await asyncio.sleep(0.005)
    assert written == ['[null,null,"room:1","ev",{"z" : 1.0,"a":"\\u00e9"}]']


async def test_the_last_colon_ends_the_topic(member: PhoenixPeer, phoenix: Connect, backend: Backend) -> None:
    await member.join("room:1:a", "2", token=mint("alice", "room:1:a"))
    await member.receive_event("presence_diff")
    await backend.publish("to:room:1:a:b", {"n": 1})
    await backend.publish("to:room:1:a", {"n": 2})
    assert (await member.receive())[2:4] == ["room:1:a", "b"]
    assert (await member.receive())[2:4] == ["room:1", "a"]


async def test_an_event_may_have_no_name(member: PhoenixPeer, backend: Backend) -> None:
    await backend.publish("to:room:1:", {"n": 1})
    assert await member.receive() == [None, None, "room:1", "", {"n": 1}]


async def test_some_events_are_not_for_backends(member: PhoenixPeer, backend: Backend) -> None:
    for event in ("presence_state", "presence_diff", "presence_count", "a\nb", "\x00", "x" * 256):
        await backend.publish(f"to:room:1:{event}", {"n": 1})
        await backend.publish("to:room:1:last", {"n": 2})
        assert (await member.receive())[3] == "last", event


async def test_channels_that_name_no_event_of_the_topic_are_nothing(member: PhoenixPeer, backend: Backend) -> None:
    elsewhere = [b"to:", b"to", b"to:room", b"to::", b"to:room:1", b"xto:room:1:ev", b"TO:room:1:ev"]
    for channel in [*elsewhere, b"to:\xff\xfe:ev", b"to:room:1\xff:ev"]:
        await backend.publish(channel, {"n": 1})
        await backend.publish("to:room:1:last", {"n": 2})
        assert (await member.receive())[2:4] == ["room:1", "last"], channel


async def test_topics_keep_their_order(member: PhoenixPeer, backend: Backend) -> None:
    await member.join("hall", "2", token=mint("alice", "hall"))
    await member.receive_event("presence_diff")
    await backend.publish_all(*((f"to:{('hall', 'room:1')[n % 2]}:ev", b"[%d]" % n) for n in range(100)))
    told = [await member.receive() for _ in range(100)]
    assert [frame[4][0] for frame in told if frame[2] == "hall"] == list(range(0, 100, 2))
    assert [frame[4][0] for frame in told if frame[2] == "room:1"] == list(range(1, 100, 2))


async def test_json_and_binary_keep_their_order(member: PhoenixPeer, backend: Backend) -> None:
    await backend.publish_all(*(("to:room:1:ev", b"{}" if n % 3 else b"binary") for n in range(30)))
    assert [isinstance(await member.receive(), Binary) for _ in range(30)] == [n % 3 == 0 for n in range(30)]


async def test_clients_of_the_first_version_get_text_for_binary(phoenix: Connect, backend: Backend) -> None:
    first = await phoenix("vsn=1.0.0")
    await first.send_text(json.dumps({"topic": "room:1", "event": "phx_join", "payload": {"token": mint("a", "room:1")}, "ref": "1"}))
    while (await first.receive())["event"] != "presence_diff":
        pass
    await backend.publish("to:room:1:ev", b"\xff\xfe")
    await backend.publish("to:room:1:ev", b"text")
    assert (await first.receive())["payload"] == "text"


async def test_a_message_is_encoded_once_for_all_who_speak_alike(
    phoenix: Connect, backend: Backend, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = [await entered(await phoenix(), id=str(number)) for number in range(5)]
    encoder = type(peers[0].connection.session.encoder)
    runs: list[Any] = []
    encode = encoder.broadcast
    monkeypatch.setattr(encoder, "broadcast", lambda self, run: runs.append(run) or encode(self, run))
    await backend.publish("to:room:1:ev", {"n": 1})
    for peer in peers:
        await peer.receive_event("ev")
    assert [message.event for run in runs for message in run].count("ev") == 1


# -- from clients --------------------------------------------------------------


async def test_pushes_keep_their_bytes(member: PhoenixPeer, backend: Backend) -> None:
    payloads = [
        "{}",
        '{"b":1,"a":[1.50,null]}',
        "[1, 2]",
        '"text"',
        "12345678901234567890123",
        "null",
        '{"k":1,"k":2}',
        '{"token":"a","b":2}',
    ]
    for payload in payloads:
        await member.send_text(f'["1","2","room:1","ev", {payload} ]')
    assert await backend.hears("from:room:1:ev", len(payloads)) == [payload.encode() for payload in payloads]


async def test_binary_pushes_keep_their_bytes(member: PhoenixPeer, backend: Backend) -> None:
    for payload in (b"\0\1\xff", b"", b"{}"):
        await member.send_bytes(encoded("1", "2", "room:1", "blob", payload))
        assert await member.receive() == ["1", "2", "room:1", "phx_reply", {"status": "ok", "response": {}}]
    assert await backend.hears("from:room:1:blob", 3) == [b"\0\1\xff", b"", b"{}"]


async def test_a_push_is_answered_once_backends_have_it(member: PhoenixPeer, backend: Backend) -> None:
    assert await member.ask("1", "2", "room:1", "ev", {}) == ("ok", {})
    assert ("from:room:1:ev", b"{}") in await backend.everything()


async def test_pushes_get_to_redis_in_order(member: PhoenixPeer, backend: Backend) -> None:
    for number in range(200):
        await member.send("1", str(number), "room:1", "ev", number)
    assert [int(payload) for payload in await backend.hears("from:room:1:ev", 200)] == list(range(200))
    assert [(await member.receive())[1] for _ in range(200)] == [str(number) for number in range(200)]


async def test_events_that_backends_could_not_read_are_refused(member: PhoenixPeer, backend: Backend) -> None:
    await backend.everything()
    for event in ("a:b", ":", "ev\n", "\x00", "\x7f", "x" * 256):
        status, response = await member.ask("1", "2", "room:1", event, {})
        assert (status, response["reason"]) == ("error", "bad_request") and response["detail"]
    assert await backend.everything() == []


async def test_pushes_are_for_backends_and_not_for_other_members(member: PhoenixPeer, phoenix: Connect) -> None:
    other = await entered(await phoenix(), id="bob")
    await member.ask("1", "2", "room:1", "ev", {})
    await other.receive_nothing()


async def test_tokens_never_get_to_redis(phoenix: Connect, backend: Backend, settings: Any) -> None:
    settings.GEOSTREAM_BRIDGE_JOINS = True
    settings.GEOSTREAM_PUSH_ENVELOPES = "*"
    tokens = [mint(id, "room:1") for id in ("alice", "bob", "carol")]
    alice, bob = await phoenix(), await phoenix(f"vsn=2.0.0&userToken={tokens[1]}")
    await alice.join("room:1", token=tokens[0])
    await bob.join("room:1")
    await alice.ask("1", "2", "room:1", "access_token", {"token": tokens[2]})
    await alice.ask("1", "3", "room:1", "phx_leave", {})
    published = await backend.everything()
    assert published and not any(token.encode() in payload for token in tokens for _, payload in published)


async def test_joins_and_leaves_are_published_on_demand(phoenix: Connect, backend: Backend, settings: Any) -> None:
    settings.GEOSTREAM_BRIDGE_JOINS = True
    peer = await entered(await phoenix())
    me = {"id": f"{peer.name}:room:1:1", "user": "alice"}
    assert [json.loads(payload) for payload in await backend.hears("from:room:1:phx_join")] == [me]
    await peer.close()
    assert [json.loads(payload) for payload in await backend.hears("from:room:1:phx_leave")] == [me]


# -- envelopes -----------------------------------------------------------------


@pytest.fixture
def envelopes(settings: Any) -> None:
    settings.GEOSTREAM_PUSH_ENVELOPES = "room:*, hall"


async def envelope(backend: Backend) -> Any:
    return json.loads((await backend.hears("envelope:room:1:ask"))[-1])


async def test_an_envelope_says_who_pushed_what(envelopes: None, member: PhoenixPeer, backend: Backend) -> None:
    await member.send_text('["1","7","room:1","ask",{"n":1.50}]')
    found = await envelope(backend)
    assert found.pop("push") and found.pop("reply_to")
    assert found == {
        "conn": member.name,
        "id": f"{member.name}:room:1:1",
        "user": "alice",
        "topic": "room:1",
        "event": "ask",
        "ref": "7",
        "payload": {"n": 1.5},
    }
    assert b'{"n":1.50}' in backend.on("envelope:room:1:ask")[0]
    assert await backend.hears("from:room:1:ask") == [b'{"n":1.50}']


async def test_a_backend_answers_the_one_who_asked(envelopes: None, member: PhoenixPeer, phoenix: Connect, backend: Backend) -> None:
    other = await entered(await phoenix(), id="bob")
    await member.receive_event("presence_diff")
    await member.send("1", "7", "room:1", "ask", {})
    found = await envelope(backend)
    assert await backend.publish(found["reply_to"], {"push": found["push"], "status": "error", "response": {"found": [1]}}) == 1
    assert await member.receive() == ["1", "7", "room:1", "phx_reply", {"status": "error", "response": {"found": [1]}}]
    await other.receive_nothing()


async def test_answers_may_come_in_any_order(envelopes: None, member: PhoenixPeer, backend: Backend) -> None:
    for ref in ("7", "8"):
        await member.send("1", ref, "room:1", "ask", {})
    for payload in reversed(await backend.hears("envelope:room:1:ask", 2)):
        found = json.loads(payload)
        await backend.publish(found["reply_to"], {"push": found["push"], "response": found["ref"]})
    assert [(frame[1], frame[4]["response"]) for frame in [await member.receive(), await member.receive()]] == [("8", "8"), ("7", "7")]


async def test_the_first_answer_counts(envelopes: None, member: PhoenixPeer, backend: Backend) -> None:
    await member.send("1", "7", "room:1", "ask", {})
    found = await envelope(backend)
    for answer in (b"nonsense", b'{"push":"elsewhere"}', {"push": found["push"], "response": 1}, {"push": found["push"], "response": 2}):
        await backend.publish(found["reply_to"], answer)
    assert (await member.receive())[4] == {"status": "ok", "response": 1}
    await member.receive_nothing()


async def test_a_backend_that_does_not_answer_is_not_waited_for_long(
    envelopes: None, member: PhoenixPeer, backend: Backend, settings: Any
) -> None:
    settings.GEOSTREAM_PUSH_REPLY_SECONDS = 0.05
    assert await member.ask("1", "7", "room:1", "ask", {}) == ("error", {"reason": "timeout"})


async def test_where_nobody_answers_a_push_is_published_and_that_is_all(envelopes: None, member: PhoenixPeer) -> None:
    assert await member.ask("1", "7", "room:1", "ask", {}) == ("ok", {})


async def test_an_answer_for_who_has_left_is_nothing(envelopes: None, member: PhoenixPeer, backend: Backend) -> None:
    await member.send("1", "7", "room:1", "ask", {})
    found = await envelope(backend)
    await member.ask("1", "8", "room:1", "phx_leave", {})
    assert (await member.receive())[3] == "phx_close"
    await backend.publish(found["reply_to"], {"push": found["push"]})
    await backend.everything()
    await member.receive_nothing()


async def test_a_binary_push_is_in_its_envelope_as_base64(envelopes: None, member: PhoenixPeer, backend: Backend) -> None:
    await member.send_bytes(encoded("1", "7", "room:1", "ask", b"\0\xff"))
    assert (await envelope(backend))["payload"] == {"base64": "AP8="}


async def test_other_topics_have_no_envelopes(envelopes: None, peer: PhoenixPeer, backend: Backend) -> None:
    await entered(peer, "office")
    await peer.ask("1", "7", "office", "ask", {})
    assert [channel for channel, _ in await backend.everything() if channel.startswith("envelope:")] == []


# -- between processes, and without Redis --------------------------------------


async def test_what_is_no_broadcast_of_a_process_is_ignored(
    member: PhoenixPeer, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    await backend.publish(BROADCAST_CHANNEL, b"nonsense")
    await backend.publish("to:room:1:last", {})
    assert (await member.receive())[3] == "last"
    assert "not a broadcast" in caplog.text


async def test_a_push_that_redis_does_not_take_is_refused(restarting_redis: RestartingRedis, member: PhoenixPeer) -> None:
    restarting_redis.stop()
    assert await member.ask("1", "2", "room:1", "ev", {}) == ("error", {"reason": "redis_unavailable"})
    restarting_redis.start()
    deadline = time.monotonic() + 10
    while (await member.ask("1", "3", "room:1", "ev", {}))[0] != "ok":
        assert time.monotonic() < deadline
