"""The topics of the operators."""

from __future__ import annotations

from streaming.topics.routes import topic

from .channel import AdminChannel
from .feed_channel import FeedsChannel
from .monitor_channel import MonitorChannel

topicpatterns = [topic("admin", AdminChannel), topic("admin:feeds", FeedsChannel), topic("monitor", MonitorChannel)]
