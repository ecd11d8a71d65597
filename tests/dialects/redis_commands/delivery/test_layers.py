"""Subscriptions to layers: in the client's box, in its CRS, and only what it may read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from pytest_django import Settings

from streaming.core.bus import Bus
from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.dialects.redis_commands.delivery import dispatcher, layer_changes
from streaming.dialects.redis_commands.delivery.channels import ChannelSubscriptions
from streaming.dialects.redis_commands.delivery.dispatcher import Dispatcher
from streaming.dialects.redis_commands.delivery.layers import LayerSubscriptions
from streaming.dialects.redis_commands.geojson.client_filters import ClientFilters
from streaming.dialects.redis_commands.geojson.crs import build
from streaming.dialects.redis_commands.geojson.values import Value
from streaming.engine.runtime import Runtime
from streaming.engine.work import WorkQueue
from streaming.features.layers import catalogue, layer_feed
from streaming.features.publishing import adelete, aensure_layer, apublish
from streaming.models import Layer
from streaming.redis_data.names import readable_names

from ..clients import Client, until
from ..layer_scene import ANONYMOUS, feature, make_private, reader

MERCATOR = build(3857)


@pytest.fixture
async def layers(runtime: Runtime) -> AsyncIterator[LayerSubscriptions]:
    """There is a layer `fleet`, which anybody may read."""
    await aensure_layer("fleet")
    layers = LayerSubscriptions(runtime.hub, ChannelSubscriptions(Bus(), readable_names("pub:*"), Dispatcher(runtime.service(WorkQueue))))
    yield layers
    layers.stop()


@pytest.fixture
def client() -> Client:
    return Client()


def gone(identity: str | int, reason: str) -> dict[str, Any]:
    return {"type": "Feature", "id": identity, "geometry": None, "properties": {"deleted": True, "reason": reason}}


async def subscribed(layers: LayerSubscriptions, client: Client, box: tuple[float, float, float, float] | None = None) -> None:
    if box is not None:
        client.filters.set_box(box)
    await layers.subscribe(client.subscriber, "fleet")


async def test_changes_are_sent_from_then_on_under_the_name_of_the_layer(layers: LayerSubscriptions, client: Client) -> None:
    await apublish("fleet", feature("before", 0))
    await layers.subscribe(client.subscriber, "fleet", "r")
    await apublish("fleet", feature("a", 1))
    await apublish("fleet", feature("a", 2))
    await until(lambda: len(client.received) >= 2)
    assert {(frame["source"], frame["client_reference"]) for frame in client.received} == {("fleet", "r")}
    assert client.contents == [feature("a", 1), feature("a", 2)]


async def test_a_feature_that_leaves_the_box_is_sent_as_deleted(layers: LayerSubscriptions, client: Client) -> None:
    await subscribed(layers, client, (0, -1, 10, 1))
    for x in (50, 5, 6, 50, 51):
        await apublish("fleet", feature("a", x))
    await apublish("fleet", feature("last", 1))
    await until(lambda: client.received and client.contents[-1]["id"] == "last")
    assert client.contents == [feature("a", 5), feature("a", 6), gone("a", "left_view"), feature("last", 1)]


async def test_a_deletion_is_sent_to_clients_that_saw_the_feature(layers: LayerSubscriptions, client: Client) -> None:
    elsewhere, everywhere = Client(), Client()
    await apublish("fleet", [feature("a", 1), feature(2, 1)])
    await subscribed(layers, client, (0, -1, 10, 1))
    await subscribed(layers, elsewhere, (20, -1, 30, 1))
    await subscribed(layers, everywhere)
    await adelete("fleet", "a", 2)
    await until(lambda: len(client.received) >= 2)
    assert client.contents == everywhere.contents == [gone("a", "deleted"), gone(2, "deleted")]
    assert elsewhere.contents == []


async def test_a_client_whose_box_is_beside_a_line_never_saw_it(layers: LayerSubscriptions, client: Client) -> None:
    around = {**feature("a", 0), "geometry": {"type": "LineString", "coordinates": [[0, 0], [10, 0], [10, 10]]}}
    await apublish("fleet", around)
    await subscribed(layers, client, (1, 5, 2, 6))
    await adelete("fleet", "a")
    await apublish("fleet", feature("last", 1.5, 5.5))
    await until(lambda: client.received)
    assert client.contents == [feature("last", 1.5, 5.5)]


async def test_a_feature_that_expires_is_sent_as_expired(layers: LayerSubscriptions, client: Client) -> None:
    await database_sync_to_async(Layer.objects.filter(name="fleet").update)(ttl_seconds=0.01)
    catalogue.clear()
    feed = layer_feed(await catalogue.get("fleet"))
    await apublish("fleet", feature("a", 1))
    await subscribed(layers, client)
    async with asyncio.timeout(5):
        while not await feed.expire() and not client.received:
            await asyncio.sleep(0.005)
    await until(lambda: client.received and client.contents[-1] == gone("a", "expired"))


async def test_each_client_is_sent_its_own_crs_and_equal_ones_share_the_bytes(layers: LayerSubscriptions) -> None:
    clients = [Client() for _ in range(6)]
    for number, one in enumerate(clients):
        if number % 2:
            one.filters.set_projection(MERCATOR)
        await subscribed(layers, one)
    await apublish("fleet", feature("a", 1))
    await adelete("fleet", "a")
    await until(lambda: all(len(one.received) == 2 for one in clients))
    assert clients[1].contents[0]["geometry"]["coordinates"] == pytest.approx([111319.49, 0], abs=0.01)
    assert [clients[n].contents[1] for n in (0, 1)] == [gone("a", "deleted")] * 2
    assert [len({id(one.sender.told[0]) for one in clients[first::2]}) for first in (0, 1)] == [1, 1]


async def test_a_subscriber_is_found_by_its_new_box(layers: LayerSubscriptions, client: Client) -> None:
    await subscribed(layers, client, (0, -1, 1, 1))
    client.filters.set_box((50, -1, 51, 1))
    client.subscriber.filters_changed()
    await apublish("fleet", feature("old", 0.5))
    await apublish("fleet", feature("new", 50.5))
    await until(lambda: client.received)
    assert client.contents == [feature("new", 50.5)]


async def test_the_old_version_is_not_parsed_when_no_client_has_a_box(
    layers: LayerSubscriptions, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []
    monkeypatch.setattr(layer_changes, "Value", lambda text: made.append(text) or Value(text))
    await subscribed(layers, client)
    for x in range(3):
        await apublish("fleet", feature("a", x))
    await until(lambda: len(client.received) == 3)
    assert len(made) == 3


async def test_what_changed_while_changes_were_missed_is_sent(layers: LayerSubscriptions, client: Client) -> None:
    await apublish("fleet", [feature("kept", 1), feature("moved", 2), feature("lost", 3)])
    await subscribed(layers, client, (0, -1, 10, 1))
    feed = layer_feed(await catalogue.get("fleet"))
    sync_redis().delete(*feed.keys)
    await apublish("fleet", [feature("kept", 1), feature("moved", 4), feature("new", 5)])
    hub = layers._hub
    await hub.refresh(await hub.replica(feed))
    await until(lambda: len(client.received) == 3)
    by_id = {content["id"]: content for content in client.contents}
    assert by_id == {"moved": feature("moved", 4), "new": feature("new", 5), "lost": gone("lost", "deleted")}


async def test_much_that_was_missed_is_sent_some_at_a_time_and_what_comes_meanwhile_behind_it(
    layers: LayerSubscriptions, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_changes, "SOME", 3)
    await subscribed(layers, client)
    feed = layer_feed(await catalogue.get("fleet"))
    hub = layers._hub
    replica = await hub.replica(feed)
    with monkeypatch.context() as deaf:
        deaf.setattr(hub._doorbells, "_heard", lambda feed, ring: None)
        async with hub._pulling:
            await apublish("fleet", [feature(number, 1) for number in range(20)])
            sync_redis().xtrim(feed.log_key, 1, approximate=False)
        await hub.refresh(replica)
    await apublish("fleet", feature(0, 2))
    await until(lambda: len(client.received) == 21)
    assert len(client.sender.writes) > 20 / 3
    assert sorted(client.contents[:20], key=lambda each: each["id"]) == [feature(number, 1) for number in range(20)]
    assert client.contents[20] == feature(0, 2)


async def test_many_changes_are_sent_in_order_and_others_have_their_turn(
    layers: LayerSubscriptions, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "BATCH", 7)
    monkeypatch.setattr(dispatcher, "TURN_SECONDS", 0.0)
    await subscribed(layers, client)
    await apublish("fleet", [feature(number, 0) for number in range(100)])
    await until(lambda: len(client.received) == 100)
    assert [content["id"] for content in client.contents] == list(range(100))
    assert len(client.sender.writes) >= 100 / 7


# -- coming and going ----------------------------------------------------------


async def test_a_layer_has_one_observer_and_only_while_it_has_subscribers(layers: LayerSubscriptions, client: Client) -> None:
    other = Client()
    replica = await layers._hub.replica(layer_feed(await catalogue.get("fleet")))
    await subscribed(layers, client)
    await subscribed(layers, other)
    assert len(replica.observers) == 1
    layers.clear(client.subscriber)
    assert len(replica.observers) == 1 and client.subscriber.layers == {}
    layers.unsubscribe(other.subscriber, "fleet")
    layers.unsubscribe(other.subscriber, "fleet")
    assert not replica.observers and replica.idle


async def test_a_client_that_unsubscribed_is_sent_nothing(layers: LayerSubscriptions, client: Client) -> None:
    other = Client()
    await subscribed(layers, client)
    await subscribed(layers, other)
    layers.unsubscribe(client.subscriber, "fleet")
    await apublish("fleet", feature("a", 1))
    await until(lambda: other.received)
    assert client.received == []


async def test_subscribing_again_gives_another_reference_and_sends_once(layers: LayerSubscriptions, client: Client) -> None:
    await layers.subscribe(client.subscriber, "fleet", "one")
    await layers.subscribe(client.subscriber, "fleet", "two")
    await apublish("fleet", feature("a", 1))
    await apublish("fleet", feature("b", 1))
    await until(lambda: len(client.received) >= 2)
    assert [(frame["content"]["id"], frame["client_reference"]) for frame in client.received] == [("a", "two"), ("b", "two")]


async def test_a_client_that_leaves_while_it_subscribes_leaves_no_observer(layers: LayerSubscriptions, client: Client) -> None:
    subscribing = asyncio.create_task(layers.subscribe(client.subscriber, "fleet"))
    while not client.subscriber.layers:
        await asyncio.sleep(0)
    assert not subscribing.done() and not client.subscriber.indexes
    layers.clear(client.subscriber)
    await subscribing
    replica = await layers._hub.replica(layer_feed(await catalogue.get("fleet")))
    assert client.subscriber.layers == {} and client.subscriber.indexes == {} and not replica.observers


async def test_layers_count_with_the_channels(layers: LayerSubscriptions, client: Client, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_SUBSCRIPTIONS = 2
    layers._channels.subscribe(client.subscriber, "pub:a")
    await subscribed(layers, client)
    await subscribed(layers, client)
    with pytest.raises(StreamError, match="may have 2") as refused:
        layers._channels.subscribe(client.subscriber, "pub:b")
    assert refused.value.code == "too_many_subscriptions"


async def test_a_layer_that_is_not_there_is_refused(layers: LayerSubscriptions, client: Client) -> None:
    with pytest.raises(StreamError) as refused:
        await layers.subscribe(client.subscriber, "no-such-layer")
    assert refused.value.code == "unknown_layer" and client.subscriber.layers == {}


async def test_a_client_that_may_not_read_a_layer_any_more_is_sent_nothing_of_it(layers: LayerSubscriptions, client: Client) -> None:
    staff = Client()
    await subscribed(layers, client)
    await subscribed(layers, staff)
    await make_private()
    layers.review(client.subscriber, ANONYMOUS)
    layers.review(staff.subscriber, await reader())
    await until(lambda: not client.subscriber.layers)
    await apublish("fleet", feature("a", 1))
    await until(lambda: staff.received)
    assert client.received == []


async def test_subscriptions_and_filters_count_in_the_revision(layers: LayerSubscriptions, client: Client) -> None:
    seen = [client.subscriber.revision]
    await subscribed(layers, client)
    seen.append(client.subscriber.revision)
    client.filters.set_projection(MERCATOR)
    client.subscriber.filters_changed()
    seen.append(client.subscriber.revision)
    layers.unsubscribe(client.subscriber, "fleet")
    seen.append(client.subscriber.revision)
    assert sorted(set(seen)) == seen


def test_filters_describe_themselves_in_json() -> None:
    filters = ClientFilters()
    assert filters.describe() == {}
    filters.set_box((0, 1, float("inf"), 2))
    filters.trim = True
    assert filters.describe() == {"bbox": [0, 1, "inf", 2], "trim": True}
    filters.set_projection(MERCATOR)
    filters.set_box((0, 1, 2, 3), MERCATOR)
    assert filters.describe() == {"bbox": [0, 1, 2, 3], "bbox_crs": 3857, "crs": 3857, "trim": True}
