"""What a single client or a careless backend might do to everybody else, and does not."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, ClassVar

import pytest

from streaming.core.redis import async_redis
from streaming.dialects.phoenix.polls import ForwardedRequest, Polls, decrypted, encrypted
from streaming.engine import client_connection
from streaming.engine.conf import conf
from streaming.engine.runtime import Runtime
from streaming.operators import presence_announcer as announcing
from streaming.topics import Channel, topic
from streaming.topics import routes as topic_routes
from streaming.topics.service import Topics
from streaming.topics.tokens import mint

from .backend import Backend
from .conftest import Connect
from .peer import PhoenixPeer
from .poller import Poller

NOWHERE = f"{'0' * 32}.{'a' * 32}"
"""What a poller of a process would be known by that is not there."""


# -- the log -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["room\n2026-01-01 ERROR forged", "\u2028", "x" * 4000])
async def test_a_refused_topic_is_one_short_line_of_the_log(peer: PhoenixPeer, caplog: pytest.LogCaptureFixture, name: str) -> None:
    with caplog.at_level(logging.INFO):
        assert (await peer.ask("1", "1", name, "phx_join", {}))[0] == "error"
    (line,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(line) < 300 and len(line.splitlines()) == 1


# -- long polling --------------------------------------------------------------


@pytest.mark.parametrize("body", ["é", "naïve\n", "=", "AAAA\n日本"])
async def test_what_is_no_base64_is_a_bad_request_of_a_poller(runtime: Runtime, body: str) -> None:
    assert await (await Poller().open()).post(body.encode()) == 400


async def test_a_long_body_is_not_read_to_its_end(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    poller = await Poller().open()
    assert await poller.post(b"x" * (11 * 1024 * 1024)) == 400  # more than Django would take
    assert await poller.post(b"x" * (conf.MAX_MESSAGE_BYTES + 1)) == 400
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_others_have_turns_between_the_frames_of_a_poller(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_connection, "TURN_SECONDS", 0.0)
    poller = await Poller().open()
    (peer,) = runtime.connections.open.values()
    turns: list[None] = []
    other = asyncio.create_task(_take_turns(turns))
    heartbeat = json.dumps([None, "1", "phoenix", "heartbeat", {}])
    await peer.post("\n".join([heartbeat] * 50).encode())  # type: ignore[attr-defined]  # it is a poller
    other.cancel()
    assert poller.token and len(turns) >= 50


async def _take_turns(turns: list[None]) -> None:
    while True:
        turns.append(None)
        await asyncio.sleep(0)


async def test_no_token_is_passed_on_to_other_processes_in_clear(runtime: Runtime) -> None:
    token = mint("alice", "room:1")
    join = json.dumps(["1", "1", "room:1", "phx_join", {"token": token}]).encode()
    async with async_redis().pubsub() as listener:
        await listener.subscribe(f"geostream:poll:{'0' * 32}")
        await listener.get_message(timeout=5)
        asking = asyncio.create_task(runtime.service(Polls).ask(NOWHERE, join))
        heard: Any = await listener.get_message(timeout=5)
        asking.cancel()
    request = decrypted(heard["data"], ForwardedRequest)
    assert request is not None and (request.token, request.body) == (NOWHERE, join)
    assert not any(secret.encode() in heard["data"] for secret in (token, NOWHERE))


async def test_what_no_process_of_ours_passed_on_is_not_taken(runtime: Runtime, backend: Backend) -> None:
    poller = await Poller().open()
    node = runtime.hub.node
    await backend.publish_all((f"geostream:poll:{node}", b"\xc1"), (f"geostream:polled:{node}", b""), (f"geostream:poll:{node}", b"gAAA"))
    heartbeat = json.dumps([None, "1", "phoenix", "heartbeat", {}]).encode()
    await backend.publish(f"geostream:poll:{node}", encrypted(ForwardedRequest(1, "to:here:it", poller.token, heartbeat)))
    await backend.hears("to:here:it")
    assert (await poller.poll())[1] == [[None, "1", "phoenix", "phx_reply", {"status": "ok", "response": {}}]]


# -- Redis ---------------------------------------------------------------------


async def test_who_opens_many_topics_does_not_have_all_of_them_published_each_time(
    peer: PhoenixPeer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "MOST_CHARACTERS", 40)
    await peer.join("room:1", token=mint("alice", "*"))
    [few] = map(json.loads, await backend.hears("to:admin:channel.add", 1))
    await peer.join("room:" + "2" * 40, token=mint("alice", "*"))
    _, many = map(json.loads, await backend.hears("to:admin:channel.add", 2))
    assert few["channels"] == ["admin", "phoenix", "room:1", "system"]
    assert "channels" not in many


async def test_of_very_many_topics_only_some_are_read(peer: PhoenixPeer, runtime: Runtime, backend: Backend) -> None:
    for name in ("room:1", "room:2", "room:3"):
        await peer.join(name, token=mint("alice", "*"))
    await backend.hears("to:admin:channel.join", 3)
    presence = runtime.service(Topics).presence
    assert len(await presence.topics(2)) == 2
    assert await presence.topics(3) == ["room:1", "room:2", "room:3"]


async def test_an_answer_of_a_backend_that_is_not_utf_8_reaches_nobody(peer: PhoenixPeer, backend: Backend, settings: Any) -> None:
    settings.GEOSTREAM_PUSH_ENVELOPES = "room:*"
    await peer.join("room:1", token=mint("alice", "room:1"))
    await peer.send("1", "2", "room:1", "ask", {})
    asked = json.loads((await backend.hears("envelope:room:1:ask"))[0])
    answer = json.dumps({"push": asked["push"], "response": {"text": "?"}}).encode()
    await backend.publish(asked["reply_to"], answer.replace(b"?", b"\xff"))
    await backend.publish(asked["reply_to"], answer)
    while (reply := await peer.receive_event("phx_reply"))[1] != "2":
        pass
    assert reply[4] == {"status": "ok", "response": {"text": "?"}}


# -- joins ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["room:1", "room:~1", "a~b"])
async def test_the_same_reference_again_is_another_member(peer: PhoenixPeer, name: str) -> None:
    joins = [await peer.join(name, token=mint("alice", name)) for _ in range(3)]
    assert len({response["id"] for response in joins}) == 3


class Fragile(Channel):
    """Fails at finding out whether it may still be here."""

    refreshed: ClassVar[list[str]] = []

    def refresh(self) -> None:
        self.refreshed.append(self.topic)
        if self.subtopic == "bad":
            raise LookupError("no")


topicpatterns = [topic("fragile:*", Fragile)]


async def test_a_channel_that_cannot_be_reviewed_ends_and_the_others_are(phoenix: Connect, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_TOPICS = __name__
    topic_routes.topic_patterns.cache_clear()
    first, second = await phoenix(), await phoenix()
    await first.join("fragile:bad")
    await second.join("fragile:good")
    Fragile.refreshed.clear()
    runtime.access_changed()
    assert await first.receive() == ["1", "1", "fragile:bad", "phx_error", {"reason": "channel_crash"}]
    assert Fragile.refreshed == ["fragile:bad", "fragile:good"]
    await second.receive_nothing()
