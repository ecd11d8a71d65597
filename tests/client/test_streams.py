"""Several subscriptions read as one stream."""

from __future__ import annotations

import asyncio

import pytest

from streaming.client import Event, FeatureChange, Tile
from streaming.dialects.geo.messages import SubscribeEvents
from tests.client.conftest import Scene
from tests.client.scripted import feature
from tests.client.tile_scene import A
from tests.client.tile_scene import subscribe as subscribe_tiles


async def subscribe_both(scene: Scene) -> None:
    await scene.subscribe()
    subscribing = asyncio.create_task(scene.client.subscribe_events(["custom"], subscription_id="e"))
    await scene.peer.expect(SubscribeEvents)
    await scene.peer.ack("e", cursor="e:0", snapshot_count=0)
    await subscribing


async def test_each_stream_gives_what_is_of_its_kind(scene: Scene) -> None:
    await subscribe_both(scene)
    await scene.peer.event("e", "hello", "e:1")
    await scene.peer.data("s", "added", feature("a"), cursor="e:1")
    assert (await anext(scene.client.feature_stream())).id == "a"
    assert (await anext(scene.client.event_stream())).payload == "hello"


async def test_tiles_are_a_stream_too_and_part_of_all_messages(scene: Scene) -> None:
    await subscribe_both(scene)
    await subscribe_tiles(scene)
    await scene.peer.tile("t", A, b"mountains", "v1")
    assert (await anext(scene.client.tile_stream())).data == b"mountains"
    await scene.peer.tile("t", A, b"hills", "v2")
    assert isinstance(await anext(scene.client.message_stream()), Tile)


async def test_the_message_stream_gives_both_and_ends_with_the_client(scene: Scene) -> None:
    await subscribe_both(scene)
    await scene.peer.event("e", "hello", "e:1")
    await scene.peer.data("s", "added", feature("a"), cursor="e:1")
    stream = scene.client.message_stream()
    assert {type(await anext(stream)), type(await anext(stream))} == {FeatureChange, Event}
    await scene.client.close()
    assert [one async for one in stream] == []


async def test_a_stream_goes_on_after_a_time_out_and_loses_nothing(scene: Scene) -> None:
    await subscribe_both(scene)
    features, events = scene.client.feature_stream(), scene.client.event_stream()
    for stream in (features, events):
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.01)
    await scene.peer.event("e", "hello", "e:1")
    await scene.peer.data("s", "added", feature("a"), cursor="e:1")
    await scene.peer.data("s", "added", feature("b"), cursor="e:2")
    assert [(await anext(features)).id for _ in range(2)] == ["a", "b"]
    assert (await anext(events)).payload == "hello"
