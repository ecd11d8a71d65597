"""Feature deltas: of an update what has changed, against what the client was sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from streaming import apublish
from streaming.core.merge_patch import merged
from tests.geo_peer import GeoPeer, point

Connect = Callable[..., GeoPeer]
DELTA = ["merge-patch"]
LONG = {"callsign": "SWR40W", "operator": "Swiss International Air Lines", "kind": "aircraft", "country": "Switzerland"}


def flight(x: float, **properties: Any) -> dict[str, Any]:
    return point("a", x, 1, **{**LONG, **properties})


async def test_an_update_has_what_has_changed(geo: Connect) -> None:
    await apublish("l", flight(1, speed=1, squawk="7700"))
    peer = geo()
    await peer.subscribe(delta=DELTA)
    whole = await peer.next()
    assert "encoding" not in whole
    await apublish("l", flight(2, speed=2))
    update = await peer.next()
    patch = json.loads(update["geojson"])
    assert patch == {"geometry": {"coordinates": [2, 1]}, "properties": {"speed": 2, "squawk": None}}
    assert (update["change_type"], update["id"], update["encoding"]) == ("updated", "a", "merge-patch")
    assert update["base_version"] == whole["version"] != update["version"]
    assert merged(json.loads(whole["geojson"]), patch) == flight(2, speed=2)


async def test_who_does_not_ask_is_sent_no_versions(geo: Connect) -> None:
    await apublish("l", flight(1))
    peer = geo()
    await peer.subscribe(delta=["something else"])
    await apublish("l", flight(2))
    for message in (await peer.next(), await peer.next()):
        assert message.keys() == {"type", "subscription_id", "geojson", "change_type", "layer", "id", "cursor", "reason"}
        assert json.loads(message["geojson"])["type"] == "Feature"


async def test_versions_are_those_of_the_features_as_they_are_shown(geo: Connect) -> None:
    await apublish("l", flight(1, speed=1))
    peer = geo()
    await peer.subscribe(delta=DELTA, properties=["kind", "operator", "country", "callsign"])
    shown = await peer.next()
    await apublish("l", flight(1, speed=2))
    same = await peer.next()
    assert (same["geojson"], same["version"], same["base_version"]) == ("{}", shown["version"], shown["version"])


async def test_a_null_is_sent_in_the_whole_feature(geo: Connect) -> None:
    await apublish("l", flight(1, speed=1))
    peer = geo()
    await peer.subscribe(delta=DELTA)
    await peer.next()
    await apublish("l", flight(1, speed=None))
    update = await peer.next()
    assert "encoding" not in update
    assert json.loads(update["geojson"]) == flight(1, speed=None)


async def test_what_comes_into_view_is_whole(geo: Connect) -> None:
    await apublish("l", flight(1))
    peer = geo()
    await peer.subscribe(delta=DELTA, bbox=[0, 0, 10, 10])
    await peer.next()
    await apublish("l", flight(20))
    left = await peer.next()
    assert (left["change_type"], "version" in left) == ("deleted", False)
    await apublish("l", flight(2))
    back = await peer.next()
    assert (back["change_type"], "encoding" in back, json.loads(back["geojson"])) == ("added", False, flight(2))


async def test_who_was_sent_no_snapshot_is_sent_whole_features(geo: Connect) -> None:
    await apublish("l", flight(1))
    peer = geo()
    await peer.subscribe(delta=DELTA, snapshot=False)
    await apublish("l", flight(2))
    update = await peer.next()
    assert (update["change_type"], "encoding" in update) == ("updated", False)


async def test_what_was_missed_is_whole_and_what_follows_is_not(geo: Connect) -> None:
    await apublish("l", flight(1))
    cursor = (await geo().subscribe())["cursor"]
    await apublish("l", flight(2))
    peer = geo()
    await peer.subscribe(delta=DELTA, cursor=cursor)
    missed = await peer.next()
    assert "encoding" not in missed
    await apublish("l", flight(3))
    update = await peer.next()
    assert update["base_version"] == missed["version"]


async def test_a_batch_has_deltas_apart_each_with_its_id(geo: Connect) -> None:
    await apublish("l", [flight(1), point(7, 5, 5, **LONG)])
    peer = geo()
    await peer.subscribe(delta=DELTA, batch=True)
    whole = await peer.next()
    assert len(whole["version"]) == 2
    await apublish("l", [flight(2), point(7, 5, 5, note=None)])
    messages = [await peer.next(), await peer.next()]
    assert [message.get("encoding") for message in messages] == ["merge-patch", None]
    held = dict(zip([feature["id"] for feature in json.loads(whole["geojson"])["features"]], whole["version"], strict=True))
    assert messages[0]["base_version"] == [held["a"]]
    assert json.loads(messages[0]["geojson"])["features"] == [{"id": "a", "geometry": {"coordinates": [2, 1]}}]
    assert (messages[0]["cursor"], messages[1]["cursor"] is None) == (None, False)


@pytest.mark.parametrize("format", ["MessagePack", "Binary"])
async def test_messagepack_says_the_same(geo: Connect, format: str) -> None:
    await apublish("l", flight(1))
    peer = geo()
    await peer.ask(type="handshake", version=1, format=format, compression="None")
    await peer.send(msgpack.packb({"type": "subscribe_features", "subscription_id": "s", "layer": "l", "delta": DELTA}))
    _, whole = [msgpack.unpackb(await peer.receive()) for _ in range(2)]
    await apublish("l", flight(2))
    update = msgpack.unpackb(await peer.receive())
    assert (update["encoding"], update["base_version"]) == ("merge-patch", whole["version"])
    assert json.loads(update["geojson"]) == {"geometry": {"coordinates": [2, 1]}}


async def test_list_subscriptions_tells_it(geo: Connect) -> None:
    peer = geo()
    await apublish("l", flight(1))
    await peer.subscribe(delta=DELTA)
    (info,) = (await peer.ask(type="list_subscriptions"))["subscriptions"]
    assert info["delta"] == DELTA


async def test_cells_are_whole_and_after_them_the_features_again(geo: Connect) -> None:
    await apublish("l", flight(1))
    peer = geo()
    await peer.subscribe(delta=DELTA, aggregate={"by": "grid", "resolution": 5})
    assert "version" not in await peer.next()
    await apublish("l", point("b", 1, 1))
    assert "version" not in await peer.next()
    await peer.ask(type="update_subscription", subscription_id="s", aggregate=None)
    whole = {message["id"]: message for message in await peer.rest() if message["change_type"] == "added"}
    await apublish("l", flight(2))
    update = await peer.next()
    assert (update["encoding"], update["base_version"]) == ("merge-patch", whole["a"]["version"])
