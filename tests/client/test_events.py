"""Event subscriptions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from streaming.client import Event, EventSubscription
from streaming.dialects.geo.messages import EventType, SubscribeEvents
from tests.client.conftest import MakeClient, Scene
from tests.client.scripted import Peer, ScriptedServer

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


async def subscribe(scene: Scene, **options: Any) -> EventSubscription:
    task = asyncio.create_task(scene.client.subscribe_events(["custom", "progress"], subscription_id="s", **options))
    await accept(scene.peer)
    return await task


async def accept(peer: Peer, **members: Any) -> SubscribeEvents:
    request = await peer.expect(SubscribeEvents)
    await peer.ack("s", **{"cursor": "e:0", "snapshot_count": 0, **members})
    return request


async def test_the_request_has_what_was_asked_for(scene: Scene) -> None:
    task = asyncio.create_task(scene.client.subscribe_events(["custom"], subscription_id="s", filter={"op": "isNull", "args": []}))
    request = await accept(scene.peer)
    await task
    assert request.event_types == [EventType.CUSTOM]
    assert (request.filter, request.filter_lang) == ({"op": "isNull", "args": []}, "cql2-json")


async def test_an_event_is_yielded_with_its_gap(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.event("s", {"a": [1, None]}, "e:5", gap=4)
    assert await anext(subscription) == Event("custom", {"a": [1, None]}, WHEN, "e:5", 4)


async def test_it_resumes_after_the_last_event(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.event("s", 1, "e:5")
    await anext(subscription)
    scene.peer.break_off()
    scene.peer = await scene.server.peer()
    assert (await accept(scene.peer, cursor="e:6", snapshot_count=1, recovered=True)).cursor == "e:5"
    await scene.peer.event("s", 2, "e:6")
    assert (await anext(subscription)).payload == 2
    assert (subscription.recovered, subscription.cursor) == (True, "e:6")


async def test_a_break_within_a_replay_loses_nothing(scene: Scene) -> None:
    await subscribe(scene)
    scene.peer.break_off()
    await accept(await scene.server.peer(), cursor="e:9", snapshot_count=9, recovered=True)
    assert scene.client.subscriptions["s"].cursor == "e:0"


async def test_a_slow_reader_is_told_how_many_events_it_missed(server: ScriptedServer, make_client: MakeClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        accepted = tasks.create_task(server.peer())
        async with make_client(max_waiting_events=2) as client:
            scene = Scene(client, await accepted, server)
            subscription = await subscribe(scene)
            for number in range(1, 6):
                await scene.peer.event("s", number, f"e:{number}", gap=7 if number == 2 else None)
            while subscription.cursor != "e:5":
                await asyncio.sleep(0)
            events = [await anext(subscription) for _ in range(2)]
    assert [(event.payload, event.gap) for event in events] == [(4, 10), (5, 0)]
