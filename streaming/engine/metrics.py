"""What monitoring is told of a process, in Prometheus' terms.

Everything is read when somebody asks, from what the process counts anyway: a message costs nothing more. Labels never hold what clients
choose (topics, layers, users, addresses), so that there is a small number of time series whoever comes. `docs/metrics.md` is checked
against this table by a test.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from streaming.core.errors import CloseCode

if TYPE_CHECKING:
    from streaming.core.hub import Hub
    from streaming.dialects.redis_commands.service import RedisService
    from streaming.topics.service import Topics

    from .connection import Peer
    from .runtime import Runtime

DIALECTS = ("geo", "phoenix", "redis")
LIMITS = ("process", "address", "user")
BY_CLIENT = "client"
"""What is said instead of a close code where the client left."""
CODES = (BY_CLIENT, *(code.name.lower() for code in CloseCode))

SLICE = 500
"""Connections looked at before others have a turn: of each there may be much to count."""
LOOK_SECONDS = 0.1
LOOKS = 300

Sample = tuple[str, tuple[str, ...], float]
"""The name of a metric, the values of its labels, and its value."""


class Measure(NamedTuple):
    """One metric: what it is called, and what it says."""

    name: str
    kind: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    meaning: str

    def family(self) -> GaugeMetricFamily | CounterMetricFamily:
        """The metric without samples."""
        family = GaugeMetricFamily if self.kind == "gauge" else CounterMetricFamily
        return family(self.name, self.meaning, labels=self.labels)


TABLE = (
    Measure("geostream_node_info", "gauge", ("host", "pid"), "1; where a process runs"),
    Measure("geostream_connections", "gauge", ("dialect",), "open connections, pollers too"),
    Measure(
        "geostream_refused_total", "counter", ("limit",), "connections refused because of a limit: of the process, the address or the user"
    ),
    Measure("geostream_closed_total", "counter", ("dialect", "code"), "connections that ended, by the name of the close code, or `client`"),
    Measure("geostream_messages_received_total", "counter", ("dialect",), "messages from clients"),
    Measure("geostream_messages_sent_total", "counter", ("dialect",), "messages to clients"),
    Measure("geostream_outbox_messages", "gauge", (), "messages that wait for clients"),
    Measure("geostream_outbox_messages_max", "gauge", (), "messages that wait for the client with the most"),
    Measure("geostream_outbox_bytes", "gauge", (), "bytes that wait for clients"),
    Measure("geostream_outbox_bytes_max", "gauge", (), "bytes that wait for the client with the most"),
    Measure("geostream_topics", "gauge", (), "topics with members in this process"),
    Measure("geostream_members", "gauge", (), "members of topics in this process"),
    Measure("geostream_topic_messages_total", "counter", (), "messages on topics with members in this process"),
    Measure("geostream_topic_deliveries_total", "counter", (), "those messages times the members who were to get them"),
    Measure("geostream_topic_dropped_total", "counter", (), "messages that slow members missed, as their channel's policy is"),
    Measure("geostream_bus_connected", "gauge", (), "1 while the process hears Redis' pub/sub, else 0"),
    Measure("geostream_bus_gaps_total", "counter", (), "times that messages of pub/sub may have been missed"),
    Measure("geostream_redis_messages_total", "counter", (), "messages on channels of Redis that clients of its commands listen to"),
    Measure("geostream_redis_bad_total", "counter", (), "those of them that were no JSON, and were passed over"),
    Measure("geostream_redis_deliveries_total", "counter", (), "messages that these clients were told"),
    Measure("geostream_redis_dropped_total", "counter", (), "messages that slow ones among them missed"),
    Measure("geostream_redis_conflated_total", "counter", (), "waiting messages that a newer one of the same feature took the place of"),
    Measure("geostream_redis_capped_total", "counter", (), "times that there was more than one `GET` is answered with"),
    Measure("geostream_feeds", "gauge", (), "feeds that are followed: layers, events, tilesets, presence"),
    Measure("geostream_views", "gauge", (), "subscriptions to feeds"),
    Measure("geostream_feed_lag", "gauge", (), "changes announced and not read yet, of the feed with the most"),
    Measure("geostream_tile_cache_tiles", "gauge", (), "rendered tiles that are kept"),
    Measure("geostream_tile_cache_bytes", "gauge", (), "what the kept tiles take"),
    Measure("geostream_loop_lag_seconds", "gauge", (), "the longest that the event loop was late in the last 30 seconds"),
)


class LoopLag:
    """How late the event loop is: whatever keeps it from its timers keeps every client waiting."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._lags: deque[float] = deque(maxlen=LOOKS)

    async def look(self) -> None:
        """To be called every `LOOK_SECONDS`; by how much it is not, is the lag."""
        now = asyncio.get_running_loop().time()
        if self._last is not None:
            self._lags.append(max(now - self._last - LOOK_SECONDS, 0.0))
        self._last = now

    @property
    def longest(self) -> float:
        """The longest lag of the last looks, in seconds."""
        return max(self._lags, default=0.0)


Metrics = list[GaugeMetricFamily | CounterMetricFamily]


class EngineMetrics:
    """One process's engine as it is now."""

    def __init__(self, runtime: Runtime) -> None:
        self.lag = LoopLag()
        self._runtime = runtime
        self._host, self._pid = socket.gethostname(), str(os.getpid())

    async def read(self) -> Metrics:
        """Every metric of the table. Counters never go back from one call to the next."""
        families = {measure.name: measure.family() for measure in TABLE}
        for name, labels, value in [*await _of_connections(self._runtime), *self._others()]:
            families[name].add_metric(labels, value)
        return list(families.values())

    def _others(self) -> Iterator[Sample]:
        yield "geostream_node_info", (self._host, self._pid), 1
        yield "geostream_loop_lag_seconds", (), self.lag.longest
        yield from _of_ended(self._runtime)
        yield from _of_topics(self._runtime.topics)
        yield from _of_redis(self._runtime.started_redis_commands)
        yield from _of_feeds(self._runtime.hub)
        yield from _of_tiles()


class _Traffic:
    """Sums over connections."""

    def __init__(self, runtime: Runtime) -> None:
        self.connections = Counter(dict.fromkeys(DIALECTS, 0))
        self.received, self.sent = runtime.past_received.copy(), runtime.past_sent.copy()
        self.messages = self.most_messages = self.bytes = self.most_bytes = 0

    def add(self, connection: Peer) -> None:
        dialect, outbox = connection.session.dialect, connection.outbox
        self.connections[dialect] += 1
        self.received[dialect] += connection.received
        self.sent[dialect] += outbox.sent
        if not outbox.idle:
            messages, size = outbox.messages, outbox.bytes
            self.messages += messages
            self.bytes += size
            self.most_messages, self.most_bytes = max(self.most_messages, messages), max(self.most_bytes, size)

    def samples(self) -> Iterator[Sample]:
        for dialect, number in self.connections.items():
            yield "geostream_connections", (dialect,), number
            yield "geostream_messages_received_total", (dialect,), self.received[dialect]
            yield "geostream_messages_sent_total", (dialect,), self.sent[dialect]
        yield "geostream_outbox_messages", (), self.messages
        yield "geostream_outbox_messages_max", (), self.most_messages
        yield "geostream_outbox_bytes", (), self.bytes
        yield "geostream_outbox_bytes_max", (), self.most_bytes


async def _of_connections(runtime: Runtime) -> Iterator[Sample]:
    """Those of one moment: what closes while this counts is counted here, and not among those that are gone."""
    traffic, connections = _Traffic(runtime), list(runtime.connections.values())
    for count, connection in enumerate(connections, 1):
        traffic.add(connection)
        if count % SLICE == 0:
            await asyncio.sleep(0)
    return traffic.samples()


def _of_ended(runtime: Runtime) -> Iterator[Sample]:
    """Also what has not happened: of what appears only with its first time, that time is no increase."""
    for limit in LIMITS:
        yield "geostream_refused_total", (limit,), runtime.refused[limit]
    for dialect in DIALECTS:
        for code in CODES:
            yield "geostream_closed_total", (dialect, code), runtime.endings[dialect, code]


def _of_topics(topics: Topics) -> Iterator[Sample]:
    rooms = topics.rooms
    members, said, delivered, dropped = 0, rooms.past_said, rooms.past_delivered, rooms.past_dropped
    for room in rooms.rooms.values():
        members += len(room.members)
        said += room.said
        delivered += room.delivered
        dropped += room.dropped
    yield "geostream_topics", (), len(rooms.rooms)
    yield "geostream_members", (), members
    yield "geostream_topic_messages_total", (), said
    yield "geostream_topic_deliveries_total", (), delivered
    yield "geostream_topic_dropped_total", (), dropped
    yield "geostream_bus_connected", (), topics.bus.connected
    yield "geostream_bus_gaps_total", (), topics.bus.gaps


def _of_redis(service: RedisService | None) -> Iterator[Sample]:
    channels = None if service is None else service.channels
    yield "geostream_redis_messages_total", (), 0 if channels is None else channels.said
    yield "geostream_redis_bad_total", (), 0 if channels is None else channels.bad
    yield "geostream_redis_deliveries_total", (), 0 if channels is None else channels.delivered
    yield "geostream_redis_dropped_total", (), 0 if channels is None else channels.dropped
    yield "geostream_redis_conflated_total", (), 0 if channels is None else channels.conflated
    yield "geostream_redis_capped_total", (), 0 if service is None else service.capped


def _of_feeds(hub: Hub) -> Iterator[Sample]:
    followers = hub.followers
    yield "geostream_feeds", (), len(followers)
    yield "geostream_views", (), sum(len(audience.views) for follower in followers.values() for audience in follower.audiences.values())
    yield "geostream_feed_lag", (), max(map(hub.lag, followers), default=0)


def _of_tiles() -> Iterator[Sample]:
    from streaming.tiles.service import running_tile_service  # what it needs takes a moment to import

    service = running_tile_service()
    yield "geostream_tile_cache_tiles", (), 0 if service is None else len(service.store)
    yield "geostream_tile_cache_bytes", (), 0 if service is None else service.store.kept_bytes
