"""Processes and members for tests of presence: hubs of their own stand for processes, and sockets keep what they were sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from channels.layers import get_channel_layer

from streaming.core.feed import Feed
from streaming.core.hub import ChannelLayer, Hub
from streaming.core.leases import NODE_KEY, Leases
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.redis import async_redis
from streaming.topics.messages import TopicMessage
from streaming.topics.presence import Presence
from streaming.topics.presence_store import presence_feed
from streaming.topics.rooms import Member, Rooms
from tests.core.doubles import RecordingSender

from .phoenix_presence import PhoenixPresence

TOPIC = "room:1"
LONG = 3600.0
"""Longer than anything waits to be told."""


class Told(NamedTuple):
    """One message as a member was told it; `alone` if it was not said to all."""

    event: str
    payload: Any
    alone: bool


class ToldEncoder:
    """Frames are what was told."""

    def __init__(self) -> None:
        self.broadcasts = 0

    def broadcast(self, run: Sequence[TopicMessage]) -> list[Any]:
        self.broadcasts += 1
        return [Told(message.event, json.loads(message.payload), False) for message in run]

    def push(self, member: Member, message: TopicMessage) -> list[Any]:
        return [Told(message.event, json.loads(message.payload), True)]


class Client:
    """A member and what it was told."""

    def __init__(self, process: Process, member: Member, sender: RecordingSender) -> None:
        self.process = process
        self.member = member
        self.sender = sender

    @property
    def told(self) -> list[Told]:
        return self.sender.told

    @property
    def events(self) -> list[str]:
        return [told.event for told in self.told]

    def heard(self, event: str) -> list[Any]:
        """The payloads of what it was told under this name."""
        return [told.payload for told in self.told if told.event == event]

    @property
    def picture(self) -> dict[str, list[dict[str, Any]]]:
        """Who it believes to be there, as the official client would: metas by key."""
        presence = PhoenixPresence()
        for told in self.told:
            presence.take(told.event, told.payload)
        return presence.metas

    def update(self, **meta: Any) -> None:
        self.process.presence.update(self.member, meta)

    def leave(self) -> None:
        """The client leaves the topic."""
        self.process.rooms.remove(self.member)
        self.process.presence.leave(self.member)


class HandTimer:
    """Something that is to be done at a time."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class HandClock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = LONG
        self._timers: list[HandTimer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> HandTimer:
        self._timers.append(HandTimer(self.now + delay, callback))
        return self._timers[-1]

    def turn(self, seconds: float) -> None:
        """So much time passes; what was to be done meanwhile is done."""
        until = self.now + seconds
        while due := [timer for timer in self._timers if timer.at <= until]:
            timer = min(due, key=lambda one: one.at)
            self._timers.remove(timer)
            self.now = timer.at
            if not timer.cancelled:
                timer.callback()
        self.now = until


class Process:
    """What a server process has for presence."""

    def __init__(
        self, ttl_seconds: float = 10.0, get_layer: Callable[[], ChannelLayer] = get_channel_layer, clock: HandClock | None = None
    ) -> None:
        hub, rooms = Hub(get_layer), Rooms()
        leases = Leases(hub.node, ttl_seconds)
        self.clock = clock
        self.serve(hub, rooms, leases, Presence(hub, rooms, leases, clock))

    def serve(self, hub: Hub, rooms: Rooms, leases: Leases, presence: Presence) -> None:
        self.hub, self.rooms, self.leases, self.presence = hub, rooms, leases, presence
        self.encoder = ToldEncoder()
        self._joins = 0

    async def start(self) -> None:
        await self.hub.start()
        await self.leases.renew()

    def join(self, key: str, topic: str = TOPIC, counting: bool = False, **meta: Any) -> Client:
        client = self.enter(topic, counting)
        self.presence.join(client.member, key, meta)
        return client

    def enter(self, topic: str = TOPIC, counting: bool = False) -> Client:
        """A client joins the topic without being shown."""
        self._joins += 1
        sender = RecordingSender()
        outbox = Outbox(sender, OutboxLimits(), lambda why: None)
        channel: Any = SimpleNamespace(presence="count") if counting else None
        member = Member(f"{self.hub.node[:8]}:{topic}:{self._joins}", topic, outbox, self.encoder, str(self._joins), channel)
        self.rooms.add(member)
        return Client(self, member, sender)

    async def die(self) -> None:
        """As if killed: nothing is said, and the lease has run out."""
        await self.freeze()
        await async_redis().delete(NODE_KEY + self.hub.node)

    async def freeze(self) -> None:
        """From now on this does nothing."""
        await self.presence._writer.stop()
        await self.presence._opener.stop()
        for room in self.presence._topics.values():
            room.close()


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.002)


async def written(process: Process) -> None:
    """Redis has everything that was wanted."""
    presence = process.presence
    await until(lambda: not (presence._unwritten or presence._writing or presence._unopened))


async def known(*processes: Process) -> None:
    """Everything that was wanted is stored, and read by all. It may wait to be told."""
    for process in processes:
        await written(process)
    for process in processes:
        for room in process.presence._topics.values():
            if room.replica is not None:
                await process.hub.refresh(room.replica)


async def settled(*processes: Process) -> None:
    """Everything that was wanted is stored, read by all, and told."""
    await known(*processes)
    for process in processes:
        if process.clock is not None:
            process.clock.turn(LONG)
        await until(lambda: not any(room._timers for room in process.presence._topics.values()))  # noqa: B023


def refs(metas: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """The `phx_ref` of metas by key, in no particular order."""
    return {key: sorted(meta["phx_ref"] for meta in some) for key, some in metas.items()}


def feed_of(topic: str = TOPIC) -> Feed:
    return presence_feed(topic)
