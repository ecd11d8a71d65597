"""Topics with history: who comes back is told what it missed, in order, once, and is told so if that cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from redis.asyncio import Redis

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis
from streaming.engine.runtime import Runtime
from streaming.topics import abroadcast, broadcast, history_store
from streaming.topics.history_store import keep, topic_feed
from streaming.topics.messages import TopicMessage
from streaming.topics.service import Topics
from streaming.topics.tokens import mint
from tests.core.restarting import RestartingRedis
from tests.dialects.phoenix.conftest import Connect, phoenix
from tests.dialects.phoenix.peer import Binary, PhoenixPeer

from .history_scene import TOPIC, Reader, history, publish, until


@pytest.fixture(autouse=True)
def kept_topics(settings: Any) -> None:
    settings.GEOSTREAM_TOPIC_HISTORY = "room:*, hall"


@pytest.fixture
async def reader(phoenix: Connect) -> Reader:
    """A client that has joined."""
    reader = Reader(await phoenix())
    await reader.join()
    return reader


async def again(reader: Reader, phoenix: Connect, **params: Any) -> tuple[Reader, Any]:
    """The client on a new connection, and what its join is answered."""
    returned = Reader(await phoenix())
    return returned, await returned.join(last_id=reader.last_id, **params)


# -- while a client is there ---------------------------------------------------


async def test_a_client_learns_where_it_is_by_joining(phoenix: Connect) -> None:
    peer = await phoenix()
    response = await Reader(peer).join()
    assert response == {"id": f"{peer.name}:room:1:1", "last_id": response["last_id"], "recovered": None, "missed": 0}
    assert response["last_id"].endswith(":0")


async def test_what_was_said_is_followed_by_where_that_leads(reader: Reader) -> None:
    epoch = reader.last_id.partition(":")[0]
    await publish("ev", payload=b'{"n":1}')
    assert await reader.peer.receive_event("ev") == [None, None, "room:1", "ev", {"n": 1}]
    assert await reader.peer.receive() == [None, None, "room:1", "last_id", {"id": f"{epoch}:1"}]


async def test_what_is_said_in_one_turn_leads_to_one_place(reader: Reader) -> None:
    await reader.peer.receive_event("presence_diff")
    await keep([TopicMessage(TOPIC, f"ev{number}", b"{}") for number in range(3)])
    assert [(await reader.peer.receive())[3] for _ in range(4)] == ["ev0", "ev1", "ev2", "last_id"]
    await reader.peer.receive_nothing()


async def test_nothing_is_told_twice(reader: Reader) -> None:
    await publish("a", "b")
    await reader.hears("b")
    await abroadcast(TOPIC, "c", {})
    await reader.hears("c")
    await publish("a", "last")
    assert [event for event, _ in await reader.hears("last")] == ["a", "last"]


async def test_payloads_keep_their_bytes(reader: Reader, phoenix: Connect) -> None:
    payload = b'{"z" : 1.0,"a":"\\u00e9"} '
    await publish("ev", payload=payload)
    await reader.hears("ev")
    assert [message.payload for message in await history()] == [payload]


async def test_a_burst_is_told_whole_and_in_order(reader: Reader) -> None:
    await publish(*map(str, range(3000)), "last")
    assert [event for event, _ in await reader.hears("last")] == [*map(str, range(3000)), "last"]


async def test_a_topic_joined_twice_is_told_once(reader: Reader) -> None:
    await reader.join()
    await publish("ev", "last")
    told = [event for event, _ in await reader.hears("last")]
    assert told == ["phx_close", "ev", "last"]


async def test_who_has_left_is_told_nothing(reader: Reader, runtime: Runtime) -> None:
    tail = runtime.hub.followers[topic_feed(TOPIC).name]
    assert not tail.idle
    await reader.peer.ask("1", "2", TOPIC, "phx_leave", {})
    await until(lambda: tail.idle)


@pytest.mark.parametrize("event", ["last_id", "gap", "presence_state", "presence_diff"])
async def test_backends_cannot_say_what_the_server_says(reader: Reader, event: str) -> None:
    await publish(event, "last")
    assert [event for event, _ in await reader.hears("last")] == ["last"]
    assert [message.event for message in await history()] == ["last"]


@pytest.mark.parametrize("event", ["last_id", "gap"])
async def test_nor_can_the_project(runtime: Runtime, event: str) -> None:
    with pytest.raises(StreamError, match="the server itself"):
        await abroadcast(TOPIC, event, {})
    with pytest.raises(StreamError, match="the server itself"):
        await runtime.service(Topics).bridge.broadcast(TOPIC, event, b"{}", False)


async def test_orders_to_clients_reach_who_is_there_and_are_not_kept(reader: Reader) -> None:
    await publish("phx_close")
    await reader.peer.receive_event("phx_close")
    await publish("last")
    await reader.hears("last")
    assert [message.event for message in await history()] == ["last"]


# -- coming back ---------------------------------------------------------------


async def test_what_was_missed_is_told_after_the_reply(reader: Reader, phoenix: Connect) -> None:
    await publish("before")
    await reader.hears("before")
    await reader.peer.close()
    watcher = Reader(await phoenix())
    await watcher.join()
    await publish("a", "b", "c", payload=b'{"n":1}')
    await watcher.hears("c")
    returned, response = await again(reader, phoenix)
    assert (response["recovered"], response["missed"], response["last_id"]) == (True, 3, reader.last_id)
    assert await returned.hears("c") == [("a", {"n": 1}), ("b", {"n": 1}), ("c", {"n": 1})]
    assert returned.last_id == watcher.last_id


async def test_what_was_said_while_nobody_was_there_is_told(reader: Reader, phoenix: Connect, runtime: Runtime) -> None:
    await reader.peer.close()
    runtime.hub.followers.clear()  # as after a minute
    await publish("a", "b")
    while len(await history()) < 2:
        pass
    returned, response = await again(reader, phoenix)
    assert (response["recovered"], response["missed"]) == (True, 2)
    assert [event for event, _ in await returned.hears("b")] == ["a", "b"]


async def test_who_missed_nothing_is_told_so(reader: Reader, phoenix: Connect) -> None:
    await publish("ev")
    await reader.hears("ev")
    _, response = await again(reader, phoenix)
    assert (response["recovered"], response["missed"], response["last_id"]) == (True, 0, reader.last_id)


@pytest.fixture
def short_history(settings: Any) -> None:
    settings.GEOSTREAM_TOPIC_HISTORY_LENGTH = 5


@pytest.mark.parametrize(("missed", "recovered"), [(5, True), (6, False)])
async def test_the_window_is_as_long_as_it_is_set(
    short_history: None, reader: Reader, phoenix: Connect, missed: int, recovered: bool
) -> None:
    watcher = Reader(await phoenix())
    await watcher.join()
    await publish(*["ev"] * (missed - 1), "newest")
    await watcher.hears("newest")
    _, response = await again(reader, phoenix)
    assert (response["recovered"], response["missed"]) == (recovered, missed if recovered else 0)


async def test_beyond_the_window_nothing_old_is_told(short_history: None, reader: Reader, phoenix: Connect) -> None:
    await reader.peer.close()
    watcher = Reader(await phoenix())
    await watcher.join()
    await publish(*["ev"] * 9, "newest")
    await watcher.hears("newest")
    returned, response = await again(reader, phoenix)
    assert (response["recovered"], response["missed"], response["last_id"]) == (False, 0, watcher.last_id)
    await publish("last")
    assert [event for event, _ in await returned.hears("last")] == ["last"]


async def test_the_place_of_another_topic_is_none_of_this_one(reader: Reader, phoenix: Connect) -> None:
    hall = Reader(await phoenix(), "hall")
    await hall.join()
    response = await reader.join(last_id=hall.last_id)
    assert (response["recovered"], response["missed"]) == (False, 0)


@pytest.mark.parametrize(
    ("last_id", "reason"), [("nonsense", "invalid_cursor"), ("", "invalid_cursor"), (7, "bad_request"), ([], "bad_request")]
)
async def test_what_is_no_place_is_refused(phoenix: Connect, last_id: Any, reason: str) -> None:
    status, response = await Reader(await phoenix()).ask_to_join(last_id=last_id)
    assert (status, response["reason"]) == ("error", reason)


async def test_binary_messages_are_told_again_as_they_were(reader: Reader, phoenix: Connect) -> None:
    payload = bytes(range(256))
    await publish("blob", payload=payload)
    assert await reader.peer.receive_event("blob") == Binary(2, None, None, TOPIC, "blob", payload)
    returned, response = await again(reader, phoenix)
    assert response["missed"] == 1
    assert await returned.hears("blob") == [("blob", payload)]


async def test_clients_of_the_first_version_come_back_too(reader: Reader, phoenix: Connect) -> None:
    await publish("a", payload=b'{"n":1}')
    await publish("b", payload=b"text")
    await publish("c", payload=b"\xff\xfe")
    await reader.hears("c")
    first: PhoenixPeer = await phoenix("vsn=1.0.0")
    epoch = reader.last_id.partition(":")[0]
    params = {"token": mint("first", TOPIC), "last_id": f"{epoch}:0"}
    await first.send_text(json.dumps({"topic": TOPIC, "event": "phx_join", "payload": params, "ref": "1"}))
    frames = [await first.receive() for _ in range(4)]
    assert frames[0]["payload"]["response"]["missed"] == 3
    assert [(frame["event"], frame["payload"]) for frame in frames[1:]] == [
        ("a", {"n": 1}),
        ("b", "text"),
        ("last_id", {"id": f"{epoch}:3"}),
    ]


# -- what this server itself says ----------------------------------------------


async def test_what_the_project_says_is_kept(reader: Reader) -> None:
    assert await abroadcast(TOPIC, "a:b", {"n": 1}) == 1
    assert await sync_to_async(broadcast)(TOPIC, "blob", b"\0\xff") == 1
    assert await reader.hears("blob") == [("a:b", {"n": 1}), ("blob", b"\0\xff")]
    assert [(message.event, message.payload, message.binary) for message in await history()] == [
        ("a:b", b'{"n":1}', False),
        ("blob", b"\0\xff", True),
    ]


async def test_who_is_left_out_only_learns_where_it_is(reader: Reader, phoenix: Connect, runtime: Runtime) -> None:
    other = Reader(await phoenix(), name="bob")
    await other.join()
    await reader.peer.receive_event("presence_diff")
    await runtime.service(Topics).bridge.broadcast(TOPIC, "told", b"{}", False, without=f"{reader.peer.name}:room:1:1")
    assert [event for event, _ in await other.hears("told")] == ["told"]
    while reader.last_id != other.last_id:
        reader.take(await reader.peer.receive())
    assert reader.told == []


# -- slow clients --------------------------------------------------------------


@pytest.fixture
def short_queues(settings: Any) -> None:
    settings.GEOSTREAM_EVENTS_WAITING = 3
    settings.GEOSTREAM_OUTBOX_MESSAGES = 6


async def test_what_a_slow_client_did_not_get_is_counted(short_queues: None, reader: Reader, phoenix: Connect, runtime: Runtime) -> None:
    watcher = Reader(await phoenix(), name="bob")
    await watcher.join()
    await reader.peer.receive_event("presence_diff")
    reader.peer.stop_reading()
    for number in range(10):  # one at a time, for the watcher's queue is as short
        await publish(str(number))
        await watcher.hears(str(number))
    reader.peer.read_again()
    told = await reader.hears("9")
    gaps = sum(payload["count"] for event, payload in told if event == "gap")
    messages = [event for event, _ in told if event != "gap"]
    assert gaps + len(messages) == 10 and gaps > 0
    assert runtime.service(Topics).rooms.rooms[TOPIC].dropped == gaps
    assert messages[-3:] == ["7", "8", "9"] and reader.last_id == watcher.last_id
    assert told[[event for event, _ in told].index("7") - 1][0] == "gap"


async def test_what_waits_for_who_leaves_is_not_told(reader: Reader, runtime: Runtime) -> None:
    await reader.peer.receive_event("presence_diff")
    member = next(iter(runtime.service(Topics).rooms.rooms[TOPIC].members.values()))
    assert member.channel is not None
    reader.peer.stop_reading()
    await publish("underway")
    await until(lambda: not member.outbox.idle)
    await publish("waiting")
    await until(lambda: member.channel.describe()["waiting"])
    await reader.peer.send("1", "2", TOPIC, "phx_leave", {})
    await until(lambda: member.room is None)
    reader.peer.read_again()
    assert "waiting" not in [frame[3] for frame in await reader.peer.rest()]


# -- other topics --------------------------------------------------------------


async def test_other_topics_have_no_history(phoenix: Connect) -> None:
    reader = Reader(await phoenix(), "office")
    assert await reader.join(last_id="x:1") == {"id": f"{reader.peer.name}:office:1"}
    await reader.peer.receive_event("presence_diff")
    await publish("ev", topic="office")
    assert await reader.peer.receive() == [None, None, "office", "ev", {}]
    await reader.peer.receive_nothing()
    assert await async_redis().keys(f"{COMMON}topic:*") == []


async def test_topics_that_are_not_open_have_none(settings: Any, phoenix: Connect) -> None:
    settings.GEOSTREAM_TOPIC_HISTORY = "*"
    assert await abroadcast("layer:flights", "ev", {}) >= 1  # this process heard it; one that has just ended may still be counted
    assert await async_redis().keys(f"{COMMON}topic:*") == []


# -- Redis ---------------------------------------------------------------------


async def test_what_is_beyond_the_window_goes_when_nobody_can_miss_it(
    short_history: None, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [TopicMessage(TOPIC, str(number), b"{}") for number in range(500)]
    await keep(many)
    assert len(await history()) == 500
    monkeypatch.setattr(history_store, "GRACE_SECONDS", -1)  # it has passed
    for _ in range(3):
        await keep([TopicMessage(TOPIC, "ev", b"{}")])
    assert 5 <= len(await history()) < 200  # Redis removes about a hundred at a time


async def test_a_flood_is_not_kept_whole(short_history: None, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_store, "MOST_IN_GRACE", 100)
    await keep([TopicMessage(TOPIC, str(number), b"{}") for number in range(1000)])
    messages = await history()
    assert 105 <= len(messages) < 400 and messages[-1].event == "999"


async def test_the_keys_of_a_silent_topic_go(reader: Reader) -> None:
    feed = topic_feed(TOPIC)
    assert 0 < await async_redis().ttl(feed.meta_key) <= 4200
    await publish("ev")
    await reader.hears("ev")
    assert 0 < await async_redis().ttl(feed.log_key) <= 3600
    assert await async_redis().ttl(feed.meta_key) > 3600


async def test_a_place_outlives_the_messages(reader: Reader, phoenix: Connect) -> None:
    await publish("ev")
    await reader.hears("ev")
    await async_redis().delete(topic_feed(TOPIC).log_key)  # as after an hour
    returned, response = await again(reader, phoenix)
    assert (response["recovered"], response["missed"]) == (True, 0)
    await publish("next")
    assert [event for event, _ in await returned.hears("next")] == ["next"]


async def test_when_redis_forgets_clients_learn_their_new_place(reader: Reader, phoenix: Connect, runtime: Runtime) -> None:
    await publish("ev")
    await reader.hears("ev")
    before = reader.last_id
    await async_redis().flushall()
    await runtime.hub.refresh(runtime.hub.followers[topic_feed(TOPIC).name])
    while reader.last_id == before:
        reader.take(await reader.peer.receive())
    _, response = await again(reader, phoenix)
    assert response["recovered"] is True and reader.last_id.endswith(":0")


async def test_a_restarted_redis_loses_no_place(
    restarting_redis: RestartingRedis, reader: Reader, phoenix: Connect, runtime: Runtime
) -> None:
    await publish("before")
    await reader.hears("before")
    place = reader.last_id
    restarting_redis.stop()
    await until(lambda: not runtime.service(Topics).bus.connected)
    restarting_redis.start()
    await until(lambda: runtime.service(Topics).bus.connected)
    async with Redis.from_url(restarting_redis.url) as backend:
        await backend.publish(f"to:{TOPIC}:after", b"{}")
    assert [event for event, _ in await reader.hears("after") if event != "gap"] == ["after"]
    reader.last_id = place
    returned, response = await again(reader, phoenix)
    assert (response["recovered"], response["missed"]) == (True, 1)
    assert [event for event, _ in await returned.hears("after")] == ["after"]


__all__ = ["phoenix"]
