"""Open topics: whoever has a token may come, what clients push goes to Redis, and what backends publish there comes to the clients."""

from __future__ import annotations

import asyncio
from typing import Any

from ..channel import Channel, Push, Reply, Stop


class OpenChannel(Channel):
    """A topic bridged to Redis: `from:<topic>:<event>` for backends, `to:<topic>:<event>` for clients."""

    presence = True

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """Needs a channel token for the topic."""
        self.member.key = self.authorize(params).id
        return {"id": self.member.id}

    async def joined(self) -> None:
        """Others see who came."""
        self.track(self.member.key)
        self.topics.bridge.joined(self.member)

    async def receive(self, push: Push) -> Reply | Stop | asyncio.Future[Reply] | None:
        """The bytes go to Redis as they are; the answer is given once it has them."""
        return self.topics.bridge.push(self, push)

    async def leave(self) -> None:
        """Backends may be told."""
        self.topics.bridge.left(self.member)
