"""The frames clients are sent."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from streaming.dialects.redis_commands.envelopes import batch, envelope, error, for_reference, greeting, notice, pong
from tests.dialects.redis_commands.vectors import GREETING


def without_time(frame: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(frame)
    assert list(read) == ["source", "content", "timestamp", "client_reference"]
    assert isinstance(read.pop("timestamp"), float)
    return read


def test_the_greeting_is_that_of_the_original_server() -> None:
    assert without_time(greeting()) == GREETING


def test_pong() -> None:
    assert without_time(pong()) == {"source": "websocket", "content": "PONG", "client_reference": None}


def test_the_time_is_in_milliseconds() -> None:
    before = time.time() * 1000
    sent = json.loads(envelope("a", b"1"))["timestamp"]
    assert before - 1 <= sent <= time.time() * 1000 + 1


def test_contents_go_out_byte_for_byte() -> None:
    content = b'{"big":12345678901234567890123, "f":1.0}'
    assert b'"content":' + content + b"," in envelope("a", content)


@pytest.mark.parametrize("name", ["vehicles", 'a"b\\c\nd', "Zürich\u2028"])
def test_names_and_references_are_escaped(name: str) -> None:
    assert without_time(envelope(name, b"null", name)) == {"source": name, "content": None, "client_reference": name}


@pytest.mark.parametrize("reference", ["7", "null}", 'a"b', ""])
def test_a_shared_envelope_takes_a_reference(reference: str) -> None:
    shared = envelope("a", b'{"client_reference":null}')
    assert without_time(for_reference(shared, reference)) == {**without_time(shared), "client_reference": reference}


def test_without_a_reference_the_shared_bytes_themselves_are_sent() -> None:
    shared = envelope("a", b"1")
    assert for_reference(shared, None) is shared


def test_an_error_has_a_code_and_a_message() -> None:
    content = {"status": "error", "code": "arguments", "message": "GET needs channel_name"}
    assert without_time(error("arguments", "GET needs channel_name", "r")) == {
        "source": "websocket",
        "content": content,
        "client_reference": "r",
    }


def test_not_a_number_becomes_null() -> None:
    assert without_time(notice({"rate": float("nan"), "most": float("inf")}))["content"] == {"rate": None, "most": None}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_batch_holds_whole_envelopes(count: int) -> None:
    frames = [envelope("a", b"%d" % number) for number in range(count)]
    sent = json.loads(batch(frames))
    assert (sent["source"], sent["client_reference"]) == ("buffer", None)
    assert sent["content"] == [json.loads(frame) for frame in frames]
