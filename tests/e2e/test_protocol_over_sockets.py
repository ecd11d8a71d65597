"""Every encoding says the same over a real socket, under `manage.py serve` (uvicorn) and under `manage.py runserver` (daphne)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from streaming.dialects.geo.codec import JSON_TEXT, Encoding, encode
from streaming.dialects.geo.messages import (
    Ack,
    ChangeType,
    Compression,
    Error,
    EventType,
    HandshakeAck,
    MessageFormat,
    Ping,
    Pong,
    SubscribeEvents,
    SubscribeFeatures,
    Unsubscribe,
)
from tests.dialects.geo.vectors import POSITIONAL, RUST_FIRST_FRAME
from tests.geo_peer import point
from tests.server_process import ServerProcess

from .conftest import Serve
from .sockets import GeoSocket

MAP = Encoding.of(MessageFormat.MESSAGE_PACK, Compression.NONE)
NONE, ZSTD = Compression.NONE, Compression.ZSTD
FORMS = {
    "json": (JSON_TEXT, MessageFormat.JSON),
    "map": (MAP, MessageFormat.MESSAGE_PACK),
    "binary": (MAP, MessageFormat.BINARY),
    "positional": (POSITIONAL, MessageFormat.MESSAGE_PACK),
}
_layers = (f"layer{number}" for number in itertools.count())


@pytest.fixture(scope="module", params=["serve", "runserver"])
def server(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    return serve(command=request.param, data=request.param)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[NONE, ZSTD], ids=["plain", "zstd"])
def peer(request: pytest.FixtureRequest, server: ServerProcess, form: str) -> Iterator[GeoSocket]:
    first, asked = FORMS[form]
    with GeoSocket(server.ws_url, first) as socket:
        assert socket.handshake(asked, request.param) == HandshakeAck(1, asked, request.param)
        yield socket


def test_a_whole_conversation(peer: GeoSocket, server: ServerProcess, form: str) -> None:
    layer = next(_layers)
    server.publish(layer, point("a", 1, 2, name='é\n"x"'), point(7, 50, 2))
    ack = peer.subscribe(layer, bbox=(0.0, 0.0, 10.0, 10.0))
    positional = form == "positional"
    assert (ack.request_id, ack.success) == ("s", True)
    if positional:
        assert (ack.cursor, ack.snapshot_count) == (None, None)
        server.publish(layer, point("a", 1, 3))
        assert peer.next_change() == ("updated", "a")
    else:
        assert ack.snapshot_count == 1
        assert peer.next_change() == ("added", "a")
    server.publish(layer, point("a", 50, 2), point(8, 3, 3))
    message = peer.next()
    assert message.change_type is ChangeType.DELETED
    assert peer.next_change() == ("added", 8)

    assert peer.ask(Ping(2**64 - 1)) == Pong(2**64 - 1)
    events = peer.ask(SubscribeEvents("e", [EventType.CUSTOM]))
    assert isinstance(events, Ack) and events.success
    status, _ = server.post("/api/events", {"event_type": "custom", "payload": {"n": [1, None, "é"]}})
    assert status < 300
    event = peer.next_event()
    assert (event.subscription_id, event.event_type, event.payload) == ("e", EventType.CUSTOM, {"n": [1, None, "é"]})

    assert peer.ask(Unsubscribe("s")).success
    server.publish(layer, point(9, 3, 3))
    assert peer.ask(Ping(1)) == Pong(1)


def test_a_refused_request_is_answered_with_an_ack(peer: GeoSocket, form: str) -> None:
    answer = peer.ask(SubscribeFeatures("s", layer="no-such-layer"))
    assert (answer.request_id, answer.success) == ("s", False) and "no-such-layer" in answer.message
    assert answer.code == (None if form == "positional" else "unknown_layer")


def test_frames_that_are_no_message_are_answered_with_errors(peer: GeoSocket) -> None:
    for frame in (b"\x00garbage", b"{", b"\x28\xb5\x2f\xfdgarbage", b"\x93\xa4ping", '{"type":"nonsense"}'):
        answer = peer.ask(frame)
        assert isinstance(answer, Error) and answer.message
    assert peer.ask(Ping(1)) == Pong(1)


def test_json_comes_as_text_and_everything_else_as_binary(peer: GeoSocket, form: str) -> None:
    peer.ask(Ping(1))
    text = form == "json" and peer.encoding.compression is NONE
    assert isinstance(peer.frames[-1], str) == text


def test_without_a_handshake_the_answer_comes_as_the_question(server: ServerProcess) -> None:
    for encoding in (JSON_TEXT, MAP, POSITIONAL):
        with GeoSocket(server.ws_url, encoding) as socket:
            socket.ask(Ping(3))
            frame = socket.frames[-1]
            assert (frame.encode() if isinstance(frame, str) else frame) == encode(Pong(3), encoding)


def test_the_upstream_rust_client_is_met_as_it_is(server: ServerProcess) -> None:
    layer = next(_layers)
    server.publish(layer, point("a", 1, 2))
    with GeoSocket(server.ws_url, POSITIONAL) as socket:
        assert socket.ask(RUST_FIRST_FRAME) == HandshakeAck(1, MessageFormat.MESSAGE_PACK, NONE)
        assert len(socket.frames) == 1
        assert socket.subscribe(layer).success
        server.publish(layer, point("a", 1, 3))
        assert socket.next_change() == ("updated", "a")
