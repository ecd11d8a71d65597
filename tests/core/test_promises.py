"""Promises that a session must not make, on the world of the property test."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from .test_property_views import Client, World, clock, loop

__all__ = ["clock", "loop"]


def told(client: Client) -> list[dict[str, Any]]:
    frames, client.socket.on_its_way = client.socket.on_its_way, []
    return [json.loads(frame) for frame in frames]


# Found a bug: `FeatureSubscription.start` parses the second layer's cursor after it has joined the first layer's replica.
def test_a_refused_subscription_to_every_layer_is_told_nothing(loop: asyncio.Runner, clock: SimpleNamespace) -> None:
    """A malformed cursor of one layer is refused before another layer has been joined."""

    async def scenario() -> None:
        client = Client(None, False, {})
        world = World([client], clock)
        client.connect(world.hubs[0])
        cursors = {"gone": "x:1", "b": "no cursor"}
        await client.session.receive(json.dumps({"type": "subscribe_features", "subscription_id": "s", "cursor": cursors}))
        assert [message.get("code") for message in told(client)] == ["invalid_cursor"]
        await world.publish("a", [(0, 0, 0)])
        assert told(client) == []

    loop.run(scenario())


# Found a bug: `FeatureSubscription.info` gives the follower's place without regard to what the view's throttle holds.
def test_the_cursor_of_a_listed_subscription_does_not_promise_what_is_held_back(loop: asyncio.Runner, clock: SimpleNamespace) -> None:
    """`max_rate` holds the latest version of a feature: whoever resumes from the listed cursor must still be told of it."""

    async def scenario() -> None:
        client = Client("a", False, {"max_rate": 2})
        world = World([client], clock)
        client.connect(world.hubs[0])
        await client.subscribe(resume=False)
        await world.publish("a", [(0, 0, 0)])
        await world.publish("a", [(0, 0, 1)])
        client.receive()
        assert client.held["a", '"p"']["properties"]["kind"] == "x", "the second version is held back"
        await client.session.receive('{"type":"list_subscriptions"}')
        listed = told(client)[0]["subscriptions"][0]["cursor"]
        client.cursors = {"a": listed}
        await world.resume(0, 0, None)
        client.receive()
        assert client.held["a", '"p"']["properties"]["kind"] == "y"

    loop.run(scenario())
