"""The statistics of a process for operators: who is connected, which topics are busy, and what was dropped.

Every process reports to the topic `admin` while somebody anywhere is on it, and counts nothing for it meanwhile: rates are the growth of
counters that are there anyway.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.follower import Follower
from streaming.core.replica import Replica
from streaming.topics.messages import TopicMessage
from streaming.topics.rooms import Room

from .presence_announcer import ADMIN

if TYPE_CHECKING:
    from streaming.engine.client_connection import ClientConnection
    from streaming.topics.service import Topics

REPORT = "topics.report"
"""The control message that has every process report now."""
REPORT_SECONDS = 2.0
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 5 * REPORT_SECONDS
LEAVE_OUT_AFTER, LOOK_EVERY = 5, 15
"""After so many times that no operator was anywhere, it is looked only every so many times: who comes asks, which may get lost."""
BUSIEST = 50
"""Topics of a process that are reported."""
NEWEST = 200
"""Connections of a process that are reported."""
TOPICS_OF_CONNECTION = 20
FEEDS = 50
"""Feeds of a process that are reported."""
SAMPLED = 50
"""Items of a feed that are measured, for all to be about as large."""

Pair = tuple[int, int]


class Rates:
    """How fast pairs of counters grow a second, between the last two looks."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._counts: Mapping[str, Pair] = {}
        self._rates: Mapping[str, tuple[float, float]] | None = None

    def look(self, counts: Mapping[str, Pair], now: float) -> None:
        """Look again, unless the last time is too short ago for a rate. If it is too long ago, there are no rates yet."""
        elapsed = now - self._at
        if elapsed < SHORTEST_SECONDS:
            return
        if elapsed > LONGEST_SECONDS:
            self._rates = None
        else:
            before = self._counts
            self._rates = {name: _grown(pair, before.get(name, (0, 0)), elapsed) for name, pair in counts.items()}
        self._counts, self._at = counts, now

    def of(self, name: str) -> tuple[float | None, float | None]:
        """The rates of a pair, None before the second look."""
        return (None, None) if self._rates is None else self._rates.get(name, (0.0, 0.0))


def _grown(now: Pair, before: Pair, elapsed: float) -> tuple[float, float]:
    if now[0] < before[0] or now[1] < before[1]:
        before = (0, 0)  # it has begun anew
    return round((now[0] - before[0]) / elapsed, 1), round((now[1] - before[1]) / elapsed, 1)


class Monitor:
    """Reports one process to operators."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._runtime = topics.runtime
        self._host = socket.gethostname()
        self._started = time.time()
        self._process_rates = Rates()
        self._topic_rates = Rates()
        self._feed_rates = Rates()
        self._unwatched = 0  # times in a row that no operator was anywhere

    def start(self) -> None:
        """Report from now on, when it is time and when somebody asks (`REPORT`)."""
        hub = self._runtime.hub
        hub.on(REPORT, lambda message: self._asked())
        hub.every(REPORT_SECONDS, self._report_if_watched)

    def report(self) -> None:
        """Publish the statistics of this process; while Redis is away, at least to the operators of this process."""
        topics = self._topics
        if topics.bus.connected:
            topics.bridge.announce(ADMIN, "node.stats", self.stats())
        else:
            topics.rooms.deliver([TopicMessage(ADMIN, "node.stats", msgspec.json.encode(self.stats()))])

    def _asked(self) -> None:
        self._unwatched = 0
        self.report()

    async def _report_if_watched(self) -> None:
        if await self._watched():
            self.report()

    async def _watched(self) -> bool:
        if self._topics.rooms.get(ADMIN) is not None:
            return True
        self._unwatched += 1
        if self._unwatched > LEAVE_OUT_AFTER and self._unwatched % LOOK_EVERY:
            return False
        try:
            watched = await self._topics.presence.count(ADMIN) > 0
        except StreamError:
            return False
        if watched:
            self._unwatched = 0
        return watched

    def stats(self) -> dict[str, Any]:
        """The process as it is now."""
        runtime, rooms, bus = self._runtime, self._topics.rooms, self._topics.bus
        registry = runtime.connections
        connections = registry.open.values()
        received = registry.past_received.total() + sum(connection.received for connection in connections)
        sent = registry.past_sent.total() + sum(connection.outbox.sent for connection in connections)
        self._process_rates.look({"": (received, sent)}, time.monotonic())
        messages_in, messages_out = self._process_rates.of("")
        return {
            "node": runtime.hub.node,
            "host": self._host,
            "pid": os.getpid(),
            "started": round(self._started, 3),
            "redis": bus.connected,
            "gaps": bus.gaps,
            "sockets": Counter(connection.session.dialect for connection in connections),
            "topics": len(rooms.rooms),
            "members": sum(len(room.members) for room in rooms.rooms.values()),
            "in": messages_in,
            "out": messages_out,
            "dropped": rooms.past_dropped + sum(room.dropped for room in rooms.rooms.values()),
            "slow": sum(count for (_, code), count in registry.endings.items() if code == "slow"),
            "waiting": sum(connection.outbox.bytes for connection in connections),
            "busiest": self._busiest(),
            "feeds": self._feeds(),
            "newest": [_described(connection) for connection in islice(reversed(connections), NEWEST)],
        }

    def _feeds(self) -> list[dict[str, Any]]:
        """The feeds that are followed here, those first that change the most."""
        hub, rates = self._runtime.hub, self._feed_rates
        rates.look({name: (follower.seq, follower.seq) for name, follower in hub.followers.items()}, time.monotonic())
        busiest = nlargest(FEEDS, hub.followers.items(), key=lambda named: rates.of(named[0])[0] or 0.0)
        return [
            {
                "feed": name,
                "rate": rates.of(name)[0],
                "lag": hub.lag(name),
                "views": sum(len(audience.views) for audience in follower.audiences.values()),
                **_held(follower),
            }
            for name, follower in busiest
        ]

    def _busiest(self) -> list[dict[str, Any]]:
        rooms = self._topics.rooms.rooms
        rates = self._topic_rates
        rates.look({topic: (room.published, room.delivered) for topic, room in rooms.items()}, time.monotonic())

        def weight(room: Room) -> tuple[float, int]:
            return rates.of(room.topic)[1] or 0.0, len(room.members)

        return [
            {
                "topic": room.topic,
                "members": len(room.members),
                "said": rates.of(room.topic)[0],
                "delivered": rates.of(room.topic)[1],
                "dropped": room.dropped,
            }
            for room in nlargest(BUSIEST, rooms.values(), key=weight)
        ]


def _held(follower: Follower) -> dict[str, Any]:
    """How long a feed with state is, and about how many bytes its items have; of a log neither is kept here."""
    if not isinstance(follower, Replica):
        return {"length": None, "bytes": None}
    sample = [len(item.value) for item in islice(follower.items.values(), SAMPLED)]
    return {"length": len(follower.items), "bytes": sum(sample) * len(follower.items) // max(len(sample), 1)}


def _described(connection: ClientConnection) -> dict[str, Any]:
    feeds = [described["feed"] for described in connection.session.describe()]
    return {
        "id": connection.id,
        "name": connection.name,
        "user": connection.principal.username,
        "address": connection.address,
        "dialect": connection.session.dialect,
        "since": round(connection.opened_at, 3),
        "topics": feeds[:TOPICS_OF_CONNECTION],
        "topic_count": len(feeds),
        "queue": connection.outbox.messages,
        "queue_bytes": connection.outbox.bytes,
    }
