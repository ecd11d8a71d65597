"""One client of the Redis commands, as the connection sees it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from streaming.core.errors import StreamError

from .envelopes import error, greeting

if TYPE_CHECKING:
    from streaming.engine.client_connection import ClientConnection


class RedisSession:
    """Passes messages to the commands, and cleans up after them."""

    dialect: ClassVar[str] = "redis"
    spare_pings = False

    def __init__(self, connection: ClientConnection) -> None:
        from .service import RedisService  # what it needs takes a moment to import

        service = connection.runtime.service(RedisService)
        self.commands = service.commands(connection)
        self.since = time.time()
        self.revision = 0
        self.commands.send(greeting())

    async def receive(self, data: str | bytes) -> None:
        """Handle one message."""
        await self.commands.receive(data)
        self.revision = self.commands.listener.revision

    def describe(self) -> list[dict[str, Any]]:
        """The channels, patterns and layers, for the admin."""
        listener = self.commands.listener
        kinds = (("channel", listener.channels), ("pattern", listener.patterns), ("layer", listener.layers))
        names = [(name, kind) for kind, names in kinds for name in names]
        counts = {"waiting": listener.waiting, "dropped": listener.dropped, "since": self.since}
        return [{"id": name, "kind": kind, "feed": name, "filter": self.commands.filters.described(), **counts} for name, kind in names]

    def tick(self, now: float) -> None:
        """Who lost the right to something listens to less without having said anything."""
        self.revision = self.commands.listener.revision

    def access_changed(self) -> None:
        """What may be read may have changed."""
        self.commands.service.review(self.commands)

    def expire(self, reason: StreamError) -> None:
        """Say why the connection is about to be closed, or why a command was not carried out."""
        self.commands.send(error("unavailable" if reason.code == "internal" else "forbidden", reason.message))

    def close(self) -> None:
        """Listen to nothing any more."""
        self.commands.service.remove(self.commands)
