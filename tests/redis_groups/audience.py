"""A client of each dialect, and publishers that note what was acknowledged."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

from redis.exceptions import RedisError

from streaming import apublish
from streaming.core.errors import StreamError
from streaming.core.redis import async_redis
from streaming.topics.tokens import mint
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.dialects.redis_commands.peer import RedisPeer
from tests.geo_peer import GeoPeer, point

TOPIC, CHANNEL = "room:1", "pub:vehicles"
SECONDS = 5.0
"""After a failover, until everybody has everything again."""
PAUSE_SECONDS = 0.02


class Audience:
    """Follows layers, a topic and a channel of Redis. In an `async with`, all are subscribed."""

    def __init__(self, *layers: str) -> None:
        self._layers = layers
        self._geo, self._phoenix, self._redis = GeoPeer(), PhoenixPeer(), RedisPeer()
        self.changes: Counter[tuple[str, str]] = Counter()
        """How often which change of which feature was told of."""
        self.on_topic: list[int] = []
        self.on_channel: list[int] = []

    async def __aenter__(self) -> Self:
        for layer in self._layers:
            assert (await self._geo.subscribe(layer, id=layer))["success"]
        await self._phoenix.connect()
        await self._phoenix.join(TOPIC, token=mint("alice", TOPIC))
        await self._phoenix.receive_event("presence_diff")
        await self._redis.opened()
        assert await self._redis.ask(f"SUB {CHANNEL}") == []
        return self

    async def __aexit__(self, *error: object) -> None:
        for peer in (self._geo, self._phoenix, self._redis):
            await peer.close()

    async def listen(self) -> None:
        """Take what everybody was told until now."""
        for message in await self._geo.rest():
            if message["type"] == "feature_data":
                self.changes[message["change_type"], str(message["id"])] += 1
        self.on_topic += [frame[4]["n"] for frame in await self._phoenix.rest() if frame[3] == "ev"]
        contents = [frame["content"] for frame in await self._redis.ask() if frame["source"] == CHANNEL]
        self.on_channel += [content["properties"]["n"] for content in contents if "properties" in content]

    async def told(self, added: Iterable[str], numbers: list[int], seconds: float = SECONDS) -> None:
        """Everybody is told in time: of these features, and of these numbers last, in this order."""
        wanted, deadline = {("added", id) for id in added}, time.monotonic() + seconds
        while True:
            await self.listen()
            missing = wanted - set(self.changes)
            heard = [self.on_topic[-len(numbers) :], self.on_channel[-len(numbers) :]]
            if not missing and heard == [numbers, numbers]:
                return
            assert time.monotonic() < deadline, (sorted(missing), heard)
            await asyncio.sleep(PAUSE_SECONDS)


class Publisher:
    """Publishes features, and numbers to the topic and the channel, again and again until each was acknowledged."""

    def __init__(self, *layers: str) -> None:
        self._layers = layers
        self._count = 0
        self.refused = 0

    async def publish(self) -> str:
        """A new feature in one of the layers, in turn; its id, once it is stored."""
        self._count += 1
        id = f"f{self._count}"
        while True:
            try:
                await apublish(self._layers[self._count % len(self._layers)], point(id, 1, 1))
                return id
            except StreamError as error:
                assert error.code == "redis_unavailable", error
                self.refused += 1
                await asyncio.sleep(PAUSE_SECONDS)

    async def say(self, *numbers: int) -> None:
        """Have Redis publish numbers to the topic and the channel."""
        for number in numbers:
            feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": {"n": number}}
            await self._said(f"to:{TOPIC}:ev", {"n": number})
            await self._said(CHANNEL, feature)

    @staticmethod
    async def _said(channel: str, payload: Any) -> None:
        """Once somebody is there who hears it."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    if await async_redis().publish(channel, json.dumps(payload)):
                        return
                except RedisError:
                    pass
                await asyncio.sleep(PAUSE_SECONDS)
