"""Whoever asks for much waits longest: large layers, costly filters, and what requests may not have."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from streaming import apublish
from streaming.core import replica as replica_module
from streaming.core import selection
from streaming.core.errors import StreamError
from streaming.core.turns import Pace
from streaming.dialects.geo import session as session_module
from streaming.dialects.geo import tile_encoder
from streaming.dialects.geo.codec import decoded_size
from streaming.dialects.geo.encoding import JSON_TEXT
from streaming.dialects.geo.messages import DataEncoding
from streaming.dialects.geo.tile_encoder import TileEncoder, TileVariant
from streaming.engine.runtime import Runtime
from streaming.engine.senders import RAW
from streaming.features.events import publish_event
from streaming.features.geojson import parse_feature
from streaming.tiles.grid import Tile
from streaming.tiles.tile_cache import rendered_tile
from streaming.tiles.tile_updates import whole_tile
from tests.dialects.geo.tile_peers import add, burst, subscribe
from tests.dialects.geo.vectors import MAP, POSITIONAL, read
from tests.geo_peer import GeoPeer, point

pytestmark = pytest.mark.django_db(transaction=True)
Connect = Callable[..., GeoPeer]
LARGE = 2000


async def publish_large() -> None:
    await apublish("large", [point(number, number % 180, 1, name="x" * 300) for number in range(LARGE)])


@pytest.fixture
def step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even what is small is selected in turns, and costly filters have no time of their own."""
    monkeypatch.setattr(selection, "SMALL", 0)
    monkeypatch.setattr(replica_module, "STEP_SECONDS", -1.0)


async def test_a_small_layer_does_not_wait_for_a_large_one(geo: Connect, runtime: Runtime) -> None:
    await publish_large()
    await apublish("small", point("a", 1, 1))
    peer = geo()
    await peer.subscribe("small", "first")  # so that it is loaded
    (connection,) = runtime.connections.open.values()
    connection.outbox._pace = Pace(1000, 1000, 1000)  # as if the socket took little at a time
    for name in ("large", "small"):
        await peer.send({"type": "subscribe_features", "subscription_id": name, "layer": name})
    seen: list[str] = []
    while seen.count("large") < LARGE or "small" not in seen:
        message = await peer.receive()
        if message["type"] == "feature_data":
            seen.append(message["subscription_id"])
    assert seen.index("small") < LARGE / 2


async def test_a_snapshot_is_that_of_its_moment_and_what_happens_meanwhile_follows(geo: Connect, step_by_step: None) -> None:
    await publish_large()
    peer = geo()
    ack = await peer.subscribe("large", bbox=[0, 0, 180, 10])
    assert ack["snapshot_count"] == LARGE
    await apublish("large", point(LARGE - 1, 5, 5))
    messages = [await peer.next() for _ in range(LARGE + 1)]
    assert {message["change_type"] for message in messages[:LARGE]} == {"added"}
    assert [message["cursor"] for message in messages[: LARGE - 1]] == [None] * (LARGE - 1)
    assert messages[LARGE - 1]["cursor"] == ack["cursor"]
    assert (messages[LARGE]["change_type"], messages[LARGE]["id"]) == ("updated", LARGE - 1)


async def test_costly_filters_judge_in_their_turns_and_nothing_is_lost(geo: Connect, step_by_step: None) -> None:
    await apublish("l", point("a", 1, 1, n=1))
    peer = geo()
    await peer.subscribe(filter="n > 0")
    assert await peer.next_change() == ("added", "a")
    await apublish("l", [point("a", 2, 2, n=2), point("b", 1, 1, n=1), point("c", 1, 1, n=0)])
    assert await peer.next_change() == ("updated", "a")
    assert await peer.next_change() == ("added", "b")
    await apublish("l", point("a", 2, 2, n=0))
    assert await peer.next_change() == ("deleted", "a")
    assert await peer.nothing()


async def test_a_connection_may_have_so_many_costly_filters(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_CLIENT_COSTLY_FILTERS = 1
    await apublish("l", point("x", 100, 80))
    peer = geo()
    assert (await peer.subscribe(filter="n > 0"))["success"]
    assert (await peer.subscribe(id="t", filter="n > 1"))["code"] == "too_many_filters"
    assert (await peer.ask(type="subscribe_events", subscription_id="e", event_types=["custom"], filter="n > 1"))[
        "code"
    ] == "too_many_filters"
    assert (await peer.subscribe(id="t", bbox=[0, 0, 1, 1]))["success"]
    assert (await peer.ask(type="update_subscription", subscription_id="t", filter="n > 1"))["code"] == "too_many_filters"
    assert (await peer.ask(type="update_subscription", subscription_id="s", filter="n > 1"))["success"]
    await peer.ask(type="unsubscribe", subscription_id="s")
    assert (await peer.ask(type="update_subscription", subscription_id="t", filter="n > 1"))["success"]


async def test_a_process_may_have_so_many_different_costly_filters(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_COSTLY_FILTERS = 1
    await apublish("l", point("x", 100, 80))
    one, other = geo(), geo()
    assert (await one.subscribe(filter="n > 0"))["success"]
    assert (await other.subscribe(filter="n > 1"))["code"] == "too_many_filters"
    await one.close()
    assert (await other.subscribe(filter="n > 1"))["success"]


# -- requests ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        ({"type": "subscribe_features", "layer": "l", "bboxx": [0, 0, 1, 1], "filterr": "n > 0"}, "`bboxx`, `filterr`"),
        ({"type": "subscribe_events", "event_types": ["custom"], "kind": 1}, "`kind`"),
        ({"type": "subscribe_tiles", "bbox": [0, 0, 1, 1], "zoom_range": [0, 1], "layer": "l"}, "`layer`"),
        ({"type": "update_subscription", "max-rate": 1}, "`max-rate`"),
        ({"type": "unsubscribe", "id": 1}, "`id`"),
    ],
)
async def test_keys_that_a_request_does_not_have_are_refused_by_name(geo: Connect, request_: dict[str, Any], named: str) -> None:
    await apublish("l", point("x", 100, 80))
    ack = await geo().ask(subscription_id="s", **request_)
    assert (ack["success"], ack["code"], ack["request_id"]) == (False, "bad_request", "s")
    assert named in ack["message"]


async def test_half_an_emoji_refuses_that_request_only(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1))
    peer = geo()
    await peer.send('{"type":"subscribe_features","subscription_id":"s","layer":"l","filters":[["name","cut \\ud83d"]]}')
    ack = await peer.receive()
    assert (ack["type"], ack["request_id"], ack["code"]) == ("ack", "s", "bad_request")
    assert (await peer.subscribe())["success"]


async def test_a_feature_that_has_hardly_moved_is_held_back_until_it_has(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1))
    peer = geo()
    await peer.subscribe(min_distance=1000)
    assert await peer.next_change() == ("added", "a")
    await apublish("l", point("a", 1.1, 1))  # what was in the snapshot is not remembered
    assert await peer.next_change() == ("updated", "a")
    await apublish("l", point("a", 1.101, 1))  # 111 metres
    assert await peer.nothing()
    await apublish("l", point("a", 1.11, 1))  # 1,112 metres since it was sent
    message = await peer.next()
    assert '"coordinates":[1.11,1.0]' in message["geojson"]
    assert await peer.nothing()


# -- integers beyond 64 bits ---------------------------------------------------


@pytest.mark.parametrize("number", [1 << 64, -(1 << 63) - 1, 10**40])
@pytest.mark.parametrize("wrapped", [lambda number: {"n": number}, lambda number: {"n": [{"m": number}]}])
def test_integers_beyond_64_bits_are_refused_where_they_are_published(number: int, wrapped: Callable[[int], Any]) -> None:
    feature = point("a", 1, 1, **wrapped(number))
    for raw in (feature, json.dumps(feature).encode()):
        with pytest.raises(StreamError, match="64 bits") as refused:
            parse_feature(raw)
        assert refused.value.code == "invalid_feature"
    with pytest.raises(StreamError, match="64 bits"):
        publish_event("custom", wrapped(number))


@pytest.mark.parametrize("number", [(1 << 64) - 1, -(1 << 63), 0.12345678901234567890123, 1e300, "9" * 40])
def test_what_64_bits_can_hold_is_published(number: Any) -> None:
    assert parse_feature(point("a", 1, 1, n=number))


# -- tiles ---------------------------------------------------------------------


@pytest.mark.parametrize("encoding", [JSON_TEXT, MAP, POSITIONAL], ids=["JSON", "map", "positional"])
@pytest.mark.parametrize("size", [0, 15, 16, 300, 70_000])
def test_a_tile_as_a_list_is_the_list_of_its_bytes(encoding: Any, size: int) -> None:
    data = bytes(number % 256 for number in range(size))
    encoder = TileEncoder.of(TileVariant(encoding, RAW, "t", "red", DataEncoding.LIST))
    message: Any = encoder._message(Tile(0, 0, 0), whole_tile(rendered_tile(data, "image/png")))
    assert read(tile_encoder.encode(message, encoding)).data == list(data)


async def test_a_large_tile_is_encoded_in_a_thread(geo: Connect, red: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    encode = tile_encoder.encode

    def encoded(message: Any, encoding: Any) -> bytes:
        threads.append(threading.current_thread().name)
        return encode(message, encoding)

    monkeypatch.setattr(tile_encoder, "encode", encoded)
    await add("red", red)
    await subscribe(geo(), zooms=(0, 1))
    peer = geo()
    monkeypatch.setattr(tile_encoder, "LARGE", 10)
    await subscribe(peer, zooms=(0, 1), data_encoding="list", subscription_id="u")
    assert [tile["subscription_id"] for tile in await burst(peer)] == ["u"]
    assert threads[-1].startswith("work")


async def test_a_large_frame_is_decoded_in_a_thread_and_answered_in_its_turn(geo: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    decode = session_module.decode

    def decoded(data: Any, **limits: Any) -> Any:
        threads.append(threading.current_thread().name)
        return decode(data, **limits)

    monkeypatch.setattr(session_module, "decode", decoded)
    monkeypatch.setattr(session_module, "INLINE_BYTES", 100)
    peer = geo()
    for number in range(6):
        await peer.send(json.dumps({"type": "ping", "id": number}) + " " * (200 if number % 2 else 0))
    assert [(await peer.receive())["id"] for _ in range(6)] == list(range(6))
    assert [name.startswith("work") for name in threads] == [False, True] * 3


def test_of_a_compressed_frame_counts_what_it_decompresses_to() -> None:
    frame = zstandard.compress(b'{"type":"ping","id":1}' + b" " * 100_000)
    assert len(frame) < 100 and decoded_size(frame) > 100_000
    assert decoded_size(frame[:10]) == 0 and decoded_size("é" * 5) == 5
