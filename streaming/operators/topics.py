"""The topics of the operators."""

from __future__ import annotations

from streaming.topics.routes import topic

from .channel import AdminChannel
from .monitor_channel import MonitorChannel

topicpatterns = [topic("admin", AdminChannel), topic("monitor", MonitorChannel)]
