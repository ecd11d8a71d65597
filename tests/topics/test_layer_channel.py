"""Layers as topics, as a client of Phoenix Channels sees them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError
from rest_framework.test import APIClient

from streaming import adelete, apublish
from streaming.core.selection import Selection, find
from streaming.features.layers import catalogue
from streaming.topics.builtin import layer as layer_module
from tests.geo_peer import point

from .layer_peer import ConnectLayer, LayerPeer, caught_up, replica_of

# -- joining -------------------------------------------------------------------


async def test_the_reply_holds_what_is_there(layer: LayerPeer) -> None:
    await apublish("l", [point("a", 1, 1, kind="x"), point(7, 2, 2)])
    response = await layer.join()
    assert len(response.pop("features")) == 2
    assert layer.features == {"a": point("a", 1, 1, kind="x"), 7: point(7, 2, 2)}
    assert response == {"count": 2, "complete": True, "recovered": None, "cursor": layer.cursor}


async def test_events_say_what_changes(layer: LayerPeer) -> None:
    await layer.join()
    await apublish("l", point("a", 1, 1))
    event, payload = await layer.next()
    assert (event, payload["feature"]) == ("added", point("a", 1, 1))
    await apublish("l", point("a", 2, 2))
    event, payload = await layer.next()
    assert (event, payload["feature"]) == ("updated", point("a", 2, 2))
    await adelete("l", "a")
    event, payload = await layer.next()
    assert (event, payload) == ("deleted", {"id": "a", "reason": "deleted", "cursor": str((await replica_of("l")).cursor)})


async def test_without_a_snapshot_only_changes_are_told(layer: LayerPeer) -> None:
    await apublish("l", point("a", 1, 1))
    response = await layer.join(snapshot=False)
    assert (response["features"], response["count"], response["complete"]) == ([], 0, True)
    assert await layer.rest() == []


async def test_what_enters_and_leaves_the_box_is_told(layer: LayerPeer) -> None:
    await apublish("l", point(7, 50, 50))
    assert (await layer.join(bbox=[0, 0, 10, 10]))["features"] == []
    await apublish("l", point(7, 5, 5))
    assert await layer.next_change() == ("added", 7)
    await apublish("l", point(7, 11, 5))
    event, payload = await layer.next()
    assert (event, payload["id"], payload["reason"]) == ("deleted", 7, "left_view")


async def test_coordinates_and_properties_are_presented_as_asked(layer: LayerPeer) -> None:
    await apublish("l", point("a", 180, 0, speed=3, name="x"))
    await layer.join(crs="EPSG:3857", properties=["speed"])
    assert layer.features["a"]["properties"] == {"speed": 3}
    assert layer.features["a"]["geometry"]["coordinates"] == pytest.approx([20037508.34, 0], abs=0.01)


async def test_a_layer_too_large_for_the_reply_goes_on_in_events(layer: LayerPeer) -> None:
    published = {number: point(number, 1, 1, text="x" * 2000) for number in range(300)}
    await apublish("l", list(published.values()))
    response = await layer.join()
    assert (response["complete"], response["count"], "cursor" in response) == (False, 300, False)
    assert 200 <= len(response["features"]) < 300
    assert len(json.dumps(response["features"])) < 600_000
    events = await layer.rest()
    assert len(events) == 300 - len(response["features"])
    assert ["cursor" in payload for _, payload in events] == [False] * (len(events) - 1) + [True]
    assert layer.features == published


async def test_what_changes_meanwhile_comes_behind_the_rest(layer: LayerPeer) -> None:
    await apublish("l", [point(number, 1, 1, text="x" * 2000) for number in range(300)])
    layer.peer.stop_reading()
    joining = asyncio.create_task(layer.join())
    async with asyncio.timeout(5):
        while not (await replica_of("l")).views:
            await asyncio.sleep(0.01)
    await apublish("l", point(299, 5, 5))
    await caught_up("l")
    layer.peer.read_again()
    await joining
    events = await layer.rest()
    assert (events[-1][0], events[-1][1]["feature"]) == ("updated", point(299, 5, 5))
    assert len(layer.features) == 300


async def test_what_changes_while_a_snapshot_is_found_comes_behind_it(layer: LayerPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = asyncio.Event()

    async def find_late(selection: Selection, turns: Any, owner: Any) -> None:
        await changed.wait()
        await find(selection, turns, owner)

    monkeypatch.setattr(layer_module, "find", find_late)
    await apublish("l", [point(number, 1, 1, n=number) for number in range(2000)])
    joining = asyncio.create_task(layer.join(filter="n < 1500"))
    async with asyncio.timeout(10):
        while not (await replica_of("l")).views:
            await asyncio.sleep(0)
    await apublish("l", [point(0, 2, 2, n=0), point(1, 2, 2, n=1500), point(1999, 2, 2, n=1)])
    await caught_up("l")
    changed.set()
    response = await joining
    assert response["count"] == 1500 == len(layer.features)
    events = await layer.rest()
    assert [(event, payload.get("id", payload.get("feature", {}).get("id"))) for event, payload in events] == [
        ("updated", 0),
        ("deleted", 1),
        ("added", 1999),
    ]
    assert len(layer.features) == 1500 and layer.cursor == str((await replica_of("l")).cursor)


async def test_an_answer_comes_before_what_follows_it_however_much_waits(layer: LayerPeer) -> None:
    await apublish("l", [point(number, 1, 1) for number in range(3)])
    await layer.join(bbox=[50, 50, 51, 51])
    layer.peer.stop_reading()
    member = layer.peer.connection.session.members[layer.topic]
    for _ in range(20):
        member.push("noise", b'"%s"' % (b"x" * 10_000))
    await layer.peer.send(layer.ref, "moved", layer.topic, "update", {"bbox": [0, 0, 2, 2]})
    async with asyncio.timeout(5):
        while len(layer.peer.connection.outbox._lanes) < 2:
            await asyncio.sleep(0.001)
    layer.peer.read_again()
    events = [(await layer.peer.receive())[3] for _ in range(20 + 4)]
    assert [event for event in events if event != "noise"] == ["phx_reply", "added", "added", "added"]


async def test_no_more_costly_filters_than_a_connection_may_have(layer: LayerPeer, settings: Any) -> None:
    settings.GEOSTREAM_MAX_CLIENT_COSTLY_FILTERS = 1
    await layer.join(filter="a = 1")
    assert (await layer.update(filter="a = 2"))["count"] == 0
    assert await LayerPeer(layer.peer, "layer:l:other").refused(filter="a = 3") == "too_many_filters"
    assert (await layer.push("update", {"filter": "a = 4", "bbox": None}))[0] == "ok"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"bbox": [0, 10, 10, 0]}, "invalid_bbox"),
        ({"geometry": {"type": "Point", "coordinates": [0, 0]}}, "invalid_geometry"),
        ({"center": [1, 1]}, "invalid_circle"),
        ({"center": [1, 1], "radius_m": -5}, "invalid_circle"),
        ({"datetime": "yesterday"}, "invalid_datetime"),
        ({"filter": "speed >"}, "invalid_filter"),
        ({"filter": "a = 1", "filter_lang": "sql"}, "invalid_filter"),
        ({"crs": 999999}, "invalid_crs"),
        ({"cursor": "nonsense"}, "invalid_cursor"),
        ({"cursor": {"l": "e:1"}}, "bad_request"),
        ({"max_rate": -1}, "bad_request"),
        ({"bbox": [0, 0, 1]}, "bad_request"),
        ({"bbox": "everywhere"}, "bad_request"),
        ({"snapshot": "no"}, "bad_request"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_reason(layer: LayerPeer, params: dict[str, Any], reason: str) -> None:
    status, response = await layer.ask_to_join(**params)
    assert (status, response["reason"]) == ("error", reason)
    assert response["detail"]
    assert not (await replica_of("l")).views


async def test_what_is_no_condition_means_nothing(layer: LayerPeer) -> None:
    assert (await layer.join(token="whatever", user={"id": 7}, batch=3))["complete"]


@pytest.mark.parametrize("topic", ["layer:nowhere", "layer:", "layer::x"])
async def test_an_unknown_layer_is_refused(connect_layer: ConnectLayer, topic: str) -> None:
    assert await (await connect_layer(topic)).refused() == "unknown_layer"


async def test_a_database_that_does_not_answer_is_told(layer: LayerPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("locked")

    monkeypatch.setattr(catalogue, "_read", fail)
    catalogue.clear()
    assert await layer.refused() == "internal"


# -- coming back ---------------------------------------------------------------


async def test_after_a_cursor_what_was_missed_comes_as_events(layer: LayerPeer, connect_layer: ConnectLayer) -> None:
    await apublish("l", [point("a", 1, 1), point("b", 1, 1)])
    await layer.join()
    await layer.peer.close()
    await apublish("l", point("c", 1, 1))
    await adelete("l", "a")
    await caught_up("l")
    layer.peer = (await connect_layer()).peer
    response = await layer.join(cursor=layer.cursor)
    assert response == {"features": [], "count": 2, "complete": False, "recovered": True}
    assert [event for event, _ in await layer.rest()] == ["added", "deleted"]
    assert layer.features.keys() == {"b", "c"}
    assert layer.cursor == str((await replica_of("l")).cursor)


async def test_nothing_missed_is_complete_at_once(layer: LayerPeer) -> None:
    await apublish("l", point("a", 1, 1))
    cursor = (await layer.join())["cursor"]
    assert await layer.join(cursor=cursor) == {"features": [], "count": 0, "complete": True, "recovered": True, "cursor": cursor}


async def test_a_cursor_that_reaches_nothing_brings_the_whole_state(layer: LayerPeer) -> None:
    await apublish("l", point("a", 1, 1))
    response = await layer.join(cursor="other:1", snapshot=False)
    assert (response["recovered"], response["count"], len(response["features"])) == (False, 1, 1)


# -- moving the view -----------------------------------------------------------


async def test_an_update_tells_only_the_difference_behind_its_reply(layer: LayerPeer) -> None:
    await apublish("l", [point("a", 1, 1), point("b", 5, 5), point("c", 9, 9)])
    await layer.join(bbox=[0, 0, 6, 6])
    assert await layer.update(bbox=[4, 4, 10, 10]) == {"count": 2}
    events = await layer.rest()
    assert sorted(event for event, _ in events) == ["added", "deleted"]
    assert ["cursor" in payload for _, payload in events] == [False, True]
    assert layer.features.keys() == {"b", "c"}


async def test_an_update_without_a_difference_has_the_cursor(layer: LayerPeer) -> None:
    await apublish("l", point("a", 1, 1))
    await layer.join()
    assert await layer.update(bbox=[0, 0, 2, 2]) == {"count": 0, "cursor": str((await replica_of("l")).cursor)}


async def test_after_an_update_changes_are_judged_anew(layer: LayerPeer) -> None:
    await layer.join(bbox=[0, 0, 1, 1])
    await layer.update(bbox=[4, 4, 6, 6])
    await apublish("l", [point("a", 0.5, 0.5), point("b", 5, 5)])
    assert await layer.next_change() == ("added", "b")


async def test_an_update_keeps_what_it_does_not_name_and_null_removes(layer: LayerPeer) -> None:
    await apublish("l", [point("a", 1, 1, kind="x"), point("b", 5, 5, kind="y"), point("c", 5, 5, kind="x")])
    await layer.join(bbox=[0, 0, 2, 2], filters=[["kind", "x"]])
    assert (await layer.update(bbox=None))["count"] == 1
    assert await layer.next_change() == ("added", "c")


async def test_another_presentation_sends_everything_again(layer: LayerPeer) -> None:
    await apublish("l", point("a", 1, 1, speed=3, name="x"))
    await layer.join()
    await layer.update(properties=["speed"])
    event, payload = await layer.next()
    assert (event, payload["feature"]["properties"]) == ("updated", {"speed": 3})


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("update", {"bbox": [5, 5, 4, 4]}, "invalid_bbox"),
        ("update", {"max_rate": "fast"}, "bad_request"),
        ("update", [1], "bad_request"),
        ("shout", {}, "unsupported_type"),
    ],
)
async def test_a_refused_push_changes_nothing(layer: LayerPeer, event: str, payload: Any, reason: str) -> None:
    await layer.join(bbox=[0, 0, 1, 1])
    status, response = await layer.push(event, payload)
    assert (status, response["reason"]) == ("error", reason)
    await apublish("l", [point("a", 0.5, 0.5), point("b", 4.5, 4.5)])
    assert await layer.next_change() == ("added", "a")
    assert await layer.rest() == []


async def test_an_update_of_a_channel_that_ends_meanwhile_is_refused(layer: LayerPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(selection: Selection, turns: Any, owner: Any) -> None:
        member = layer.peer.connection.session.members[layer.topic]
        await member.channel.leave()
        selection.run()

    await layer.join()
    with monkeypatch.context() as patched:
        patched.setattr(layer_module, "find", ends)
        status, response = await layer.push("update", {"filter": "a = 1"})
    assert (status, response["reason"]) == ("error", "unknown_subscription")


# -- several on one connection, and the end ------------------------------------------


async def test_labels_make_several_pictures_of_a_layer(layer: LayerPeer) -> None:
    await apublish("l", [point("west", -5, 0), point("east", 5, 0)])
    west, east = LayerPeer(layer.peer, "layer:l:west"), LayerPeer(layer.peer, "layer:l:east")
    await west.join(bbox=[-10, -10, 0, 10])
    await east.join(bbox=[0, -10, 10, 10])
    assert (west.features.keys(), east.features.keys()) == ({"west"}, {"east"})
    await apublish("l", point("east", 6, 0))
    assert await east.next_change() == ("updated", "east")
    assert await west.rest() == []


async def test_a_second_join_replaces_the_first(layer: LayerPeer) -> None:
    await layer.join()
    first = layer.ref
    await layer.join(bbox=[0, 0, 1, 1])
    assert await layer.peer.receive() == [first, first, "layer:l", "phx_close", {}]
    await apublish("l", [point("a", 0.5, 0.5), point("b", 5, 5)])
    assert [payload["feature"]["id"] for _, payload in await layer.rest()] == ["a"]
    assert len((await replica_of("l")).views) == 1


async def test_who_leaves_is_told_nothing_more(layer: LayerPeer) -> None:
    await layer.join()
    assert await layer.push("phx_leave", {}) == ("ok", {})
    assert (await layer.peer.receive())[3] == "phx_close"
    await apublish("l", point("a", 1, 1))
    assert await layer.rest() == []
    assert not (await replica_of("l")).views


async def test_who_leaves_is_not_told_what_waited(layer: LayerPeer) -> None:
    await layer.join()
    layer.peer.stop_reading()
    for lon in range(3):
        await apublish("l", point(lon, lon, 0))
        await caught_up("l")
    await layer.peer.send(layer.ref, "bye", "layer:l", "phx_leave", {})
    async with asyncio.timeout(5):
        while (await replica_of("l")).views:
            await asyncio.sleep(0.01)
    layer.peer.read_again()
    events = [frame[3] for frame in await layer.peer.rest()]
    assert events == ["added", "phx_reply", "phx_close"]


async def test_a_connection_that_goes_leaves_nothing_behind(layer: LayerPeer) -> None:
    await layer.join()
    await layer.peer.close()
    async with asyncio.timeout(5):
        while (await replica_of("l")).views:
            await asyncio.sleep(0.01)


async def test_a_slow_reader_is_told_the_latest(layer: LayerPeer) -> None:
    await layer.join()
    layer.peer.stop_reading()
    for lon in range(100):
        await apublish("l", point("a", lon, 0))
        await caught_up("l")
    layer.peer.read_again()
    assert len(await layer.rest()) < 10
    assert layer.features["a"] == point("a", 99, 0)


async def test_max_rate_keeps_the_latest(layer: LayerPeer) -> None:
    await apublish("l", point("a", 0, 0))
    await layer.join(max_rate=20)
    for lon in range(1, 30):
        await apublish("l", point("a", lon, 0))
    seen = 0
    while layer.features["a"] != point("a", 29, 0):
        await layer.next()
        seen += 1
    assert seen < 29


# -- other ways in and out ---------------------------------------------------------


async def test_version_1_is_spoken_too(layer: LayerPeer, connect_layer: ConnectLayer) -> None:
    peer = (await connect_layer(query="vsn=1.0.0")).peer
    await peer.send_text('{"topic":"layer:l","event":"phx_join","payload":{"bbox":[0,0,2,2]},"ref":"1"}')
    reply = await peer.receive()
    assert (reply["event"], reply["ref"], reply["payload"]["response"]["features"]) == ("phx_reply", "1", [])
    await apublish("l", point("a", 1, 1))
    message = await peer.receive()
    assert (message["topic"], message["event"], message["ref"]) == ("layer:l", "added", None)
    assert message["payload"]["feature"] == point("a", 1, 1)


async def test_what_is_published_over_http_is_seen(layer: LayerPeer) -> None:
    @database_sync_to_async
    def post() -> int:
        client = APIClient()
        client.force_authenticate(User.objects.create_superuser("admin"))
        return int(client.post("/api/layers/l/features", point("a", 1, 1), format="json").status_code)

    await layer.join()
    assert await post() == 200
    assert await layer.next_change() == ("added", "a")


async def test_operators_see_what_a_client_looks_at(layer: LayerPeer) -> None:
    await layer.join(bbox=[0, 0, 1, 1], token="secret")
    (shown,) = layer.peer.connection.session.describe()
    assert (shown["id"], shown["kind"], shown["feed"], shown["waiting"], shown["dropped"]) == ("layer:l", "features", "layer:l", 0, 0)
    assert shown["filter"] == {"bbox": (0.0, 0.0, 1.0, 1.0)}
