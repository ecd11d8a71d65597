"""A client of each dialect, and publishers that note what was acknowledged."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

from asgiref.sync import sync_to_async
from redis.exceptions import RedisError

from streaming import apublish, publish
from streaming.core.errors import StreamError
from streaming.core.redis import async_redis
from streaming.topics.tokens import mint
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.dialects.redis_commands.peer import RedisPeer
from tests.geo_peer import GeoPeer, point

from .nodes import RedisNode

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

    async def shows(self, ids: set[str], seconds: float = SECONDS) -> None:
        """A client that does what it was told comes to have exactly these features in time, of those that were published."""
        deadline = time.monotonic() + seconds
        while True:
            await self.listen()
            shown = {id for kind, id in self.changes if kind == "added" and self.changes[kind, id] > self.changes["deleted", id]}
            shown -= set(self._layers)
            if shown == ids:
                return
            assert time.monotonic() < deadline, (sorted(shown - ids), sorted(ids - shown))
            await asyncio.sleep(PAUSE_SECONDS)

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

    def __init__(self, *layers: str, name: str = "f", in_thread: bool = False) -> None:
        """`name` begins the ids. `in_thread`: as a view or a command without an event loop does."""
        self._layers = layers
        self._name = name
        self._publish: Any = sync_to_async(publish) if in_thread else apublish
        self._count = 0
        self._ended = False
        self._running: asyncio.Task[list[str]] | None = None
        self.refused = 0

    async def publish(self) -> str:
        """A new feature in one of the layers, in turn; its id, once it is stored."""
        self._count += 1
        id = f"{self._name}{self._count}"
        while True:
            try:
                await self._publish(self._layers[self._count % len(self._layers)], point(id, 1, 1))
                return id
            except StreamError as error:
                assert error.code == "redis_unavailable", error
                self.refused += 1
                await asyncio.sleep(PAUSE_SECONDS)

    def start(self) -> None:
        """Publish again and again."""
        self._ended = False
        self._running = asyncio.create_task(self._publish_on())

    async def stop(self) -> list[str]:
        """Stop that, once what is under way was acknowledged; the ids."""
        self._ended = True
        assert self._running is not None
        return await self._running

    async def _publish_on(self) -> list[str]:
        ids = list[str]()
        while not self._ended:
            ids.append(await self.publish())
            await asyncio.sleep(PAUSE_SECONDS)
        return ids

    async def say(self, *numbers: int, at: RedisNode | None = None) -> None:
        """Have Redis publish numbers to the topic and the channel; `at`: a certain server."""
        for number in numbers:
            feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": {"n": number}}
            await self._said(f"to:{TOPIC}:ev", {"n": number}, at)
            await self._said(CHANNEL, feature, at)

    @staticmethod
    async def _said(channel: str, payload: Any, at: RedisNode | None) -> None:
        """Once somebody is there who hears it."""
        text = json.dumps(payload)
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    if await (asyncio.to_thread(at.client.publish, channel, text) if at else async_redis().publish(channel, text)):
                        return
                except RedisError:
                    pass
                await asyncio.sleep(PAUSE_SECONDS)
