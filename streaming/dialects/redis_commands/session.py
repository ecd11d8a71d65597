"""The session of one client of the Redis commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.module_loading import import_string

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .envelopes import error, greeting

if TYPE_CHECKING:
    from streaming.engine.client_connection import ClientConnection


class RedisSession:
    """Passes messages to the client's commands, and cleans up after them."""

    dialect: ClassVar[str] = "redis"
    spare_pings = False

    def __init__(self, connection: ClientConnection) -> None:
        # What these need takes a moment to import.
        from .commands import RedisCommands
        from .service import RedisCommandsService

        kind = import_string(conf.REDIS_COMMANDS) if conf.REDIS_COMMANDS else RedisCommands
        self.commands: RedisCommands = kind(connection, connection.runtime.service(RedisCommandsService))
        self.since = time.time()
        self.revision = 0
        self.commands.send(greeting())

    async def receive(self, data: str | bytes) -> None:
        """Handle one message."""
        await self.commands.receive(data)
        self.revision = self.commands.subscriber.revision

    def describe(self) -> list[dict[str, Any]]:
        """The channels, patterns and layers, for the admin."""
        subscriber = self.commands.subscriber
        kinds = (("channel", subscriber.channels), ("pattern", subscriber.patterns), ("layer", subscriber.layers))
        names = [(name, kind) for kind, names in kinds for name in names]
        counts = {"waiting": subscriber.waiting, "dropped": subscriber.dropped, "since": self.since}
        return [{"id": name, "kind": kind, "feed": name, "filter": self.commands.filters.describe(), **counts} for name, kind in names]

    def tick(self, now: float) -> None:
        """A subscription may have ended without a message of the client: it has lost the right to it."""
        self.revision = self.commands.subscriber.revision

    def access_changed(self) -> None:
        """End the subscriptions to what the client may not read any more."""
        self.commands.service.review(self.commands)

    def expire(self, reason: StreamError) -> None:
        """Send the reason why the connection is about to be closed, or why a command was not carried out."""
        self.commands.send(error("unavailable" if reason.code == "internal" else "forbidden", reason.message))

    def close(self) -> None:
        """End all subscriptions."""
        self.commands.service.remove(self.commands)
