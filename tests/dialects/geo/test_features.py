"""Feature subscriptions, as a JSON client sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.db import OperationalError
from rest_framework_simplejwt.tokens import AccessToken

from streaming import adelete, apublish
from streaming.dialects.geo.feature_request import FeatureRequest
from streaming.engine.runtime import Runtime
from streaming.features.layer_creation import aensure_layer
from streaming.features.layers import catalogue
from streaming.models import Layer
from tests.geo_peer import GeoPeer, point

Connect = Callable[..., GeoPeer]


async def feature_of(peer: GeoPeer) -> dict[str, Any]:
    """The GeoJSON of the next change."""
    feature: dict[str, Any] = json.loads((await peer.next())["geojson"])
    return feature


@database_sync_to_async
def save_layer(name: str, **fields: Any) -> None:
    Layer.objects.update_or_create(name=name, defaults=fields)


@database_sync_to_async
def delete_layer(name: str) -> None:
    Layer.objects.get(name=name).delete()


@database_sync_to_async
def token_of(name: str, **fields: Any) -> str:
    return str(AccessToken.for_user(get_user_model()._default_manager.create(username=name, **fields)))


async def test_it_sends_a_snapshot_and_then_changes(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1))
    peer = geo()
    ack = await peer.subscribe()
    assert (ack["success"], ack["snapshot_count"]) == (True, 1)
    assert await peer.next_change() == ("added", "a")
    await apublish("l", point("a", 2, 2))
    assert await peer.next_change() == ("updated", "a")
    await adelete("l", "a")
    assert await peer.next_change() == ("deleted", "a")


async def test_it_sends_no_snapshot_when_asked_not_to(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1))
    peer = geo()
    assert (await peer.subscribe(snapshot=False))["snapshot_count"] == 0
    assert await peer.nothing()


async def test_it_sends_what_enters_and_leaves_the_box(geo: Connect) -> None:
    await apublish("l", point(7, 50, 50))
    peer = geo()
    await peer.subscribe(bbox=[0, 0, 10, 10])
    assert await peer.nothing()
    await apublish("l", point(7, 5, 5))
    assert await peer.next_change() == ("added", 7)
    await apublish("l", point(7, 11, 5))
    message = await peer.next()
    assert (message["change_type"], message["id"], message["reason"]) == ("deleted", 7, "left_view")


async def test_it_sends_nothing_when_nothing_changed(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1))
    peer = geo()
    await peer.subscribe(snapshot=False)
    await apublish("l", point("a", 1, 1))
    assert await peer.nothing()


async def test_ids_stay_what_they_were(geo: Connect) -> None:
    peer = geo()
    await aensure_layer("l")
    await peer.subscribe()
    await apublish("l", [point(7, 1, 1), point("7", 2, 2)])
    assert [await peer.next_change(), await peer.next_change()] == [("added", 7), ("added", "7")]


async def test_only_the_last_message_of_a_snapshot_has_a_cursor(geo: Connect) -> None:
    await apublish("l", [point("a", 1, 1), point("b", 1, 1)])
    peer = geo()
    ack = await peer.subscribe()
    assert [(await peer.next())["cursor"], (await peer.next())["cursor"]] == [None, ack["cursor"]]


async def test_a_cursor_resumes(geo: Connect) -> None:
    await apublish("l", [point("a", 1, 1), point("b", 1, 1)])
    witness = geo()
    cursor = (await witness.subscribe())["cursor"]
    await apublish("l", point("c", 1, 1))
    await adelete("l", "a")
    await witness.until("deleted", "a")
    peer = geo()
    ack = await peer.subscribe(cursor=cursor)
    assert (ack["recovered"], ack["snapshot_count"]) == (True, 2)
    assert [await peer.next_change(), await peer.next_change()] == [("added", "c"), ("deleted", "a")]


async def test_a_cursor_of_another_epoch_brings_the_whole_state(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1))
    peer = geo()
    ack = await peer.subscribe(cursor="other:1")
    assert (ack["recovered"], ack["snapshot_count"]) == (False, 1)
    assert await peer.next_change() == ("added", "a")


async def test_an_update_sends_only_the_difference(geo: Connect) -> None:
    await apublish("l", [point("a", 1, 1), point("b", 5, 5), point("c", 9, 9)])
    peer = geo()
    await peer.subscribe(bbox=[0, 0, 6, 6], snapshot=False)
    ack = await peer.ask(type="update_subscription", subscription_id="s", bbox=[4, 4, 10, 10])
    assert (ack["success"], ack["snapshot_count"]) == (True, 2)
    assert sorted([await peer.next_change(), await peer.next_change()]) == [("added", "c"), ("deleted", "a")]


async def test_an_update_keeps_conditions_that_it_does_not_name(geo: Connect) -> None:
    await apublish("l", [point("a", 1, 1, kind="x"), point("b", 5, 5, kind="y")])
    peer = geo()
    await peer.subscribe(bbox=[0, 0, 2, 2], filters=[["kind", "x"]], snapshot=False)
    ack = await peer.ask(type="update_subscription", subscription_id="s", bbox=None)
    assert ack["snapshot_count"] == 0


async def test_a_change_of_crs_sends_everything_again(geo: Connect) -> None:
    await apublish("l", point("a", 180, 0))
    peer = geo()
    await peer.subscribe(snapshot=False)
    await peer.ask(type="update_subscription", subscription_id="s", crs="EPSG:3857")
    message = await peer.next()
    assert message["change_type"] == "updated"
    assert json.loads(message["geojson"])["geometry"]["coordinates"] == pytest.approx([20037508.34, 0], abs=0.01)


async def test_chosen_properties_only(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1, speed=3, name="x"))
    peer = geo()
    await peer.subscribe(properties=["speed"])
    assert (await feature_of(peer))["properties"] == {"speed": 3}


async def test_a_batch_brings_one_collection_a_change_type(geo: Connect) -> None:
    await apublish("l", [point("a", 1, 1), point("b", 1, 1)])
    peer = geo()
    await peer.subscribe(batch=True)
    snapshot = await peer.next()
    assert {feature["id"] for feature in json.loads(snapshot["geojson"])["features"]} == {"a", "b"}
    assert snapshot["cursor"] is not None
    await apublish("l", [point("a", 2, 2), point("b", 2, 2), point("c", 2, 2)])
    kinds = {}
    for _ in range(2):
        message = await peer.next()
        kinds[message["change_type"]] = [feature["id"] for feature in json.loads(message["geojson"])["features"]]
    assert kinds == {"updated": ["a", "b"], "added": ["c"]}


async def test_a_large_snapshot_is_cut_into_messages_below_a_mebibyte(geo: Connect) -> None:
    await apublish("l", [point(number, 1, 1, text='"\\' * 2000) for number in range(300)])
    peer = geo()
    await peer.subscribe(batch=True)
    sizes, features = [], 0
    while features < 300:
        message = await peer.next()
        sizes.append(len(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()))
        features += len(json.loads(message["geojson"])["features"])
    assert len(sizes) > 1
    assert max(sizes) <= 1024 * 1024


async def test_max_rate_keeps_the_latest(geo: Connect) -> None:
    await apublish("l", point("a", 0, 0))
    peer = geo()
    await peer.subscribe(max_rate=20)
    await peer.next()
    for lon in range(1, 30):
        await apublish("l", point("a", lon, 0))
    seen = []
    while not seen or seen[-1] != 29.0:
        seen.append((await feature_of(peer))["geometry"]["coordinates"][0])
    assert len(seen) < 29


async def test_all_layers_at_once(geo: Connect) -> None:
    await apublish("one", point("a", 1, 1))
    await apublish("two", point("b", 1, 1))
    peer = geo()
    ack = await peer.subscribe(layer=None)
    assert set(ack["cursor"]) == {"one", "two"}
    assert {(await peer.next())["layer"], (await peer.next())["layer"]} == {"one", "two"}


async def test_a_layer_made_later_joins_a_subscription_to_all(geo: Connect) -> None:
    peer = geo()
    await peer.subscribe(layer=None)
    await apublish("new", point("a", 1, 1))
    message = await peer.next()
    assert (message["layer"], message["id"]) == ("new", "a")


async def test_layers_made_at_the_same_time_all_join_a_subscription_to_all(geo: Connect) -> None:
    peer = geo()
    await peer.subscribe(layer=None)
    await asyncio.gather(*(apublish(f"new{number}", point("a", 1, 1)) for number in range(6)))
    assert {(await peer.next())["layer"] for _ in range(6)} == {f"new{number}" for number in range(6)}


async def test_layers_join_and_leave_a_subscription_to_all_with_the_login(geo: Connect) -> None:
    await apublish("secret", point("a", 1, 1))
    await save_layer("secret", public=False)
    peer = geo()
    assert (await peer.subscribe(layer=None))["snapshot_count"] == 0
    await peer.ask(type="authenticate", token=await token_of("boss", is_superuser=True))
    message = await peer.next()
    assert (message["change_type"], message["layer"]) == ("added", "secret")
    await peer.ask(type="authenticate", token=await token_of("guest"))
    message = await peer.next()
    assert (message["change_type"], message["layer"], message["reason"]) == ("deleted", "secret", "left_view")


async def test_a_subscription_ends_when_somebody_logs_in_who_may_not_read_its_layer(geo: Connect) -> None:
    await save_layer("secret", public=False)
    peer = geo()
    await peer.ask(type="authenticate", token=await token_of("boss", is_superuser=True))
    assert (await peer.subscribe(layer="secret"))["success"]
    await peer.ask(type="authenticate", token=await token_of("guest"))
    message = await peer.next()
    assert (message["type"], message["code"], message["request_id"]) == ("error", "forbidden", "s")


async def test_a_deleted_layer_empties(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1))
    peer = geo()
    await peer.subscribe(snapshot=False)
    await delete_layer("l")
    assert await peer.next_change() == ("deleted", "a")


async def test_a_private_layer_needs_a_user(geo: Connect) -> None:
    await save_layer("secret", public=False)
    ack = await geo().subscribe(layer="secret")
    assert (ack["success"], ack["code"]) == (False, "unknown_layer")


async def test_a_layer_that_becomes_private_ends_the_subscription(geo: Connect) -> None:
    await save_layer("l", public=True)
    peer = geo()
    await peer.subscribe()
    await save_layer("l", public=False)
    message = await peer.next()
    assert (message["type"], message["code"], message["request_id"]) == ("error", "forbidden", "s")
    await apublish("l", point("a", 1, 1))
    assert await peer.nothing()


async def test_a_feature_expires(geo: Connect) -> None:
    await save_layer("l", ttl_seconds=1.0)
    await apublish("l", point("a", 1, 1))
    peer = geo()
    await peer.subscribe(snapshot=False)
    message = await peer.next()
    assert (message["change_type"], message["id"], message["reason"]) == ("deleted", "a", "expired")


async def test_unsubscribing_stops_it(geo: Connect) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe()
    assert (await peer.ask(type="unsubscribe", subscription_id="s"))["message"] == "Unsubscribed"
    await apublish("l", point("a", 1, 1))
    assert await peer.nothing()
    assert (await peer.subscribe(snapshot=False))["success"]


async def test_a_circle_is_a_filter_and_moves_with_its_centre(geo: Connect) -> None:
    await apublish("l", [point("a", 8.54, 47.37), point("b", 7.44, 46.95)])
    peer = geo()
    assert (await peer.subscribe(center=[8.5, 47.4], radius_m=10_000))["snapshot_count"] == 1
    assert await peer.next_change() == ("added", "a")
    await apublish("l", [point("a", 8.7, 47.37), point("c", 8.5, 47.45)])
    assert sorted([await peer.next_change(), await peer.next_change()]) == [("added", "c"), ("deleted", "a")]
    assert (await peer.ask(type="update_subscription", subscription_id="s", center=[7.4, 46.9]))["snapshot_count"] == 2
    assert sorted([await peer.next_change(), await peer.next_change()]) == [("added", "b"), ("deleted", "c")]
    assert (await peer.ask(type="update_subscription", subscription_id="s", center=None))["code"] == "invalid_circle"
    assert (await peer.ask(type="update_subscription", subscription_id="s", center=None, radius_m=None))["snapshot_count"] == 2


async def test_subscriptions_are_listed_as_they_were_asked_for(geo: Connect) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe(bbox=[0, 0, 1, 1])
    answer = await peer.ask(type="list_subscriptions", request_id="r")
    listed = answer["subscriptions"][0]
    assert (answer["request_id"], listed["subscription_id"], listed["layer"], listed["bbox"]) == ("r", "s", "l", [0.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"layer": "nowhere"}, "unknown_layer"),
        ({"bbox": [0, 10, 10, 0]}, "invalid_bbox"),
        ({"bbox": [0, 0, 1000, 10]}, "invalid_bbox"),
        ({"geometry": {"type": "Point", "coordinates": [0, 0]}}, "invalid_geometry"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1]]]}}, "invalid_geometry"),
        ({"center": [1, 1]}, "invalid_circle"),
        ({"center": [1, 100], "radius_m": 5}, "invalid_circle"),
        ({"center": [1], "radius_m": 5}, "bad_request"),
        ({"datetime": "yesterday"}, "invalid_datetime"),
        ({"filter": "speed >"}, "invalid_filter"),
        ({"filter": {"op": "=", "args": []}, "filter_lang": "cql2-json"}, "invalid_filter"),
        ({"filter": "a = 1", "filter_lang": "sql"}, "invalid_filter"),
        ({"crs": 999999}, "invalid_crs"),
        ({"cursor": "nonsense"}, "invalid_cursor"),
        ({"cursor": {"l": "e:1"}}, "invalid_cursor"),
        ({"max_rate": -1}, "bad_request"),
        ({"max_rate": "fast"}, "bad_request"),
        ({"bbox": [0, 0, 1]}, "bad_request"),
        ({"id": "x" * 300}, "bad_request"),
        ({"id": "x\0"}, "bad_request"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_code(geo: Connect, request_: dict[str, Any], code: str) -> None:
    await aensure_layer("l")
    ack = await geo().subscribe(**request_)
    assert (ack["type"], ack["success"], ack["code"]) == ("ack", False, code)
    assert ack["message"]


async def test_a_database_that_does_not_answer_is_told_in_the_ack(geo: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("locked")

    peer = await geo().connect()
    monkeypatch.setattr(catalogue, "_read", fail)
    catalogue.clear()
    ack = await peer.subscribe()
    assert (ack["success"], ack["code"]) == (False, "internal")


async def test_a_second_subscription_of_the_same_id_is_refused(geo: Connect) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe()
    assert (await peer.subscribe())["code"] == "duplicate_subscription"


async def test_unknown_subscriptions_are_refused(geo: Connect) -> None:
    peer = geo()
    assert (await peer.ask(type="unsubscribe", subscription_id="x"))["code"] == "unknown_subscription"
    assert (await peer.ask(type="update_subscription", subscription_id="x"))["code"] == "unknown_subscription"


async def test_a_subscription_keeps_its_layer(geo: Connect) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe()
    assert (await peer.ask(type="update_subscription", subscription_id="s", layer="m"))["code"] == "bad_request"


async def test_a_refused_update_changes_nothing(geo: Connect) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe(bbox=[0, 0, 1, 1])
    assert (await peer.ask(type="update_subscription", subscription_id="s", bbox=[5, 5, 4, 4]))["code"] == "invalid_bbox"
    await apublish("l", point("a", 0.5, 0.5))
    assert await peer.next_change() == ("added", "a")


async def test_an_update_of_a_subscription_that_ends_meanwhile_is_refused(
    geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends(request: Any, message: Any) -> Any:
        session: Any = next(iter(runtime.connections.open.values())).session
        session.subscriptions["s"].stop()
        session.forget("s")
        return await updated(request, message)

    await aensure_layer("l")
    peer = geo()
    await peer.subscribe()
    updated = FeatureRequest.updated
    monkeypatch.setattr(FeatureRequest, "updated", ends)
    ack = await peer.ask(type="update_subscription", subscription_id="s", bbox=[0, 0, 1, 1])
    assert (ack["success"], ack["code"]) == (False, "unknown_subscription")
    assert await peer.nothing()


async def test_too_many_subscriptions_are_refused(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_SUBSCRIPTIONS = 1
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe()
    assert (await peer.subscribe(id="t"))["code"] == "too_many_subscriptions"
