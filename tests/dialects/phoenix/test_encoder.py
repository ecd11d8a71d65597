"""How a run of messages reaches the members of a room."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.dialects.phoenix.encoder import room_encoder
from streaming.dialects.phoenix.serializers import V1, V2, Serializer
from streaming.engine.senders import ASGI, RAW
from streaming.topics.messages import TopicMessage
from streaming.topics.rooms import Member
from tests.core.doubles import RecordingSender

SAID = TopicMessage("room:1", "shout", b'{"n":1}')
BINARY = TopicMessage("room:1", "blob", b"\xff", binary=True)
BINARY_TEXT = TopicMessage("room:1", "blob", b"abc", binary=True)


def member(serializer: Serializer, join_ref: Any = "7") -> Member:
    outbox = Outbox(RecordingSender(), OutboxLimits(), on_slow=lambda _: None)
    return Member("m", "room:1", outbox, room_encoder(serializer, ASGI), join_ref)


def told(serializer: Serializer, *run: TopicMessage) -> list[Any]:
    return [json.loads(frame) if isinstance(frame, str) else frame for frame in room_encoder(serializer, ASGI).broadcast(run)]


def test_there_is_one_encoder_of_a_version_and_a_framing() -> None:
    assert room_encoder(V2, RAW) is room_encoder(V2, RAW)
    assert len({room_encoder(serializer, framing) for serializer in (V1, V2) for framing in (RAW, ASGI)}) == 4


def test_a_broadcast_has_no_references() -> None:
    assert told(V2, SAID) == [[None, None, "room:1", "shout", {"n": 1}]]
    assert told(V1, SAID) == [{"topic": "room:1", "event": "shout", "payload": {"n": 1}, "ref": None}]


def test_a_run_keeps_its_order() -> None:
    text, binary = [None, None, "room:1", "shout", {"n": 1}], b"\2\6\4room:1blob\xff"
    assert told(V2, SAID, BINARY, BINARY, SAID, SAID, BINARY) == [text, binary, binary, text, text, binary]


def test_a_run_is_one_piece_for_each_kind() -> None:
    frames = room_encoder(V2, RAW).broadcast([SAID, SAID, BINARY, BINARY, SAID])
    assert [frame[0] for frame in frames] == [0x81, 0x82, 0x81]
    one_text, one_binary = room_encoder(V2, RAW).broadcast([SAID]), room_encoder(V2, RAW).broadcast([BINARY])
    assert frames == [one_text[0] * 2, one_binary[0] * 2, one_text[0]]


def test_version_1_is_told_text_only() -> None:
    frames = told(V1, SAID, BINARY, BINARY_TEXT)
    assert [frame["payload"] for frame in frames] == [{"n": 1}, "abc"]


def test_a_run_that_cannot_be_said_is_no_frames() -> None:
    assert told(V1, BINARY) == []
    assert room_encoder(V1, RAW).broadcast([BINARY]) == []


def test_a_push_carries_the_reference_of_the_join() -> None:
    (frame,) = room_encoder(V2, ASGI).push(member(V2), SAID)
    assert json.loads(frame) == ["7", None, "room:1", "shout", {"n": 1}]


def test_a_binary_push_carries_the_reference_of_the_join() -> None:
    assert room_encoder(V2, ASGI).push(member(V2), BINARY) == [b"\0\1\6\x047room:1blob\xff"]
    assert room_encoder(V2, ASGI).push(member(V2, None), BINARY) == [b"\0\0\6\4room:1blob\xff"]


@pytest.mark.parametrize(("message", "payloads"), [(BINARY_TEXT, ["abc"]), (BINARY, [])], ids=["text", "other bytes"])
def test_a_binary_push_in_version_1(message: TopicMessage, payloads: list[str]) -> None:
    frames = room_encoder(V1, ASGI).push(member(V1), message)
    assert [json.loads(frame)["payload"] for frame in frames] == payloads
