"""Layers as clients of Redis read and hear them: in their box, in their CRS, and only what they may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import AnonymousUser, Permission, User
from pytest_django import Settings

from streaming.core.bus import Bus
from streaming.core.errors import StreamError
from streaming.core.items import Item
from streaming.core.redis import sync_redis
from streaming.dialects.redis_commands.delivery import layer_changes
from streaming.dialects.redis_commands.delivery.channels import Channels
from streaming.dialects.redis_commands.delivery.layers import Layers
from streaming.dialects.redis_commands.geojson.client_filters import Filters, Value
from streaming.dialects.redis_commands.geojson.crs import build
from streaming.engine.runtime import Runtime
from streaming.features.layers import catalogue, layer_feed
from streaming.features.publishing import adelete, aensure_layer, apublish
from streaming.models import Layer
from streaming.redis_data.names import readable

from ..clients import Client, until

MERCATOR = build(3857)
NOBODY = AnonymousUser()


@pytest.fixture
async def layers(runtime: Runtime) -> AsyncIterator[Layers]:
    """There is a layer `fleet`, which anybody may read."""
    await aensure_layer("fleet")
    layers = Layers(runtime, Channels(Bus(), readable("pub:*")))
    yield layers
    layers.stop()


@pytest.fixture
def client() -> Client:
    return Client()


def feature(identity: str | int, x: float, y: float = 0.0) -> dict[str, Any]:
    return {"type": "Feature", "id": identity, "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": None}


def gone(identity: str | int, reason: str) -> dict[str, Any]:
    return {"type": "Feature", "id": identity, "geometry": None, "properties": {"deleted": True, "reason": reason}}


async def listening(layers: Layers, client: Client, box: tuple[float, float, float, float] | None = None) -> None:
    if box is not None:
        client.filters.set_box(box)
    await layers.subscribe(client.listener, "fleet")


async def read(layers: Layers, filters: Filters | None = None) -> list[str | int]:
    pages = [page async for page in layers.features("fleet", filters)]
    return [Item("", value, 0).feature["id"] for page in pages for value in page]


async def make_private() -> None:
    await database_sync_to_async(Layer.objects.filter(name="fleet").update)(public=False)
    catalogue.clear()


@database_sync_to_async
def reader() -> User:
    user = User.objects.create_user("reader")
    user.user_permissions.add(Permission.objects.get(codename="view_layer"))
    return user


# -- reading -------------------------------------------------------------------


async def test_what_is_a_layer_and_what_is_not(layers: Layers) -> None:
    assert await layers.has("fleet") and not await layers.has("pub:fleet")


async def test_a_private_layer_is_for_those_who_may_read_it(layers: Layers) -> None:
    assert await layers.readable_by("fleet", NOBODY)
    await make_private()
    assert not await layers.readable_by("fleet", NOBODY)
    assert await layers.readable_by("fleet", await reader())
    assert not await layers.readable_by("no-such-layer", await database_sync_to_async(User.objects.create_superuser)("root"))


async def test_a_feature_is_read_by_its_id_whether_text_or_integer(layers: Layers) -> None:
    await apublish("fleet", [feature("a b", 1), feature(7, 2), feature("8", 3), feature(8, 4)])
    found = {text: await layers.feature("fleet", text) for text in ("a b", "7", '"7"', "8", "none", "")}
    assert {text: value and Item("", value, 0).feature["geometry"]["coordinates"][0] for text, value in found.items()} == {
        "a b": 1,
        "7": 2,
        '"7"': None,
        "8": 3,
        "none": None,
        "": None,
    }


async def test_what_was_just_published_is_read(layers: Layers) -> None:
    for number in range(20):
        await apublish("fleet", feature(number, number))
        assert number in await read(layers)


async def test_no_more_than_the_cap_is_read_and_that_is_counted(layers: Layers, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_VALUES = 1200
    await apublish("fleet", [feature(number, 0) for number in range(1200)])
    assert len(await read(layers)) == 1200 and layers.capped == 0
    await apublish("fleet", feature("one more", 0))
    assert len(await read(layers)) == 1200 and layers.capped == 1


@pytest.mark.parametrize("crs", [4326, 3857])
async def test_features_outside_the_box_do_not_count_against_the_cap(layers: Layers, settings: Settings, crs: int) -> None:
    settings.GEOSTREAM_REDIS_VALUES = 3
    await apublish("fleet", [*(feature(number, 50) for number in range(30)), feature("in", 1), {**feature("nowhere", 0), "geometry": None}])
    filters = Filters()
    if crs == 3857:
        filters.set_box((0, -100_000, 200_000, 100_000), MERCATOR)
    else:
        filters.set_box((0, -1, 2, 1))
    assert sorted(map(str, await read(layers, filters))) == ["in", "nowhere"]


# -- listening -----------------------------------------------------------------


async def test_changes_are_told_from_then_on_under_the_name_of_the_layer(layers: Layers, client: Client) -> None:
    await apublish("fleet", feature("before", 0))
    await layers.subscribe(client.listener, "fleet", "r")
    await apublish("fleet", feature("a", 1))
    await apublish("fleet", feature("a", 2))
    await until(lambda: len(client.told) >= 2)
    assert {(frame["source"], frame["client_reference"]) for frame in client.told} == {("fleet", "r")}
    assert client.contents == [feature("a", 1), feature("a", 2)]


async def test_a_feature_that_leaves_the_box_is_told_to_have_left(layers: Layers, client: Client) -> None:
    await listening(layers, client, (0, -1, 10, 1))
    for x in (50, 5, 6, 50, 51):
        await apublish("fleet", feature("a", x))
    await apublish("fleet", feature("last", 1))
    await until(lambda: client.told and client.contents[-1]["id"] == "last")
    assert client.contents == [feature("a", 5), feature("a", 6), gone("a", "left_view"), feature("last", 1)]


async def test_a_deletion_is_told_to_those_who_saw_the_feature(layers: Layers, client: Client) -> None:
    elsewhere, everywhere = Client(), Client()
    await apublish("fleet", [feature("a", 1), feature(2, 1)])
    await listening(layers, client, (0, -1, 10, 1))
    await listening(layers, elsewhere, (20, -1, 30, 1))
    await listening(layers, everywhere)
    await adelete("fleet", "a", 2)
    await until(lambda: len(client.told) >= 2)
    assert client.contents == everywhere.contents == [gone("a", "deleted"), gone(2, "deleted")]
    assert elsewhere.contents == []


async def test_whoever_has_its_box_beside_a_line_never_saw_it(layers: Layers, client: Client) -> None:
    around = {**feature("a", 0), "geometry": {"type": "LineString", "coordinates": [[0, 0], [10, 0], [10, 10]]}}
    await apublish("fleet", around)
    await listening(layers, client, (1, 5, 2, 6))
    await adelete("fleet", "a")
    await apublish("fleet", feature("last", 1.5, 5.5))
    await until(lambda: client.told)
    assert client.contents == [feature("last", 1.5, 5.5)]


async def test_a_feature_that_expires_is_told_so(layers: Layers, client: Client) -> None:
    await database_sync_to_async(Layer.objects.filter(name="fleet").update)(ttl_seconds=0.01)
    catalogue.clear()
    feed = layer_feed(await catalogue.get("fleet"))
    await apublish("fleet", feature("a", 1))
    await listening(layers, client)
    async with asyncio.timeout(5):
        while not await feed.expire() and not client.told:
            await asyncio.sleep(0.005)
    await until(lambda: client.told and client.contents[-1] == gone("a", "expired"))


async def test_a_listener_is_told_in_its_own_crs_and_those_who_share_it_share_the_bytes(layers: Layers) -> None:
    clients = [Client() for _ in range(6)]
    for number, one in enumerate(clients):
        if number % 2:
            one.filters.set_projection(MERCATOR)
        await listening(layers, one)
    await apublish("fleet", feature("a", 1))
    await adelete("fleet", "a")
    await until(lambda: all(len(one.told) == 2 for one in clients))
    assert clients[1].contents[0]["geometry"]["coordinates"] == pytest.approx([111319.49, 0], abs=0.01)
    assert [clients[n].contents[1] for n in (0, 1)] == [gone("a", "deleted")] * 2
    assert [len({id(one.sender.told[0]) for one in clients[first::2]}) for first in (0, 1)] == [1, 1]


async def test_a_box_that_moves_takes_its_listener_along(layers: Layers, client: Client) -> None:
    channels = layers._channels
    await listening(layers, client, (0, -1, 1, 1))
    client.filters.set_box((50, -1, 51, 1))
    channels.moved(client.listener)
    await apublish("fleet", feature("old", 0.5))
    await apublish("fleet", feature("new", 50.5))
    await until(lambda: client.told)
    assert client.contents == [feature("new", 50.5)]


async def test_the_old_version_is_not_looked_at_when_nobody_has_a_box(
    layers: Layers, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []
    monkeypatch.setattr(layer_changes, "Value", lambda text: made.append(text) or Value(text))
    await listening(layers, client)
    for x in range(3):
        await apublish("fleet", feature("a", x))
    await until(lambda: len(client.told) == 3)
    assert len(made) == 3


async def test_what_changed_while_it_could_not_be_followed_is_told(layers: Layers, client: Client) -> None:
    await apublish("fleet", [feature("kept", 1), feature("moved", 2), feature("lost", 3)])
    await listening(layers, client, (0, -1, 10, 1))
    feed = layer_feed(await catalogue.get("fleet"))
    sync_redis().delete(*feed.keys)
    await apublish("fleet", [feature("kept", 1), feature("moved", 4), feature("new", 5)])
    hub = layers._runtime.hub
    await hub.refresh(await hub.replica(feed))
    by_id = {content["id"]: content for content in client.contents}
    assert by_id == {"moved": feature("moved", 4), "new": feature("new", 5), "lost": gone("lost", "deleted")}


async def test_many_changes_are_told_in_order_and_others_have_their_turn(
    layers: Layers, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_changes, "SLICE", 7)
    await listening(layers, client)
    await apublish("fleet", [feature(number, 0) for number in range(100)])
    await until(lambda: len(client.told) == 100)
    assert [content["id"] for content in client.contents] == list(range(100))
    assert len(client.sender.writes) >= 100 / 7


# -- coming and going ----------------------------------------------------------


async def test_a_layer_is_followed_once_and_only_as_long_as_somebody_listens(layers: Layers, client: Client) -> None:
    other = Client()
    replica = await layers._runtime.hub.replica(layer_feed(await catalogue.get("fleet")))
    await listening(layers, client)
    await listening(layers, other)
    assert len(replica.observers) == 1
    layers.clear(client.listener)
    assert len(replica.observers) == 1 and client.listener.layers == {}
    layers.unsubscribe(other.listener, "fleet")
    layers.unsubscribe(other.listener, "fleet")
    assert not replica.observers and replica.idle


async def test_whoever_unsubscribed_hears_nothing(layers: Layers, client: Client) -> None:
    other = Client()
    await listening(layers, client)
    await listening(layers, other)
    layers.unsubscribe(client.listener, "fleet")
    await apublish("fleet", feature("a", 1))
    await until(lambda: other.told)
    assert client.told == []


async def test_subscribing_again_gives_another_reference_and_tells_once(layers: Layers, client: Client) -> None:
    await layers.subscribe(client.listener, "fleet", "one")
    await layers.subscribe(client.listener, "fleet", "two")
    await apublish("fleet", feature("a", 1))
    await apublish("fleet", feature("b", 1))
    await until(lambda: len(client.told) >= 2)
    assert [(frame["content"]["id"], frame["client_reference"]) for frame in client.told] == [("a", "two"), ("b", "two")]


async def test_a_client_that_leaves_while_it_subscribes_is_not_followed(layers: Layers, client: Client) -> None:
    subscribing = asyncio.create_task(layers.subscribe(client.listener, "fleet"))
    while not client.listener.layers:
        await asyncio.sleep(0)
    assert not subscribing.done() and not client.listener.audiences
    layers.clear(client.listener)
    await subscribing
    replica = await layers._runtime.hub.replica(layer_feed(await catalogue.get("fleet")))
    assert client.listener.layers == {} and client.listener.audiences == {} and not replica.observers


async def test_layers_count_with_the_channels(layers: Layers, client: Client, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_SUBSCRIPTIONS = 2
    layers._channels.subscribe(client.listener, "pub:a")
    await listening(layers, client)
    await listening(layers, client)
    with pytest.raises(StreamError, match="may have 2") as refused:
        layers._channels.subscribe(client.listener, "pub:b")
    assert refused.value.code == "too_many_subscriptions"


async def test_a_layer_that_is_not_there_is_refused(layers: Layers, client: Client) -> None:
    with pytest.raises(StreamError) as refused:
        await layers.subscribe(client.listener, "no-such-layer")
    assert refused.value.code == "unknown_layer" and client.listener.layers == {}


async def test_whoever_may_not_read_a_layer_any_more_hears_nothing_of_it(layers: Layers, client: Client) -> None:
    staff = Client()
    await listening(layers, client)
    await listening(layers, staff)
    await make_private()
    layers.review(client.listener, NOBODY)
    layers.review(staff.listener, await reader())
    await until(lambda: not client.listener.layers)
    await apublish("fleet", feature("a", 1))
    await until(lambda: staff.told)
    assert client.told == []


async def test_what_a_client_listens_to_and_wants_to_see_counts_its_revision(layers: Layers, client: Client) -> None:
    seen = [client.listener.revision]
    await listening(layers, client)
    seen.append(client.listener.revision)
    client.filters.set_projection(MERCATOR)
    layers._channels.moved(client.listener)
    seen.append(client.listener.revision)
    layers.unsubscribe(client.listener, "fleet")
    seen.append(client.listener.revision)
    assert sorted(set(seen)) == seen


def test_filters_describe_themselves_in_json() -> None:
    filters = Filters()
    assert filters.described() == {}
    filters.set_box((0, 1, float("inf"), 2))
    filters.trim = True
    assert filters.described() == {"bbox": [0, 1, "inf", 2], "trim": True}
    filters.set_projection(MERCATOR)
    filters.set_box((0, 1, 2, 3), MERCATOR)
    assert filters.described() == {"bbox": [0, 1, 2, 3], "bbox_crs": 3857, "crs": 3857, "trim": True}
