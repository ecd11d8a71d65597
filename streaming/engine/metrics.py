"""The metrics of one process, for Prometheus.

Everything is read when somebody asks, from what the process counts anyway: a message costs nothing more. The engine reads its own
measures here; every other one is collected by the service that it belongs to.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from streaming.core.deliveries import losses
from streaming.core.errors import CloseCode
from streaming.core.histogram import Histogram
from streaming.core.hub import Hub
from streaming.core.loop_watch import loop_watch
from streaming.core.turns import WORKS

from .connections import CLOSED_BY_CLIENT, LIMITS, ConnectionRegistry
from .exposition import SHARE_SECONDS, Exposition
from .measures import Family, Sample, add_value
from .redis_state import RedisState
from .registry import all_dialects, all_measures
from .service import Service

if TYPE_CHECKING:
    from .client_connection import ClientConnection
    from .runtime import Runtime

CODES = (CLOSED_BY_CLIENT, *(code.name.lower() for code in CloseCode))

SLICE = 500
"""Connections looked at before others have a turn: of each there may be much to count."""
LOOK_SECONDS = 0.1
REST_LOOK_SECONDS = 1.0
LOOK_BACK_SECONDS = 30.0
WORK_SECONDS = 0.02
"""Processor time that the event loop takes between two looks if it has work to do. The jobs of a process at rest take a few ms."""

Metrics = list[Family]


class LoopLag:
    """How late the event loop is: whatever keeps it from its timers keeps every client waiting.

    It is looked at often while there are clients or the loop has work to do for others, and for as long afterwards as the metric looks
    back. Then nobody waits for it, and each look would wake a process that could sleep: it is looked at once a second.
    """

    def __init__(self, has_clients: Callable[[], object] = lambda: False) -> None:
        self.pace = LOOK_SECONDS
        """Seconds until it has to be looked at again."""
        self._has_clients = has_clients
        self._lags: deque[tuple[float, float]] = deque()
        self._due: float | None = None
        self._used = 0.0
        self._often_until = 0.0

    async def look(self) -> None:
        """To be called after `pace` seconds; by how much it is later, is the lag."""
        now, used = asyncio.get_running_loop().time(), time.thread_time()
        if self._due is not None:
            self._lags.append((now, max(now - self._due, 0.0)))
        while self._lags and self._lags[0][0] < now - LOOK_BACK_SECONDS:
            self._lags.popleft()
        if self._due is None or self._has_clients() or used - self._used > WORK_SECONDS:
            self._often_until = now + LOOK_BACK_SECONDS
        self.pace = LOOK_SECONDS if now < self._often_until else REST_LOOK_SECONDS
        self._due, self._used = now + self.pace, used

    @property
    def longest(self) -> float:
        """The longest lag that the last looks found, in seconds."""
        return max((lag for _, lag in self._lags), default=0.0)


class MetricsService(Service):
    """The metrics of one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.lag = LoopLag(lambda: runtime.connections.open)
        self.exposition = Exposition(runtime.hub.node, self.read)
        self._redis = RedisState()
        self._host, self._pid = socket.gethostname(), str(os.getpid())

    async def start(self) -> None:
        """Watch the event loop, and leave the metrics to other processes every few seconds."""
        self.runtime.hub.every(lambda: self.lag.pace, self.lag.look)
        self.runtime.hub.every(SHARE_SECONDS, self._redis.look)
        self.runtime.hub.every(SHARE_SECONDS, self.exposition.share)

    async def read(self) -> Metrics:
        """Every measure of the installed apps. Counters never go back from one call to the next."""
        measures = all_measures()
        families = {measure.name: measure.family() for measure in measures}
        totals: dict[tuple[str, tuple[str, ...]], Any] = {}
        for name, labels, value in (*await _of_connections(self.runtime.connections), *self._others()):
            known = totals.get((name, labels))
            totals[name, labels] = value if known is None else known + value  # several services may count the same
        for (name, labels), total in totals.items():
            add_value(families[name], labels, total)
        sampled = {name for name, _ in totals}
        for measure in measures:
            if not measure.labels and measure.name not in sampled:  # its service was not needed yet
                add_value(families[measure.name], (), Histogram() if measure.kind == "histogram" else 0)
        return list(families.values())

    def _others(self) -> Iterator[Sample]:
        yield "geostream_node_info", (self._host, self._pid), 1
        yield "geostream_nodes_lost_total", (), self.runtime.leases.lost
        yield "geostream_loop_lag_seconds", (), self.lag.longest
        yield "geostream_conflated_total", (), losses.conflated
        yield "geostream_log_dropped_total", (), losses.dropped
        yield from self._redis.samples()
        yield from _of_blocked()
        yield from _of_endings(self.runtime.connections)
        yield from _of_feeds(self.runtime.hub)
        for service in self.runtime.services:
            yield from service.collect()


class _Traffic:
    """Sums over connections."""

    def __init__(self, registry: ConnectionRegistry) -> None:
        self._registry = registry
        self.connections = Counter(dict.fromkeys(all_dialects(), 0))
        self.received, self.sent = registry.past_received.copy(), registry.past_sent.copy()
        self.received_bytes, self.sent_bytes = registry.past_received_bytes.copy(), registry.past_sent_bytes.copy()
        self.messages = self.most_messages = self.bytes = self.most_bytes = 0

    def add(self, connection: ClientConnection) -> None:
        dialect, outbox = connection.session.dialect, connection.outbox
        self.connections[dialect] += 1
        self.received[dialect] += connection.received
        self.sent[dialect] += outbox.sent
        self.received_bytes[dialect] += connection.received_bytes
        self.sent_bytes[dialect] += connection.sender.written
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
            yield "geostream_delivery_seconds", (dialect,), self._registry.latency[dialect]
            yield "geostream_bytes_received_total", (dialect,), self.received_bytes[dialect]
            yield "geostream_bytes_sent_total", (dialect,), self.sent_bytes[dialect]
        yield "geostream_outbox_messages", (), self.messages
        yield "geostream_outbox_messages_max", (), self.most_messages
        yield "geostream_outbox_bytes", (), self.bytes
        yield "geostream_outbox_bytes_max", (), self.most_bytes


async def _of_connections(registry: ConnectionRegistry) -> Iterator[Sample]:
    """Iterates over a copy: a connection that closes meanwhile is still counted as open."""
    traffic, connections = _Traffic(registry), list(registry.open.values())
    for count, connection in enumerate(connections, 1):
        traffic.add(connection)
        if count % SLICE == 0:
            await asyncio.sleep(0)
    return traffic.samples()


def _of_endings(registry: ConnectionRegistry) -> Iterator[Sample]:
    """Series of value 0 too, so that `rate()` sees the first event."""
    for limit in LIMITS:
        yield "geostream_refused_total", (limit,), registry.refused[limit]
    yield "geostream_slowed_total", (), registry.slowed
    for dialect in all_dialects():
        for code in CODES:
            yield "geostream_closed_total", (dialect, code), registry.endings[dialect, code]


def _of_blocked() -> Iterator[Sample]:
    parts = [("hub", "changes"), ("bus", "messages"), *(("turns", work) for work in WORKS)]
    usual = [*parts, *((dialect, "message") for dialect in all_dialects())]
    for what in dict.fromkeys([*usual, *loop_watch.count]):
        yield "geostream_loop_blocked_total", what, loop_watch.count[what]
        yield "geostream_loop_blocked_seconds_total", what, loop_watch.seconds[what]


def _of_feeds(hub: Hub) -> Iterator[Sample]:
    followers = hub.followers
    yield "geostream_feeds", (), len(followers)
    yield "geostream_views", (), sum(len(audience.views) for follower in followers.values() for audience in follower.audiences.values())
    yield "geostream_feed_lag", (), max(map(hub.lag, followers), default=0)
