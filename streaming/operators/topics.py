"""The topic of the operators."""

from __future__ import annotations

from streaming.topics.routes import topic

from .channel import AdminChannel

topicpatterns = [topic("admin", AdminChannel)]
