"""Topics: named places where clients meet. This is what a Django project imports to write its own.

from streaming.topics import Channel, Refused, Reply, topic
"""

from __future__ import annotations

from streaming.topics.publishing import abroadcast, broadcast

from .channel import Channel, Push, Refused, Reply, Stop
from .routes import topic

__all__ = ["Channel", "Push", "Refused", "Reply", "Stop", "abroadcast", "broadcast", "topic"]
