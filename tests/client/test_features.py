"""Feature subscriptions on one connection."""

from __future__ import annotations

import asyncio

import pytest

from streaming.client import RequestRefused, RequestTimedOut
from streaming.dialects.geo.messages import Aggregate, Error, SubscribeFeatures, Unsubscribe, UpdateSubscription
from tests.client.conftest import MakeClient, Scene
from tests.client.scripted import ScriptedServer, feature, gone


async def test_the_request_has_what_was_asked_for(scene: Scene) -> None:
    subscribing = asyncio.create_task(
        scene.client.subscribe_features("flights", bbox=(5.9, 45.8, 10.5, 47.8), filter="altitude_ft > 30000", filters={"squawk": "7700"})
    )
    request = await scene.peer.expect(SubscribeFeatures)
    await scene.peer.ack(request.subscription_id)
    subscription = await subscribing
    assert request == SubscribeFeatures(
        subscription_id=subscription.id,
        layer="flights",
        bbox=(5.9, 45.8, 10.5, 47.8),
        filters=[("squawk", "7700")],
        filter="altitude_ft > 30000",
        filter_lang="cql2-text",
        batch=True,
    )


async def test_an_aggregate_is_asked_for_and_its_answer_kept(scene: Scene) -> None:
    cells = {"cursor": "e:0", "snapshot_count": 0, "aggregate": Aggregate("h3", 4, properties=["speed"]), "matched": 1234}
    subscription = await scene.subscribe(ack=cells, aggregate={"by": "h3", "zoom": 7.5, "properties": ["speed"]})
    assert (subscription.matched, subscription.resolution) == (1234, 4)
    updating = asyncio.create_task(subscription.update(aggregate={"by": "grid", "resolution": 9}))
    assert (await scene.peer.expect(UpdateSubscription)).aggregate == Aggregate("grid", 9)
    await scene.peer.ack("s", cursor="e:0", snapshot_count=0, aggregate=Aggregate("grid", 9), matched=7)
    await updating
    assert (subscription.matched, subscription.resolution) == (7, 9)
    scene.peer.break_off()
    assert (await scene.reconnected(cursor="e:0", snapshot_count=0)).aggregate == Aggregate("grid", 9)


async def test_a_snapshot_and_what_follows_is_yielded_and_kept(scene: Scene) -> None:
    subscription = await scene.subscribe(ack={"cursor": "e:2", "snapshot_count": 2})
    await scene.peer.data("s", "added", feature(7, v=1), feature("7", v=2), cursor="e:2")
    seen = [await anext(subscription) for _ in range(2)]
    assert [(change.type, change.id) for change in seen] == [("added", 7), ("added", "7")]
    await scene.peer.data("s", "updated", feature(7, v=3), cursor="e:3")
    await scene.peer.data("s", "deleted", gone("7"), cursor="e:4", reason="left_view")
    updated, deleted = await anext(subscription), await anext(subscription)
    assert (updated.type, updated.id, updated.layer, updated.cursor) == ("updated", 7, "flights", "e:3")
    assert (deleted.type, deleted.id, deleted.reason, deleted.feature["geometry"]) == ("deleted", "7", "left_view", None)
    assert subscription.features == {7: feature(7, v=3)}


async def test_only_the_last_change_of_a_message_carries_its_cursor(scene: Scene) -> None:
    subscription = await scene.subscribe(ack={"cursor": "e:2", "snapshot_count": 2})
    await scene.peer.data("s", "added", feature(1), feature(2), cursor="e:2")
    assert [(await anext(subscription)).cursor for _ in range(2)] == [None, "e:2"]


async def test_a_subscription_to_every_layer_tells_layers_apart(scene: Scene) -> None:
    subscription = await scene.subscribe(None)
    await scene.peer.data("s", "added", feature(1, v="a"), cursor="a:1", layer="ships")
    await scene.peer.data("s", "added", feature(1, v="b"), cursor="b:1", layer="flights")
    assert {(await anext(subscription)).layer for _ in range(2)} == {"ships", "flights"}
    assert set(subscription.features) == {("ships", 1), ("flights", 1)}


async def test_a_slow_reader_sees_the_latest_state_once(scene: Scene) -> None:
    subscription = await scene.subscribe()
    for version in range(1, 200):
        await scene.peer.data("s", "added" if version == 1 else "updated", feature(1, v=version), cursor=f"e:{version}")
    await scene.peer.data("s", "added", feature(2), cursor="e:200")
    await scene.peer.data("s", "added", feature(3), cursor="e:201")
    await scene.peer.data("s", "deleted", gone(2), cursor="e:202")
    await scene.peer.data("s", "added", feature("end"), cursor="e:203")
    while "end" not in subscription.features:
        await asyncio.sleep(0)
    seen = [await anext(subscription) for _ in range(3)]
    assert [(change.type, change.id) for change in seen] == [("added", 1), ("added", 3), ("added", "end")]
    assert seen[0].feature["properties"] == {"v": 199}
    assert seen[0].cursor == "e:1"


async def test_a_refusal_has_code_and_message(scene: Scene) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_features("secret"))
    request = await scene.peer.expect(SubscribeFeatures)
    await scene.peer.refuse(request.subscription_id, "forbidden")
    with pytest.raises(RequestRefused) as refused:
        await subscribing
    assert (refused.value.code, refused.value.message, refused.value.retry) == ("forbidden", "no: forbidden", False)
    assert scene.client.subscriptions == {}


async def test_what_cannot_be_right_is_refused_without_asking(scene: Scene) -> None:
    with pytest.raises(RequestRefused, match=r"bad_request.*bbox"):
        await scene.client.subscribe_features("flights", bbox=(1, 2, 3))


async def test_an_id_in_use_is_refused(scene: Scene) -> None:
    await scene.subscribe()
    with pytest.raises(RequestRefused, match="duplicate_subscription"):
        await scene.client.subscribe_features("flights", subscription_id="s")


async def test_an_update_sends_only_what_changes(scene: Scene) -> None:
    subscription = await scene.subscribe(bbox=(0, 0, 10, 10), filter="a = 1")
    updating = asyncio.create_task(subscription.update(bbox=(5, 5, 15, 15), filter=None))
    request = await scene.peer.expect(UpdateSubscription)
    assert request == UpdateSubscription("s", bbox=(5, 5, 15, 15), filter=None, filter_lang=None)
    await scene.peer.ack("s", cursor="e:9", snapshot_count=1)
    await updating
    await scene.peer.data("s", "added", feature(1), cursor="e:9")
    assert (await anext(subscription)).type == "added"


async def test_the_cursor_is_forgotten_from_an_update_until_its_difference_is_there(scene: Scene) -> None:
    subscription = await scene.subscribe()
    assert subscription.cursor == "e:0"
    updating = asyncio.create_task(subscription.update(bbox=(5, 5, 15, 15)))
    await scene.peer.expect(UpdateSubscription)
    await scene.peer.data("s", "added", feature(1), cursor="e:8")
    await anext(subscription)
    assert subscription.cursor is None
    await scene.peer.ack("s", cursor="e:9", snapshot_count=2)
    await updating
    assert subscription.cursor is None
    await scene.peer.data("s", "deleted", gone(1), cursor=None, reason="left_view")
    await anext(subscription)
    assert subscription.cursor is None
    await scene.peer.data("s", "added", feature(2), cursor="e:9")
    await anext(subscription)
    assert subscription.cursor == "e:9"


async def test_a_refused_update_leaves_the_subscription_as_it_was(scene: Scene) -> None:
    subscription = await scene.subscribe(filter="a = 1")
    updating = asyncio.create_task(subscription.update(filter="("))
    await scene.peer.expect(UpdateSubscription)
    await scene.peer.refuse("s", "invalid_filter")
    with pytest.raises(RequestRefused, match="invalid_filter"):
        await updating
    await scene.peer.close(1012)
    assert (await scene.reconnected(cursor="e:1", snapshot_count=0)).filter == "a = 1"


async def test_unsubscribe_tells_the_server_and_ends_the_iterator(scene: Scene) -> None:
    subscription = await scene.subscribe()
    unsubscribing = asyncio.create_task(subscription.unsubscribe())
    await scene.peer.expect(Unsubscribe)
    await scene.peer.ack("s")
    await unsubscribing
    assert [change async for change in subscription] == []
    assert scene.client.subscriptions == {}


async def test_a_reader_that_waits_is_woken_by_unsubscribe(scene: Scene) -> None:
    subscription = await scene.subscribe()
    reading = asyncio.create_task(anext(subscription, "ended"))
    await asyncio.sleep(0)
    unsubscribing = asyncio.create_task(scene.client.unsubscribe("s"))
    await scene.peer.expect(Unsubscribe)
    await scene.peer.ack("s")
    await unsubscribing
    assert await reading == "ended"


async def test_a_cancelled_subscribe_is_taken_back(scene: Scene) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_features("flights", subscription_id="s"))
    await scene.peer.expect(SubscribeFeatures)
    subscribing.cancel()
    await asyncio.wait([subscribing])
    await scene.peer.ack("s", cursor="e:0", snapshot_count=0)
    assert (await scene.peer.expect(Unsubscribe)).subscription_id == "s"
    assert scene.client.subscriptions == {}


async def test_a_server_that_does_not_answer_is_not_waited_for_long(server: ScriptedServer, make_client: MakeClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        accepted = tasks.create_task(server.peer())
        async with make_client(message_timeout=0.01) as client:
            await accepted
            with pytest.raises(RequestTimedOut):
                await client.subscribe_features("flights")


async def test_a_subscription_the_server_ends_says_why(scene: Scene) -> None:
    subscription = await scene.subscribe()
    await scene.peer.send(Error("forbidden", "no longer public", "s"))
    with pytest.raises(RequestRefused, match="no longer public"):
        await anext(subscription)
    assert scene.client.subscriptions == {}
