"""What clients may send by mistake or on purpose: everything is answered, ignored or closed for, and nothing breaks."""

from __future__ import annotations

import json
import logging
from itertools import product
from random import Random
from typing import Any
from unittest.mock import ANY

import pytest

from streaming.dialects.phoenix.frames import MAX_DEPTH, FrameError, decode_v2
from streaming.engine.runtime import Runtime
from streaming.features.publishing import aensure_layer
from streaming.topics.tokens import mint

from .backend import Backend
from .conftest import Connect
from .peer import PhoenixPeer, encoded
from .poller import Poller

NO_FRAMES = [
    "",
    " ",
    "not json",
    "null",
    "5",
    '"text"',
    "{}",
    "[]",
    '["1","1","t","e"]',
    '{"topic":"t","event":"e","payload":{},"ref":"1"}',
    '["1","1","t","e",{}',
    '["1","1","t","e",{}]x',
    '["1","1","t","e",NaN]',
    '["1","1","t","e",\'x\']',
    '["1","1","t","e","\\ud800"',
    json.dumps(["r" * 300, "1", "t", "e", {}]),
    json.dumps(["1", "r" * 300, "t", "e", {}]),
    '["1","1","t","e",' + "[" * 5000 + "]" * 5000 + "]",
]
NO_BINARY_FRAMES = [b"", b"\0", b"\0\1\1\1\1", b"\1\0\0\0\0", b"\2\1\1te", b"\x09abc", b"\0\xff\0\0\0short", b"\0\1\0\0\0\xff", b"[1]"]


@pytest.fixture(autouse=True)
def nothing_failed(caplog: pytest.LogCaptureFixture) -> Any:
    """Whatever was sent, no code of the server raised."""
    yield
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_text_that_is_no_frame_closes(phoenix: Connect) -> None:
    for text in NO_FRAMES:
        peer = await phoenix()
        await peer.send_text(text)
        code, reason = await peer.closed()
        assert code == 1011 and 0 < len(reason) <= 120, text


async def test_bytes_that_are_no_frame_close(phoenix: Connect) -> None:
    for data in NO_BINARY_FRAMES:
        peer = await phoenix()
        await peer.send_bytes(data)
        assert (await peer.closed())[0] == 1011, data


async def test_the_first_version_closes_too(phoenix: Connect) -> None:
    for text in ("", "[]", "{}", '["1","1","t","e",{}]', '{"topic":"t","event":"e","ref":"1"}', '{"topic":"t","payload":{},"ref":"1"}'):
        peer = await phoenix("vsn=1.0.0")
        await peer.send_text(text)
        assert (await peer.closed())[0] == 1011, text


HALF_AN_EMOJI = [r"\ud83d", r"cut \ud83d", r"\ude00", r"\ud83d\ud83d\ude00", r"\\\ud83d", r"\ud83d\u0041"]
"""As `JSON.stringify` writes a text that was cut within a character."""


@pytest.mark.parametrize("half", HALF_AN_EMOJI)
async def test_half_an_emoji_is_refused_with_its_push_alone(peer: PhoenixPeer, backend: Backend, half: str) -> None:
    await peer.join("room:1", token=mint("alice", "room:1"))
    await peer.send_text(f'["1","2","room:1","said",{{"text":"{half}"}}]')
    reply = await peer.receive_event("phx_reply")
    assert reply[:4] == ["1", "2", "room:1", "phx_reply"] and reply[4]["status"] == "error"
    assert reply[4]["response"]["reason"] == "bad_request" and "surrogate" in reply[4]["response"]["detail"]
    assert await peer.ask("1", "3", "room:1", "said", {"text": "whole 😀"}) == ("ok", {})
    assert [channel for channel, _ in await backend.everything() if channel.startswith("from:")] == ["from:room:1:said"]


@pytest.mark.parametrize(("topic", "event"), [("room:1", "phx_join"), ("phoenix", "heartbeat"), ("room:1", "said"), ("room:😀", "said")])
async def test_half_an_emoji_in_any_frame_is_answered(peer: PhoenixPeer, topic: str, event: str) -> None:
    await peer.send_text(json.dumps(["1", "2", topic, event, {"text": "\ud83d"}]))
    reply = await peer.receive()
    assert reply[:4] == ["1", "2", topic, "phx_reply"] and reply[4]["response"]["reason"] == "bad_request"
    await peer.receive_nothing()


async def test_half_an_emoji_is_answered_in_the_first_version_too(phoenix: Connect) -> None:
    peer = await phoenix("vsn=1.0.0")
    await peer.send_text(r'{"topic":"room:1","event":"said","payload":{"text":"\ud83d"},"ref":"7"}')
    reply = await peer.receive()
    assert (reply["ref"], reply["payload"]["response"]["reason"]) == ("7", "bad_request")


async def test_half_an_emoji_is_answered_to_a_client_that_polls(runtime: Runtime) -> None:
    poller = await Poller().open()
    assert await poller.say(r'["1","2","room:1","said","\ud83d"]') == 200
    _, (reply,) = await poller.poll()
    assert reply[:2] == ["1", "2"] and reply[4]["response"]["reason"] == "bad_request"


async def test_more_values_than_may_be_decoded_are_refused(peer: PhoenixPeer, settings: Any) -> None:
    settings.GEOSTREAM_PAYLOAD_VALUES = 100
    await aensure_layer("l")
    status, response = await peer.ask("1", "1", "room:1", "phx_join", {"token": mint("alice", "room:1"), "more": [0] * 100})
    assert (status, response["reason"]) == ("error", "too_large") and "100" in response["detail"]
    await peer.join("layer:l", "2")
    status, response = await peer.ask("2", "3", "layer:l", "update", {"properties": ["a"] * 100})
    assert (status, response["reason"]) == ("error", "too_large")
    assert await peer.ask("2", "4", "layer:l", "update", {"properties": ["a"] * 90}) == ("ok", {"count": 0, "cursor": ANY})


async def test_what_comes_after_a_frame_that_closes_is_not_handled(peer: PhoenixPeer, backend: Backend) -> None:
    await peer.join("room:1", token=mint("alice", "room:1"))
    await peer.send_text("not json")
    await peer.send("1", "2", "room:1", "ev", {})
    await peer.closed()
    await peer.close()
    assert not any(channel.startswith("from:") for channel, _ in await backend.everything())


async def test_others_go_on(phoenix: Connect) -> None:
    bad, good = await phoenix(), await phoenix()
    await bad.send_text("not json")
    await bad.closed()
    await good.receive_nothing()


async def test_a_topic_that_is_no_text_is_none(peer: PhoenixPeer) -> None:
    unmatched = {"status": "error", "response": {"reason": "unmatched topic"}}
    for topic, event in product([5, None, True, ["t"], {"t": 1}, 1.5], ["phx_join", "phx_leave", "heartbeat", "e"]):
        await peer.send("1", "2", topic, event, {})
        assert await peer.receive() == [None, "2", topic, "phx_reply", unmatched]


async def test_an_event_that_is_no_text_is_none(peer: PhoenixPeer) -> None:
    await peer.join("room:1", token=mint("alice", "room:1"))
    for event in (5, None, True, ["e"], {}):
        assert await peer.ask("1", "2", "room:1", event, {}) == ("error", {"reason": "unmatched topic"})


async def test_a_topic_that_cannot_be_is_refused(peer: PhoenixPeer) -> None:
    for topic in ("*", "room:*", "a?", "[a]", "a\\b", "a\nb", "\x00", "\x7f", "\u2028", "t" * 256, "ä" * 128):
        status, response = await peer.ask("1", "1", topic, "phx_join", {"token": mint("alice", "*")})
        assert (status, response["reason"]) == ("error", "bad topic") and response["detail"], topic


async def test_a_topic_that_is_nobodys_is_unmatched(peer: PhoenixPeer) -> None:
    for topic in ("", "phoenix"):
        await peer.send("1", "1", topic, "phx_join", {"token": mint("alice", "*")})
        assert await peer.receive() == [None, "1", topic, "phx_reply", {"status": "error", "response": {"reason": "unmatched topic"}}]


async def test_any_other_topic_can_be_joined(peer: PhoenixPeer, backend: Backend) -> None:
    for number, topic in enumerate(["t" * 255, "ä" * 127, "a b", "a:b:c", ":", "💬", "__proto__", "{}"]):
        await peer.join(topic, str(number), token=mint("alice", topic))
        await backend.publish(f"to:{topic}:ev", b"binary")
        frame = await peer.receive_event("ev")
        assert (frame.topic, frame.payload) == (topic, b"binary")


async def test_references_come_back_as_they_were(peer: PhoenixPeer) -> None:
    for ref in (None, 5, 1.5, True, ["a"], {"a": 1}, "", ":", "~", "r" * 255, "ä"):
        await peer.send(ref, ref, "room:1", "phx_join", {"token": mint("alice", "room:1")})
        reply = await peer.receive_event("phx_reply")
        assert reply[:2] == [ref, ref] and reply[4]["status"] == "ok"
        parts = reply[4]["response"]["id"].split(":")
        assert parts[:3] == [peer.name, "room", "1"] and len(parts) == 4
        await peer.send(ref, "2", "room:1", "phx_leave", {})
        assert (await peer.receive_event("phx_close"))[:2] == [ref, ref]


async def test_a_token_that_is_none_opens_nothing(peer: PhoenixPeer) -> None:
    for value in (5, ["a"], {"a": 1}, None, True, "", "." * 50_000, "a.b.c", "é"):
        assert await peer.ask("1", "1", "room:1", "phx_join", {"token": value}) == ("error", {"reason": "unauthorized"})


async def test_a_binary_join_has_no_params(peer: PhoenixPeer) -> None:
    await peer.send_bytes(encoded("1", "1", "room:1", "phx_join", b"\xff"))
    assert (await peer.receive())[4]["response"] == {"reason": "unauthorized"}


async def test_names_that_are_latin_1_are_read_as_old_clients_write_them(peer: PhoenixPeer) -> None:
    await peer.join("café", token=mint("alice", "café"))
    await peer.receive_event("presence_diff")
    await peer.send_bytes(b"\0\1\1\4\x02" + b"12" + "café".encode("latin-1") + b"evx")
    assert (await peer.receive())[2:5] == ["café", "phx_reply", {"status": "ok", "response": {}}]


async def test_payloads_may_be_as_deep_as_backends_read(peer: PhoenixPeer, backend: Backend) -> None:
    await peer.join("room:1", token=mint("alice", "room:1"))
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    await peer.send_text(f'["1","2","room:1","ev",{deepest}]')
    assert await backend.hears("from:room:1:ev") == [deepest.encode()]
    await peer.send_text(f'["1","3","room:1","ev",[{deepest}]]')
    assert (await peer.closed())[0] == 1011


async def test_whatever_comes_is_answered_or_closed_for(phoenix: Connect) -> None:
    random = Random(4)
    pieces = [
        "1",
        "2",
        "room:1",
        "phoenix",
        "phx_join",
        "phx_leave",
        "heartbeat",
        "",
        {},
        [],
        None,
        5,
        "presence_diff",
        "\x00",
        {"token": "x"},
    ]
    peer = await phoenix()
    for _ in range(400):
        frame = [random.choice(pieces) for _ in range(random.choice([5, 5, 5, 5, 5, 6, 7]))]
        await peer.send(*frame)
    assert len(await peer.rest()) == 400


async def test_broken_binary_frames_close_and_nothing_else(phoenix: Connect) -> None:
    random = Random(5)
    whole = encoded("1", "2", "room:1", "event", b"payload")
    for _ in range(60):
        data = bytearray(whole[: random.randrange(len(whole) + 1)])
        for _ in range(random.randrange(3) if data else 0):
            data[random.randrange(len(data))] = random.randrange(256)
        peer = await phoenix()
        await peer.send_bytes(bytes(data))
        try:
            read = decode_v2(bytes(data))
        except FrameError:
            assert (await peer.closed())[0] == 1011
        else:
            assert (await peer.receive())[:3] == [None, read.ref, read.topic]
        await peer.close()


async def test_ids_that_would_break_the_presence_of_others_are_refused(phoenix: Connect) -> None:
    peer = await phoenix()
    for number, name in enumerate(("constructor", "__proto__", "toString"), 1):
        status, response = await peer.ask(str(number), str(number), "room:1", "phx_join", {"token": mint(name, "room:1")})
        assert (status, response["reason"]) == ("error", "bad id")
