"""Measures: the metrics that a part of GeoStream declares, in Prometheus' terms.

Labels never hold what clients choose (topics, layers, users, addresses), so that the number of time series stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from streaming.core.histogram import Histogram

Sample = tuple[str, tuple[str, ...], float | Histogram]
"""The name of a measure, the values of its labels, and its value."""
Family = GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily


class Bound(NamedTuple):
    """A value of one process beyond which something is wrong."""

    above: float
    sentence: str
    """What is wrong and what to do, for operators: with `{process}` and `{value}`."""


class Chart(NamedTuple):
    """How a measure is charted for operators; measures with the same title share a chart. Counters are charted as growth a second."""

    title: str
    unit: Literal["", "B", "s", "cores"] = ""
    line: str = ""
    """What the line is called, if the measure is one line."""
    split: str = ""
    """The label of which each value is a line of its own. Other labels are summed up."""
    over: Literal["sum", "max", "min"] = "sum"
    """What the values of several processes come to."""
    order: int = 50
    bound: Bound | None = None


class Measure(NamedTuple):
    """One metric: its name, its type, the names of its labels, and its help text; and how it is charted, if it is."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    documentation: str
    chart: Chart | None = None

    def family(self) -> Family:
        """The metric without samples."""
        return _FAMILIES[self.kind](self.name, self.documentation, labels=self.labels)


_FAMILIES: dict[str, type[Family]] = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "histogram": HistogramMetricFamily}


def add_value(family: Family, labels: Sequence[str], value: float | Histogram) -> None:
    """Add the sample of a measure to its metric."""
    if isinstance(family, HistogramMetricFamily):
        assert isinstance(value, Histogram)
        family.add_metric(labels, value.buckets, value.total)
    else:
        assert not isinstance(value, Histogram)
        family.add_metric(labels, value)


MEASURES = (
    Measure("geostream_node_info", "gauge", ("host", "pid"), "1; where a process runs"),
    Measure("geostream_nodes_lost_total", "counter", (), "processes that ended without a word, or hung, as this process noticed"),
    Measure(
        "geostream_connections", "gauge", ("dialect",), "open connections, pollers too", Chart("Connections", split="dialect", order=10)
    ),
    Measure(
        "geostream_refused_total",
        "counter",
        ("limit",),
        "connections refused: too many of the process, the address or the user; a ban; a handshake that took too long",
        Chart("Connections that ended", line="refused", order=50),
    ),
    Measure(
        "geostream_closed_total",
        "counter",
        ("dialect", "code"),
        "connections that ended, by the name of the close code, or `client`",
        Chart("Connections that ended", split="code", order=50),
    ),
    Measure(
        "geostream_messages_received_total",
        "counter",
        ("dialect",),
        "messages from clients",
        Chart("Messages from clients", split="dialect", order=20),
    ),
    Measure(
        "geostream_messages_sent_total",
        "counter",
        ("dialect",),
        "messages to clients",
        Chart("Messages to clients", split="dialect", order=21),
    ),
    Measure("geostream_slowed_total", "counter", (), "messages handled later because their client sent too many, or too large ones"),
    Measure("geostream_bans", "gauge", (), "users and addresses that are banned"),
    Measure(
        "geostream_bytes_received_total",
        "counter",
        ("dialect",),
        "bytes of these messages",
        Chart("Bytes from clients", unit="B", split="dialect", order=22),
    ),
    Measure(
        "geostream_bytes_sent_total",
        "counter",
        ("dialect",),
        "bytes of these messages, with their frames",
        Chart("Bytes to clients", unit="B", split="dialect", order=23),
    ),
    Measure(
        "geostream_conflated_total",
        "counter",
        (),
        "waiting changes that were replaced by a newer one of the same feature",
        Chart("Conflated and dropped", line="conflated", order=40),
    ),
    Measure(
        "geostream_log_dropped_total",
        "counter",
        (),
        "events that slow clients missed and were told of",
        Chart("Conflated and dropped", line="events dropped", order=40),
    ),
    Measure(
        "geostream_delivery_seconds",
        "histogram",
        ("dialect",),
        "from a change's arrival in Redis to its handing over to a client's socket; a sample of the deliveries",
    ),
    Measure("geostream_outbox_messages", "gauge", (), "messages that wait for clients"),
    Measure("geostream_outbox_messages_max", "gauge", (), "messages that wait for the client with the most"),
    Measure(
        "geostream_outbox_bytes",
        "gauge",
        (),
        "bytes that wait for clients",
        Chart(
            "Waiting for clients",
            unit="B",
            line="bytes",
            order=51,
            bound=Bound(1e9, "{process} holds {value} that slow clients have not read"),
        ),
    ),
    Measure("geostream_outbox_bytes_max", "gauge", (), "bytes that wait for the client with the most"),
    Measure("geostream_feeds", "gauge", (), "feeds that are followed: layers, events, tilesets, presence"),
    Measure("geostream_views", "gauge", (), "subscriptions to feeds"),
    Measure(
        "geostream_feed_lag",
        "gauge",
        (),
        "changes announced and not read yet, of the feed with the most",
        Chart(
            "Feed lag",
            line="changes not read yet",
            over="max",
            order=30,
            bound=Bound(10_000, "{process} is {value} changes behind its feeds: more is published than it can judge"),
        ),
    ),
    Measure("geostream_work_seconds_total", "counter", (), "processor time that the threads for costly work have used"),
    Measure("geostream_work_waiting", "gauge", (), "pieces of costly work that wait for a thread"),
    Measure("geostream_work_refused_total", "counter", (), "pieces of costly work refused because too many of the same client waited"),
    Measure("geostream_loop_blocked_total", "counter", ("part", "work"), "pieces of work that kept the event loop for more than 10 ms"),
    Measure("geostream_loop_blocked_seconds_total", "counter", ("part", "work"), "how long these took together"),
    Measure(
        "geostream_loop_lag_seconds",
        "gauge",
        (),
        "the longest that the event loop was late in the last 30 seconds",
        Chart(
            "Event loop",
            unit="s",
            line="late by",
            over="max",
            order=31,
            bound=Bound(0.5, "{process} answers {value} late: it has more to do than one core can, or something blocks it"),
        ),
    ),
    Measure(
        "geostream_redis_memory_bytes",
        "gauge",
        (),
        "what Redis holds, as each process was told a moment ago; 0: not known",
        Chart("Redis memory", unit="B", line="used", over="max", order=60),
    ),
    Measure("geostream_redis_memory_limit_bytes", "gauge", (), "what Redis may hold; 0: no limit, or not known"),
    Measure("geostream_redis_clients", "gauge", (), "connections to Redis, of everybody"),
    Measure(
        "geostream_redis_answer_seconds",
        "gauge",
        (),
        "how long Redis took to answer the last time it was asked",
        Chart("Redis answers", unit="s", line="after", over="max", order=61, bound=Bound(0.25, "Redis took {value} to answer {process}")),
    ),
)
"""What the engine itself measures."""

PROCESS_MEASURES = (
    Measure("process_cpu_seconds_total", "counter", (), "", Chart("Processor", unit="cores", line="cores", order=32)),
    Measure("process_resident_memory_bytes", "gauge", (), "", Chart("Memory of processes", unit="B", line="resident", order=33)),
)
"""What the operating system tells of a process, where it is charted."""
