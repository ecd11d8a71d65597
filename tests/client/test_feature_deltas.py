"""Features brought up to date by deltas, and what happens to those that do not fit."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from streaming.client import FeatureSubscription
from streaming.dialects.geo.messages import ChangeType, FeatureData, SubscribeFeatures, Unsubscribe
from tests.client.conftest import Scene
from tests.client.scripted import feature


async def patch(scene: Scene, content: Any, cursor: str | None, *, id: Any = None, base: Any, version: Any) -> None:
    text = msgspec.json.encode(content).decode()
    members = {"version": version, "encoding": "merge-patch", "base_version": base}
    await scene.peer.send(FeatureData("s", text, ChangeType.UPDATED, layer="flights", id=id, cursor=cursor, reason=None, **members))


async def subscribed(scene: Scene) -> FeatureSubscription:
    """A subscription that holds 1 (version v1) and 2 (w1)."""
    subscription = await scene.subscribe(delta=True, ack={"cursor": "e:2", "snapshot_count": 2})
    await scene.peer.data("s", "added", feature(1, a=1, b=1), feature(2, a=1), cursor="e:2", version=["v1", "w1"])
    for _ in range(2):
        await anext(subscription)
    return subscription


@pytest.mark.parametrize(("option", "asked"), [({}, None), ({"delta": False}, None), ({"delta": True}, ["merge-patch"])])
async def test_deltas_are_asked_for_by_an_option(scene: Scene, option: dict[str, Any], asked: list[str] | None) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_features("flights", **option))
    request = await scene.peer.expect(SubscribeFeatures)
    await scene.peer.ack(request.subscription_id)
    await subscribing
    assert request.delta == asked


@pytest.mark.parametrize("option", [{"cursor": "e:1"}, {"snapshot": False}])
async def test_who_does_not_hold_everything_asks_for_none(scene: Scene, option: dict[str, Any]) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_features("flights", delta=True, **option))
    request = await scene.peer.expect(SubscribeFeatures)
    await scene.peer.ack(request.subscription_id)
    await subscribing
    assert request.delta is None


async def test_a_delta_changes_what_is_held(scene: Scene) -> None:
    subscription = await subscribed(scene)
    before = subscription.features[1]
    await patch(scene, {"properties": {"a": 2, "b": None}}, "e:3", id=1, base="v1", version="v2")
    await patch(scene, {"properties": {"c": 3}}, "e:4", id=1, base="v2", version="v3")
    seen = [await anext(subscription)]
    while subscription.cursor != "e:4":
        await asyncio.sleep(0)
    assert subscription.features[1] == feature(1, a=2, c=3)
    assert (seen[0].type, before) == ("updated", feature(1, a=1, b=1))


async def test_a_batch_has_several(scene: Scene) -> None:
    subscription = await subscribed(scene)
    changed = [{"id": 2, "properties": {"a": 5}}, {"id": 1, "properties": {"a": 6}}]
    await patch(scene, {"type": "FeatureCollection", "features": changed}, "e:3", base=["w1", "v1"], version=["w2", "v2"])
    assert [(await anext(subscription)).feature for _ in range(2)] == [feature(2, a=5), feature(1, a=6, b=1)]


async def test_one_that_does_not_fit_is_not_applied_and_the_whole_state_comes(scene: Scene) -> None:
    subscription = await subscribed(scene)
    await patch(scene, {"properties": {"a": 9}}, "e:5", id=1, base="other", version="v9")
    await scene.peer.data("s", "updated", feature(2, a=7), cursor="e:6", version="w2")
    await scene.peer.expect(Unsubscribe)
    assert subscription.features == {1: feature(1, a=1, b=1), 2: feature(2, a=1)}
    await scene.peer.ack("s")
    request = await scene.peer.expect(SubscribeFeatures)
    assert (request.cursor, request.delta) == (None, None)
    await scene.peer.ack("s", cursor="e:7", snapshot_count=1)
    await scene.peer.data("s", "added", feature(1, a=10), cursor="e:7")
    changes = [await anext(subscription) for _ in range(2)]
    assert [(change.type, change.id) for change in changes] == [("updated", 1), ("deleted", 2)]
    assert (subscription.features, subscription.cursor) == ({1: feature(1, a=10)}, "e:7")


async def test_versions_outlive_the_connection(scene: Scene) -> None:
    subscription = await subscribed(scene)
    scene.peer.break_off()
    request = await scene.reconnected(cursor="e:2", snapshot_count=0, recovered=True)
    assert (request.cursor, request.delta) == ("e:2", ["merge-patch"])
    await patch(scene, {"properties": {"a": 2}}, "e:3", id=1, base="v1", version="v2")
    assert (await anext(subscription)).feature == feature(1, a=2, b=1)
