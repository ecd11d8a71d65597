"""Topics: named places where clients meet. This is what a Django project imports to write its own.

from streaming.topics import Channel, Refused, Reply, topic
"""

from __future__ import annotations

from .channel import Channel, Push, Refused, Reply, Stop
from .routes import topic
from .sending import abroadcast, broadcast

__all__ = ["Channel", "Push", "Refused", "Reply", "Stop", "abroadcast", "broadcast", "topic"]
