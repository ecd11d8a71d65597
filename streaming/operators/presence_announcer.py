"""Announces joins and leaves of topics to operators and backends: `channel.add`, `channel.remove`, `channel.join`, `channel.leave`.

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
    """A member has joined a topic or left it. `count` and, if they are few, `agents` are who is there now."""

    joined: bool
    topic: str
    agent: str
    user: str
    count: int
    agents: list[str] | None

    def payload(self) -> dict[str, Any]:
        """The payload of `channel.join` and `channel.leave`."""
        payload = {"agent": self.agent, "user": self.user, "channel": self.topic, "count": self.count}
        return payload if self.agents is None else {**payload, "agents": self.agents}


class PresenceAnnouncer:
    """Publishes the events of presence in the background: one look at Redis for all that happened meanwhile."""

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

    def _add(self, event: PresenceEvent) -> None:
        self._waiting.append(event)
        if not self._busy:
            self._busy = True
            self._topics.spawn(self._announce())

    async def _announce(self) -> None:
        try:
            while self._waiting:
                events = list(self._waiting)
                self._waiting.clear()
                await self._announce_all(events)
        finally:
            self._busy = False

    async def _announce_all(self, events: list[PresenceEvent]) -> None:
        channels = await self._channels() if any(event.count <= len(events) for event in events) else {}
        announce = self._topics.bridge.announce
        # The events of one look at a topic: if as many members joined together as are there now, nobody was there before.
        for (joined, topic, count), group in groupby(events, key=lambda event: (event.joined, event.topic, event.count)):
            together = list(group)
            dynamic = topic not in ALWAYS
            if dynamic and joined and count == len(together):
                announce(ADMIN, "channel.add", {"channel": topic, **channels})
            for event in together:
                announce(ADMIN, "channel.join" if joined else "channel.leave", event.payload())
            if dynamic and not joined and not count:
                announce(ADMIN, "channel.remove", {"channel": topic, **channels})

    async def _channels(self) -> dict[str, list[str]]:
        try:
            channels = {*ALWAYS, *await self._topics.presence.topics(MOST_CHANNELS + 1)}
        except StreamError:
            return {}
        few = len(channels) <= MOST_CHANNELS and sum(map(len, channels)) <= MOST_CHARACTERS
        return {"channels": sorted(channels)} if few else {}
