"""The WebSocket consumer of the Redis commands."""

from __future__ import annotations

from typing import ClassVar

from streaming.engine.conf import conf
from streaming.engine.session import Session
from streaming.engine.websocket import WebSocketConnection

from .session import RedisSession


class RedisConnection(WebSocketConnection):
    """A WebSocket that speaks the Redis commands. A connection without subscriptions may stay: clients ask once in a while."""

    session_class: ClassVar[type[Session]] = RedisSession

    @property
    def most_bytes(self) -> int:
        """Commands are short."""
        return int(conf.REDIS_COMMAND_BYTES)
