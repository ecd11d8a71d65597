"""The topic `room:lobby` of `manage.py demo`: what one says, everybody hears, and the demo answers, so that nobody talks to a wall.

Otherwise it is an open topic: backends at Redis hear what is said, and may answer too.
"""

from __future__ import annotations

import asyncio
from typing import Any

from streaming.topics import Reply, topic
from streaming.topics.builtin.open import OpenChannel
from streaming.topics.channel import Push, Stop

NAME = "room:lobby"


class LobbyChannel(OpenChannel):
    """A room in which somebody is always there."""

    async def receive(self, push: Push) -> Reply | Stop | asyncio.Future[Reply] | None:
        """Say it to everybody, and answer."""
        answer = await super().receive(push)
        said: Any = push.payload
        words = said if isinstance(said, dict) else {"message": str(said)}
        await self.broadcast(push.event, {"by": self.member.key, **words})
        await self.broadcast(push.event, {"by": "GeoStream", "message": f"Hello {self.member.key}. Everybody in {NAME} has that now."})
        return answer


topicpatterns = [topic(NAME, LobbyChannel)]
