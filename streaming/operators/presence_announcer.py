"""What operators and backends are told of comings and goings: `channel.add`, `channel.remove`, `channel.join`, `channel.leave`.

They are published as `to:admin:<event>`, in the order in which they happened, by the process that made them so in Redis.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from streaming.core.errors import StreamError

if TYPE_CHECKING:
    from streaming.topics.service import Topics

ADMIN = "admin"
ALWAYS = (ADMIN, "phoenix", "system")
"""Topics that are there also when nobody is on them."""
MOST_CHANNELS = 1000
MOST_CHARACTERS = 16 * 1024
"""Of more topics, or longer names, there is no list: who opens one topic after the other would have it sent each time."""
MOST_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """Somebody came to a topic or left it. `count` and, if they are few, `agents` are who is there now."""

    came: bool
    topic: str
    agent: str
    user: str
    count: int
    agents: list[str] | None

    def told(self) -> dict[str, Any]:
        """The payload of `channel.join` and `channel.leave`."""
        told = {"agent": self.agent, "user": self.user, "channel": self.topic, "count": self.count}
        return told if self.agents is None else {**told, "agents": self.agents}


class PresenceAnnouncer:
    """Announces what presence tells it, behind: one look at Redis for all that happened meanwhile."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._waiting: deque[PresenceEvent] = deque(maxlen=MOST_WAITING)
        self._busy = False
        topics.presence.on_joined = self._joined
        topics.presence.on_left = self._left

    def _joined(self, topic: str, member_id: str, key: str, count: int, agents: list[str] | None) -> None:
        self._add(PresenceEvent(True, topic, member_id, key, count, agents))

    def _left(self, topic: str, member_id: str, key: str, count: int, agents: list[str] | None) -> None:
        self._add(PresenceEvent(False, topic, member_id, key, count, agents))

    def _add(self, passage: PresenceEvent) -> None:
        self._waiting.append(passage)
        if not self._busy:
            self._busy = True
            self._topics.spawn(self._announce())

    async def _announce(self) -> None:
        try:
            while self._waiting:
                passages = list(self._waiting)
                self._waiting.clear()
                await self._announce_all(passages)
        finally:
            self._busy = False

    async def _announce_all(self, passages: list[PresenceEvent]) -> None:
        channels = await self._channels() if any(passage.count <= len(passages) for passage in passages) else {}
        announce = self._topics.bridge.announce
        # What one look at a topic found: those who came together are as many as are there if nobody was there before.
        for (came, topic, count), group in groupby(passages, key=lambda passage: (passage.came, passage.topic, passage.count)):
            together = list(group)
            dynamic = topic not in ALWAYS
            if dynamic and came and count == len(together):
                announce(ADMIN, "channel.add", {"channel": topic, **channels})
            for passage in together:
                announce(ADMIN, "channel.join" if came else "channel.leave", passage.told())
            if dynamic and not came and not count:
                announce(ADMIN, "channel.remove", {"channel": topic, **channels})

    async def _channels(self) -> dict[str, list[str]]:
        try:
            channels = {*ALWAYS, *await self._topics.presence.topics(MOST_CHANNELS + 1)}
        except StreamError:
            return {}
        few = len(channels) <= MOST_CHANNELS and sum(map(len, channels)) <= MOST_CHARACTERS
        return {"channels": sorted(channels)} if few else {}
