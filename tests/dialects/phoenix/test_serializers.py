"""What is written for clients, byte for byte where it is binary."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.dialects.phoenix.frames import Frame, FrameError, decode_v1, decode_v2
from streaming.dialects.phoenix.serializers import V1, V2, version_of
from tests.dialects.phoenix.vectors import CODEC, content

TEXTS = [vector for vector in CODEC if "text" in vector]
REPLIES = [vector for vector in TEXTS if vector["message"]["event"] == "phx_reply"]
BINARIES = [vector for vector in CODEC if "hex" in vector and vector["dir"] == "server->client"]

texts = st.text(st.characters(exclude_categories=["Cs"]))
fields = st.text(st.characters(exclude_categories=["Cs"]), max_size=63)


def name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def expected(vector: dict[str, Any]) -> Any:
    """The server says no join_ref in version 1."""
    text = json.loads(vector["text"])
    if isinstance(text, dict):
        text.pop("join_ref", None)
    return text


@pytest.mark.parametrize("vector", TEXTS, ids=name)
def test_it_writes_text(vector: dict[str, Any]) -> None:
    message = vector["message"]
    payload = json.dumps(message["payload"]).encode()
    written = version_of(vector["vsn"]).text(message["join_ref"], message["ref"], message["topic"], message["event"], payload)
    assert json.loads(written) == expected(vector)


@pytest.mark.parametrize("vector", REPLIES, ids=name)
def test_it_writes_replies(vector: dict[str, Any]) -> None:
    message = vector["message"]
    response = json.dumps(message["payload"]["response"]).encode()
    serializer = version_of(vector["vsn"])
    written = serializer.reply(message["join_ref"], message["ref"], message["topic"], message["payload"]["status"], response)
    assert json.loads(written) == expected(vector)


@pytest.mark.parametrize("vector", BINARIES, ids=name)
def test_it_writes_binary(vector: dict[str, Any]) -> None:
    message = vector["message"]
    join_ref, ref, topic, event = (message[key] for key in ("join_ref", "ref", "topic", "event"))
    payload = bytes.fromhex(message["payload_hex"])
    if "status" in message:
        written = V2.binary_reply(join_ref, ref, topic, message["status"], payload)
    elif join_ref is None:
        written = V2.binary_broadcast(topic, event, payload)
    else:
        written = V2.binary_push(join_ref, topic, event, payload)
    assert written == content(vector, "text")


def test_payloads_stay_as_they_are() -> None:
    payload = b'{"z" : 1e3,"a":12345678901234567890123, "\\u00e9":"\\/"}'
    for serializer in (V1, V2):
        assert payload in serializer.text(None, None, "t", "e", payload)
        assert payload in serializer.reply("1", "1", "t", "ok", payload)


def test_null_references_are_of_no_length_in_binary() -> None:
    assert V2.binary_push(None, "t", "e", b"x") == b"\0\0\1\1tex"
    assert V2.binary_reply(None, None, "t", "ok", b"x") == b"\1\0\0\1\2tokx"


def test_references_of_other_types_are_their_json_in_binary() -> None:
    assert V2.binary_reply(5, True, "t", "ok", b"") == b"\1\1\4\1\x025truetok"


@pytest.mark.parametrize("long", ["x" * 256, "é" * 128], ids=["ASCII", "two bytes each"])
def test_fields_are_never_cut(long: str) -> None:
    with pytest.raises(FrameError, match="256 bytes"):
        V2.binary_push(long, "t", "e", b"")
    with pytest.raises(FrameError, match="256 bytes"):
        V2.binary_push("1", long, "e", b"")
    with pytest.raises(FrameError, match="256 bytes"):
        V2.binary_push("1", "t", long, b"")
    with pytest.raises(FrameError, match="256 bytes"):
        V2.binary_reply("1", long, "t", "ok", b"")
    with pytest.raises(FrameError, match="256 bytes"):
        V2.binary_broadcast(long, "e", b"")


def test_version_1_says_bytes_that_are_text_as_a_string() -> None:
    payload = 'é "\n'.encode()
    event = {"topic": "t", "event": "e", "payload": 'é "\n', "ref": None}
    assert json.loads(V1.binary_push("1", "t", "e", payload) or b"") == event
    assert json.loads(V1.binary_broadcast("t", "e", payload) or b"") == event
    reply = {"topic": "t", "event": "phx_reply", "payload": {"status": "ok", "response": 'é "\n'}, "ref": "2"}
    assert json.loads(V1.binary_reply("1", "2", "t", "ok", payload) or b"") == reply


def test_version_1_cannot_say_other_bytes() -> None:
    assert V1.binary_push("1", "t", "e", b"\xff") is None
    assert V1.binary_reply("1", "2", "t", "ok", b"\xff") is None
    assert V1.binary_broadcast("t", "e", b"\xff") is None


@given(st.none() | fields, st.none() | fields, texts, texts, st.dictionaries(texts, texts | st.integers()))
def test_what_is_written_as_text_is_read(join_ref: str | None, ref: str | None, topic: str, event: str, payload: Any) -> None:
    text = json.dumps(payload).encode()
    assert decode_v2(V2.text(join_ref, ref, topic, event, text).decode()) == Frame(join_ref, ref, topic, event, text, False)
    assert decode_v1(V1.text(join_ref, ref, topic, event, text)) == Frame(None, ref, topic, event, text, False)


@given(fields, fields, fields, fields, st.binary())
def test_fields_and_payload_can_be_told_apart_in_binary(join_ref: str, ref: str, topic: str, status: str, payload: bytes) -> None:
    written = V2.binary_reply(join_ref, ref, topic, status, payload)
    assert written is not None
    found, rest = [], written[5:]
    for length in written[1:5]:
        found.append(rest[:length].decode())
        rest = rest[length:]
    assert (written[0], found, rest) == (1, [join_ref, ref, topic, status], payload)
