"""A backend: publishes on Redis, and notes what is published there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from redis.asyncio.client import PubSub

from streaming.core.redis import async_redis

TIMEOUT = 5.0


class Backend:
    """`heard` is everything published so far on `to:`, `from:` and `envelope:` channels, as (channel, payload)."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._pubsub: PubSub = async_redis().pubsub()
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def start(self) -> None:
        await self._pubsub.psubscribe("to:*", "from:*", "envelope:*")
        for _ in range(3):
            await self._pubsub.get_message(timeout=TIMEOUT)
        self._task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    async def publish(self, channel: str | bytes, payload: Any) -> int:
        """Bytes and text as they are, anything else as JSON; how many heard it."""
        data = payload if isinstance(payload, bytes | str) else json.dumps(payload)
        return int(await async_redis().publish(channel, data))

    async def publish_all(self, *messages: tuple[str, bytes]) -> None:
        """In one pipeline."""
        pipe = async_redis().pipeline(transaction=False)
        for channel, payload in messages:
            pipe.publish(channel, payload)
        await pipe.execute()

    def on(self, channel: str) -> list[bytes]:
        """What was heard on a channel."""
        return [payload for name, payload in self.heard if name == channel]

    async def hears(self, channel: str, count: int = 1) -> list[bytes]:
        """What was published on a channel, once it is so many."""
        async with asyncio.timeout(TIMEOUT):
            while len(found := self.on(channel)) < count:
                self._news.clear()
                await self._news.wait()
        return found

    async def everything(self) -> list[tuple[str, bytes]]:
        """What was published before now."""
        await self.publish("to::until", b"now")
        await self.hears("to::until")
        before = [message for message in self.heard if message[0] != "to::until"]
        self.heard.clear()
        return before

    async def _listen(self) -> None:
        while True:
            message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
            if message is not None:
                self.heard.append((message["channel"].decode(errors="replace"), message["data"]))
                self._news.set()
