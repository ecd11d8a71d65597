"""What a project's own channels can do, as their clients see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from streaming.engine.runtime import Runtime
from streaming.topics import abroadcast, broadcast
from streaming.topics.service import Topics

from . import chat
from .conftest import Connect
from .peer import Binary, PhoenixPeer, encoded


@pytest.fixture(autouse=True)
def chats(settings: Any) -> None:
    settings.GEOSTREAM_TOPICS = chat.__name__
    settings.GEOSTREAM_OPEN_TOPICS = False
    chat.happened.clear()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def entered(peer: PhoenixPeer, topic: str = "chat:1", ref: str = "1", **params: Any) -> PhoenixPeer:
    """The peer has joined and been welcomed."""
    await peer.join(topic, ref, **params)
    assert (await peer.receive())[3] == "welcome"
    return peer


# -- joining -------------------------------------------------------------------


async def test_join_is_given_the_params_and_its_answer_is_the_response(peer: PhoenixPeer) -> None:
    assert await peer.join("chat:a:b", answer={"hello": [1]}) == {"hello": [1]}
    assert chat.happened[0] == ("join", "a:b", {"answer": {"hello": [1]}})


async def test_what_is_pushed_when_joined_comes_behind_the_reply(peer: PhoenixPeer) -> None:
    await peer.join("chat:1", "7")
    assert await peer.receive() == ["7", None, "chat:1", "welcome", {"to": f"{peer.name}:chat:1:7"}]


async def test_a_refusal_says_why(peer: PhoenixPeer) -> None:
    assert await peer.ask("1", "1", "chat:1", "phx_join", {"be": "refused"}) == ("error", {"reason": "full", "limit": 3})
    assert ("joined", "1") not in chat.happened and not any(event[0] == "leave" for event in chat.happened)


async def test_a_refusal_of_the_project_is_unauthorized(peer: PhoenixPeer) -> None:
    assert await peer.ask("1", "1", "chat:1", "phx_join", {"be": "forbidden"}) == ("error", {"reason": "unauthorized", "detail": "not you"})


async def test_a_response_that_is_not_json_is_a_crashed_join(peer: PhoenixPeer) -> None:
    assert await peer.ask("1", "1", "chat:1", "phx_join", {"be": "unfit"}) == ("error", {"reason": "join crashed"})
    await peer.send("1", "2", "chat:1", "echo", {})
    assert (await peer.receive())[4]["response"] == {"reason": "unmatched topic"}


async def test_a_channel_that_fails_after_its_join_ends(peer: PhoenixPeer) -> None:
    await peer.join("chat:broken")
    await peer.receive_event("welcome")
    assert await peer.receive() == ["1", "1", "chat:broken", "phx_error", {"reason": "channel_crash"}]


async def test_the_first_pattern_that_matches_decides(peer: PhoenixPeer) -> None:
    await entered(peer, "chat:never")
    assert chat.happened[0][:2] == ("join", "never")


async def test_params_that_are_no_object_are_refused(peer: PhoenixPeer) -> None:
    for payload in ([1], 5, "text", True):
        detail = "the payload of a join is an object"
        assert await peer.ask("1", "1", "chat:1", "phx_join", payload) == ("error", {"reason": "join crashed", "detail": detail})
    assert chat.happened == []


async def test_joins_come_one_by_one_when_there_are_too_many(peer: PhoenixPeer, settings: Any) -> None:
    settings.GEOSTREAM_MAX_CHANNELS = 2
    settings.GEOSTREAM_JOINS_PER_SECOND = 20.0
    answers = [await peer.ask(str(ref), str(ref), "chat:1", "phx_join", {"be": "refused"}) for ref in range(4)]
    assert [response["reason"] for _, response in answers] == ["full", "full", "rate limited", "rate limited"]
    began = time.monotonic()
    while (await peer.ask("9", "9", "chat:1", "phx_join", {"be": "refused"}))[1]["reason"] == "rate limited":
        assert time.monotonic() - began < 5
        await asyncio.sleep(0.1)


# -- pushes and answers --------------------------------------------------------


async def test_any_json_can_be_pushed_and_answered(peer: PhoenixPeer) -> None:
    await entered(peer)
    for payload in ({}, {"a": [1, 2.5, None]}, [1], "text", 5, None, True):
        assert await peer.ask("1", "2", "chat:1", "echo", payload) == ("ok", payload)


async def test_bytes_are_pushed_and_answered_as_bytes(peer: PhoenixPeer) -> None:
    await entered(peer)
    await peer.send_bytes(encoded("1", "2", "chat:1", "echo", b"\0\xff"))
    assert await peer.receive() == Binary(1, "1", "2", "chat:1", "ok", b"\0\xff")


async def test_pushes_are_handled_in_order(peer: PhoenixPeer) -> None:
    await entered(peer)
    for ref, event in (("2", "wait"), ("3", "echo"), ("4", "wait"), ("5", "echo")):
        await peer.send("1", ref, "chat:1", event, ref)
    assert [(await peer.receive())[4]["response"] for _ in range(4)] == ["2", "3", "4", "5"]


async def test_a_handler_that_takes_its_time_keeps_no_other_client_waiting(phoenix: Connect) -> None:
    slow, quick = await entered(await phoenix()), await entered(await phoenix())
    await slow.send("1", "2", "chat:1", "wait", 1)
    assert await quick.ask("1", "2", "chat:1", "echo", 2) == ("ok", 2)
    await until(lambda: ("wait", 1) in chat.happened)
    await slow.receive_event("phx_reply")


async def test_a_refused_push_is_answered_and_the_channel_stays(peer: PhoenixPeer) -> None:
    await entered(peer)
    assert await peer.ask("1", "2", "chat:1", "refuse", {}) == ("error", {"reason": "layer_full", "detail": "no more"})
    assert await peer.ask("1", "3", "chat:1", "echo", 1) == ("ok", 1)


@pytest.mark.parametrize("event", ["unfit", "nobody knows this", ""])
async def test_a_handler_that_fails_ends_the_channel_and_nothing_else(peer: PhoenixPeer, event: str) -> None:
    await entered(peer)
    await entered(peer, "chat:2", "2")
    await peer.send("1", "3", "chat:1", event, {})
    assert await peer.receive() == ["1", "1", "chat:1", "phx_error", {"reason": "channel_crash"}]
    assert ("leave", f"{peer.name}:chat:1:1") in chat.happened
    assert await peer.ask("2", "4", "chat:2", "echo", 1) == ("ok", 1)


async def test_a_channel_can_end_itself_with_an_answer(peer: PhoenixPeer) -> None:
    await entered(peer)
    await peer.send("1", "2", "chat:1", "end", {})
    assert await peer.receive() == ["1", "2", "chat:1", "phx_reply", {"status": "ok", "response": "bye"}]
    assert await peer.receive() == ["1", "1", "chat:1", "phx_close", {}]
    assert chat.happened[-1] == ("leave", f"{peer.name}:chat:1:1")


# -- telling -------------------------------------------------------------------


async def test_everybody_hears_a_broadcast(phoenix: Connect) -> None:
    peers = [await entered(await phoenix(), ref=str(number)) for number in range(3)]
    await peers[0].send("0", "9", "chat:1", "say", {"n": 1})
    for peer in peers:
        assert await peer.receive() == [None, None, "chat:1", "said", {"n": 1}]


async def test_all_but_the_sender_hear_a_broadcast_from_it(phoenix: Connect) -> None:
    peers = [await entered(await phoenix(), ref=str(number)) for number in range(3)]
    await peers[0].send("0", "9", "chat:1", "tell", {"n": 1})
    for peer in peers[1:]:
        assert await peer.receive() == [None, None, "chat:1", "told", {"n": 1}]
    await peers[0].receive_nothing()


async def test_a_push_is_for_one(phoenix: Connect) -> None:
    one, other = await entered(await phoenix()), await entered(await phoenix())
    await one.send("1", "2", "chat:1", "whisper", {"n": 1})
    assert await one.receive() == ["1", None, "chat:1", "whispered", {"n": 1}]
    await other.receive_nothing()


async def test_bytes_are_told_as_bytes(phoenix: Connect) -> None:
    one, other = await entered(await phoenix()), await entered(await phoenix())
    await one.send_bytes(encoded("1", "2", "chat:1", "say", b"\xca"))
    assert [await one.receive(), await other.receive()] == [Binary(2, None, None, "chat:1", "said", b"\xca")] * 2
    await one.send_bytes(encoded("1", "3", "chat:1", "whisper", b"\xfe"))
    assert await one.receive() == Binary(0, "1", None, "chat:1", "whispered", b"\xfe")


async def test_clients_of_the_first_version_are_told_the_same(phoenix: Connect) -> None:
    second, first = await entered(await phoenix()), await phoenix("vsn=1.0.0")
    await first.send_text('{"topic":"chat:1","event":"phx_join","payload":{},"ref":"1"}')
    assert [(await first.receive())["event"] for _ in range(2)] == ["phx_reply", "welcome"]
    await second.send("1", "2", "chat:1", "say", {"n": 1})
    assert await first.receive() == {"topic": "chat:1", "event": "said", "payload": {"n": 1}, "ref": None}


async def test_code_elsewhere_can_tell_a_topic_something(peer: PhoenixPeer) -> None:
    await entered(peer)
    assert await abroadcast("chat:1", "an:event", {"n": 1}) == 1
    assert await asyncio.to_thread(broadcast, "chat:1", "other", b"\0") == 1
    assert await peer.receive() == [None, None, "chat:1", "an:event", {"n": 1}]
    assert await peer.receive() == Binary(2, None, None, "chat:1", "other", b"\0")


async def test_nobody_on_other_topics_is_told(peer: PhoenixPeer) -> None:
    await entered(peer)
    await abroadcast("chat:2", "said", {})
    await abroadcast("chat:1", "said", {"n": 1})
    assert (await peer.receive())[4] == {"n": 1}


# -- leaving -------------------------------------------------------------------


async def test_the_channel_hears_of_a_leave(peer: PhoenixPeer) -> None:
    await entered(peer)
    await peer.ask("1", "2", "chat:1", "phx_leave", {})
    await peer.receive_event("phx_close")
    assert chat.happened[-1] == ("leave", f"{peer.name}:chat:1:1")


async def test_the_channel_hears_of_a_client_that_is_gone(phoenix: Connect) -> None:
    peer = await entered(await phoenix())
    await peer.close()
    await until(lambda: ("leave", f"{peer.name}:chat:1:1") in chat.happened)


async def test_the_channel_hears_of_a_join_that_was_replaced(peer: PhoenixPeer) -> None:
    await entered(peer)
    await peer.send("2", "2", "chat:1", "phx_join", {})
    assert [(await peer.receive())[3] for _ in range(3)] == ["phx_reply", "phx_close", "welcome"]
    await until(lambda: chat.happened[-1] == ("leave", f"{peer.name}:chat:1:1"))


async def test_each_join_is_left_once(phoenix: Connect) -> None:
    peer = await entered(await phoenix())
    await peer.ask("1", "2", "chat:1", "phx_leave", {})
    await peer.close()
    later = await entered(await phoenix())
    await later.receive_nothing()
    assert [event for event in chat.happened if event[0] == "leave"] == [("leave", f"{peer.name}:chat:1:1")]


async def test_a_channel_that_fails_at_leaving_keeps_nobody(peer: PhoenixPeer, runtime: Runtime) -> None:
    await entered(peer, "chat:sad")
    assert await peer.ask("1", "2", "chat:sad", "phx_leave", {}) == ("ok", {})
    assert (await peer.receive())[3] == "phx_close"
    assert runtime.service(Topics).rooms.get("chat:sad") is None
    await peer.receive_nothing()


# -- slow clients --------------------------------------------------------------


async def said(runtime: Runtime, topic: str, event: str, count: int) -> None:
    """So many messages, each in a turn of its own, have reached the room."""
    room = runtime.service(Topics).rooms.get(topic)
    assert room is not None
    for number in range(count):
        before = room.published
        await abroadcast(topic, event, number)
        await until(lambda before=before: room.published > before)  # type: ignore[misc]


async def blocked(peer: PhoenixPeer, topic: str) -> PhoenixPeer:
    """The peer has joined and reads nothing; one frame is on its way."""
    await entered(peer, topic)
    peer.stop_reading()
    await peer.send(None, "on its way", "phoenix", "heartbeat", {})
    await until(lambda: not peer.connection.sender.writable)
    return peer


async def read_on(peer: PhoenixPeer) -> list[Any]:
    peer.read_again()
    return [(frame[3], frame[4]) for frame in await peer.rest() if frame[1] != "on its way"]


async def test_the_oldest_are_dropped_for_a_slow_client(phoenix: Connect, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_EVENTS_WAITING = 3
    slow = await blocked(await phoenix(), "chat:1")
    await said(runtime, "chat:1", "dropped", 10)
    assert slow.connection.session.describe()[0]["dropped"] == 7
    assert await read_on(slow) == [("dropped", 7), ("dropped", 8), ("dropped", 9)]


async def test_the_latest_of_each_event_is_kept_for_a_slow_client(phoenix: Connect, runtime: Runtime) -> None:
    slow = await blocked(await phoenix(), "chat:1")
    await said(runtime, "chat:1", "position", 5)
    await said(runtime, "chat:1", "said", 2)
    await said(runtime, "chat:1", "position", 3)
    assert await read_on(slow) == [("said", 0), ("said", 1), ("position", 2)]


async def test_a_client_that_is_far_behind_is_closed_where_nothing_may_be_lost(phoenix: Connect, runtime: Runtime, settings: Any) -> None:
    other = await entered(await phoenix(), "patient")
    settings.GEOSTREAM_OUTBOX_MESSAGES = 5
    slow = await blocked(await phoenix(), "patient")
    await said(runtime, "patient", "said", 21)
    slow.connection.tick(time.monotonic(), asyncio.get_running_loop().time())
    assert slow.connection.closing
    slow.read_again()
    assert (await slow.closed())[0] == 1008
    assert [(await other.receive())[4] for _ in range(21)] == list(range(21))


async def test_what_waits_for_a_topic_is_not_told_after_leaving_it(phoenix: Connect, runtime: Runtime) -> None:
    slow = await blocked(await phoenix(), "chat:1")
    await said(runtime, "chat:1", "said", 3)
    await slow.send("1", "2", "chat:1", "phx_leave", {})
    await until(lambda: runtime.service(Topics).rooms.get("chat:1") is None)
    assert [event for event, _ in await read_on(slow)] == ["phx_reply", "phx_close"]
