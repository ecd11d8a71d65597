"""Measures: the metrics that a part of GeoStream declares, in Prometheus' terms.

Labels never hold what clients choose (topics, layers, users, addresses), so that the number of time series stays small.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

Sample = tuple[str, tuple[str, ...], float]
"""The name of a measure, the values of its labels, and its value."""


class Measure(NamedTuple):
    """One metric: its name, its type, the names of its labels, and its help text."""

    name: str
    kind: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    documentation: str

    def family(self) -> GaugeMetricFamily | CounterMetricFamily:
        """The metric without samples."""
        family = GaugeMetricFamily if self.kind == "gauge" else CounterMetricFamily
        return family(self.name, self.documentation, labels=self.labels)


MEASURES = (
    Measure("geostream_node_info", "gauge", ("host", "pid"), "1; where a process runs"),
    Measure("geostream_connections", "gauge", ("dialect",), "open connections, pollers too"),
    Measure(
        "geostream_refused_total",
        "counter",
        ("limit",),
        "connections refused: too many of the process, the address or the user; a ban; a handshake that took too long",
    ),
    Measure("geostream_closed_total", "counter", ("dialect", "code"), "connections that ended, by the name of the close code, or `client`"),
    Measure("geostream_messages_received_total", "counter", ("dialect",), "messages from clients"),
    Measure("geostream_messages_sent_total", "counter", ("dialect",), "messages to clients"),
    Measure("geostream_slowed_total", "counter", (), "messages handled later because their client sent too many, or too large ones"),
    Measure("geostream_bans", "gauge", (), "users and addresses that are banned"),
    Measure("geostream_outbox_messages", "gauge", (), "messages that wait for clients"),
    Measure("geostream_outbox_messages_max", "gauge", (), "messages that wait for the client with the most"),
    Measure("geostream_outbox_bytes", "gauge", (), "bytes that wait for clients"),
    Measure("geostream_outbox_bytes_max", "gauge", (), "bytes that wait for the client with the most"),
    Measure("geostream_feeds", "gauge", (), "feeds that are followed: layers, events, tilesets, presence"),
    Measure("geostream_views", "gauge", (), "subscriptions to feeds"),
    Measure("geostream_feed_lag", "gauge", (), "changes announced and not read yet, of the feed with the most"),
    Measure("geostream_work_seconds_total", "counter", (), "processor time that the threads for costly work have used"),
    Measure("geostream_work_waiting", "gauge", (), "pieces of costly work that wait for a thread"),
    Measure("geostream_work_refused_total", "counter", (), "pieces of costly work refused because too many of the same client waited"),
    Measure("geostream_loop_blocked_total", "counter", ("part", "work"), "pieces of work that kept the event loop for more than 10 ms"),
    Measure("geostream_loop_blocked_seconds_total", "counter", ("part", "work"), "how long these took together"),
    Measure("geostream_loop_lag_seconds", "gauge", (), "the longest that the event loop was late in the last 30 seconds"),
)
"""What the engine itself measures."""
