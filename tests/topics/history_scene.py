"""Clients of topics with history that keep their place as the documentation says, and processes that only keep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from streaming.core.bus import Arrival, Bus
from streaming.core.redis import async_redis
from streaming.topics.history_store import stored_message, topic_feed
from streaming.topics.history_writer import HistoryWriter
from streaming.topics.messages import TopicMessage
from streaming.topics.tokens import mint
from tests.dialects.phoenix.peer import Binary, PhoenixPeer

TOPIC = "room:1"


class Reader:
    """`told` is what was said, as (event, payload); `last_id` where the client is."""

    def __init__(self, peer: PhoenixPeer, topic: str = TOPIC, name: str = "alice") -> None:
        self.peer = peer
        self.topic = topic
        self.name = name
        self.told: list[tuple[str, Any]] = []
        self.last_id: Any = None
        self._joins = 0

    async def ask_to_join(self, **params: Any) -> tuple[str, Any]:
        """Status and response."""
        self._joins += 1
        ref = str(self._joins)
        status, response = await self.peer.ask(ref, ref, self.topic, "phx_join", {"token": mint(self.name, self.topic), **params})
        return status, response

    async def join(self, **params: Any) -> Any:
        """The response."""
        status, response = await self.ask_to_join(**params)
        assert status == "ok", response
        self.last_id = response.get("last_id")
        return response

    async def hears(self, event: str) -> list[tuple[str, Any]]:
        """Everything told until an event and the place after it, which is taken."""
        while not self.told or self.told[-1][0] != event:
            self.take(await self.peer.receive())
        before = self.last_id
        while self.last_id == before:
            self.take(await self.peer.receive())
        told, self.told = self.told, []
        return told

    def take(self, frame: Any) -> None:
        topic, event, payload = (frame.topic, frame.event, frame.payload) if isinstance(frame, Binary) else frame[2:]
        assert topic == self.topic, frame
        if event == "last_id":
            self.last_id = payload["id"]
        elif not event.startswith("presence_"):
            self.told.append((event, payload))


class KeepingProcess:
    """A process that hears backends and may be the one that keeps what they say."""

    def __init__(self, name: str) -> None:
        self.bus = Bus()
        self.bus_heard = 0
        """Messages that have come from backends."""
        self.bus.on_pattern("to:*", self._hear)
        self._tasks: set[asyncio.Task[None]] = set()
        self.writer = HistoryWriter(self.bus, name, self._spawn)

    async def start(self) -> KeepingProcess:
        await self.bus.start()
        await self.writer.renew()
        return self

    async def stop(self) -> None:
        await self.writer.stop()
        await self.die()

    async def die(self) -> None:
        """Without a farewell."""
        await self.writer._worker.stop()
        await self.bus.stop()

    @property
    def waiting(self) -> int:
        """Messages not known to be kept."""
        return len(self.writer._pending)

    def _hear(self, arrivals: list[Arrival]) -> None:
        for channel, payload in arrivals:
            topic, _, event = channel[3:].decode().rpartition(":")
            self.bus_heard += 1
            self.writer.add(TopicMessage(topic, event, payload))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def history(topic: str = TOPIC) -> list[TopicMessage]:
    """What Redis keeps of a topic."""
    lines: Any = await async_redis().xrange(topic_feed(topic).log_key)
    return [stored_message(topic, fields[b"n"][13:]) for _, fields in lines]


async def publish(*events: str, topic: str = TOPIC, payload: bytes = b"{}") -> None:
    """As a backend."""
    pipe = async_redis().pipeline(transaction=False)
    for event in events:
        pipe.publish(f"to:{topic}:{event}", payload)
    await pipe.execute()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.002)
