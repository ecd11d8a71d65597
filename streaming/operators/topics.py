"""The topics of the operators."""

from __future__ import annotations

from streaming.topics.routes import topic

from .channel import AdminChannel
from .connections_channel import ConnectionsChannel
from .feed_channel import FeedsChannel
from .monitor_channel import MonitorChannel

topicpatterns = [
    topic("admin", AdminChannel),
    topic("admin:connections", ConnectionsChannel),
    topic("admin:feeds", FeedsChannel),
    topic("monitor", MonitorChannel),
]
