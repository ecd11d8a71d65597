"""Topics with a short history: a client that comes back receives what it missed.

The messages of such a topic are a feed, and members receive them from the feed only, so that there is one order and nothing comes twice.
Other topics are not touched by this at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from streaming.core.bus import Bus
from streaming.core.deliveries import Delivery
from streaming.core.feed import Cursor
from streaming.core.hub import Hub
from streaming.engine.conf import conf

from .history_store import (
    AFTERLIFE_SECONDS,
    PREFIX,
    RESERVED_EVENTS,
    check_reserved_event,
    is_command,
    keep,
    kept,
    prepare,
    topic_feed,
)
from .history_view import EVERYTHING, HistoryView
from .history_writer import RENEW_SECONDS, HistoryWriter, Spawn
from .messages import TopicMessage
from .names import is_allowed_event

if TYPE_CHECKING:
    from .rooms import Member


@dataclass(slots=True)
class Following:
    """A member that receives messages from the feed. `reply` belongs to the answer to its join; `missed` is sent after that."""

    view: HistoryView
    missed: list[Delivery]
    reply: dict[str, Any]

    def deliver_missed(self) -> None:
        """Send what was missed: the client has the reply."""
        self.view.bulk(self.missed)
        self.missed = []

    def end(self) -> None:
        """The member receives nothing any more, not even what waits."""
        self.view.leave()

    def describe(self) -> dict[str, int]:
        """For the admin."""
        return {"waiting": len(self.view.log), "dropped": self.view.log.dropped}


class History:
    """One process's side of the topics with history."""

    def __init__(self, bus: Bus, hub: Hub, spawn: Spawn) -> None:
        self.keeps = partial(kept, conf.TOPIC_HISTORY, conf.TOPICS, bool(conf.OPEN_TOPICS))
        self.writer = HistoryWriter(bus, hub.node, spawn)
        self._hub = hub

    async def start(self) -> None:
        """Take part in writing. `StreamError` if Redis does not answer."""
        await self.writer.renew()
        self._hub.every(RENEW_SECONDS, self.writer.renew)
        self._hub.every(AFTERLIFE_SECONDS / 10, self._hold)

    def takes(self, topic: str, event: str, payload: bytes) -> bool:
        """Whether a backend's message belongs to a history, not to the rooms. It is stored if backends may publish its event."""
        if not self.keeps(topic) or is_command(event):
            return False
        if payload and event not in RESERVED_EVENTS and is_allowed_event(event):
            self.writer.add(TopicMessage(topic, event, payload))
        return True

    async def follow(self, member: Member, last_id: str | None) -> Following:
        """Send a member what is published from now on, or from a cursor on. `StreamError`: invalid_cursor, redis_unavailable."""
        since = None if last_id is None else Cursor.parse(last_id)
        feed = topic_feed(member.topic)
        if feed.name not in self._hub.followers:
            await prepare([member.topic])
        tail = await self._hub.tail(feed)
        if since is not None:
            await self._hub.reach(tail, since)
        # Nothing awaits from here on, until the client has its answer.
        recovered = None if since is None else tail.reaches(since)
        missed = tail.missed(EVERYTHING, since)[0] if since is not None and recovered else []
        view = HistoryView(member)
        tail.join(view)
        place = last_id if missed else view.cursor
        return Following(view, missed, {"last_id": place, "recovered": recovered, "missed": len(missed)})

    async def publish(self, message: TopicMessage) -> None:
        """Publish a message of this server. `StreamError`: bad_request, redis_unavailable."""
        check_reserved_event(message)
        await keep([message])

    async def _hold(self) -> None:
        """The places of topics that somebody follows stay."""
        followed = [name.removeprefix(PREFIX) for name, tail in self._hub.followers.items() if name.startswith(PREFIX) and not tail.idle]
        for start in range(0, len(followed), 500):
            await prepare(followed[start : start + 500])
