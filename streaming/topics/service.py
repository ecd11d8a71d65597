"""The service of topics in one process: the bus, the rooms, presence, histories and the bridge to Redis."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from streaming.core.bus import Bus
from streaming.core.tasks import TaskSet
from streaming.engine.conf import conf
from streaming.engine.login_review import LoginReview
from streaming.engine.measures import Sample
from streaming.engine.service import Service, TableWriter

from .bridge import Bridge
from .builtin.system import Clock
from .gap_notices import GapNotices
from .history import History
from .presence import Presence
from .presence_rows import PresenceRows
from .rooms import Member, Rooms
from .token_logins import TokenLogins
from .tokens import announce_open_tokens

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)


class Topics(Service):
    """The topics of one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.rooms = Rooms(runtime.hub.turns)
        self.bus = Bus(most_waiting_bytes=conf.BUS_WAITING_BYTES)
        self.history = History(self.bus, runtime.hub, self.spawn) if conf.TOPIC_HISTORY else None
        self.bridge = Bridge(self.bus, self.rooms, runtime.hub.node, self.history)
        self.presence = Presence(runtime.hub, self.rooms, runtime.leases)
        self.token_logins = TokenLogins(runtime.service(LoginReview), self.spawn)
        GapNotices(self.bus, self.rooms, self.spawn, self.history)
        self._rows = PresenceRows(self.presence)
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Receive from Redis, and send the time to the topic `system` every second."""
        announce_open_tokens()
        await self.bus.start()
        if self.history is not None:
            await self.history.start()
        self.runtime.hub.every(1.0, Clock(self.rooms).tick)

    async def stop(self) -> None:
        """End all members of this process."""
        self._tasks.cancel()
        if self.history is not None:
            await self.history.writer.stop()
        await self.presence.stop()
        await self._tasks.wait(1.0)
        await self.bus.stop()

    def collect(self) -> Iterable[Sample]:
        """Topics, members, messages and the bus."""
        rooms = self.rooms
        members, published, delivered, dropped = 0, rooms.past_published, rooms.past_delivered, rooms.past_dropped
        for room in rooms.rooms.values():
            members += len(room.members)
            published += room.published
            delivered += room.delivered
            dropped += room.dropped
        yield "geostream_topics", (), len(rooms.rooms)
        yield "geostream_members", (), members
        yield "geostream_topic_messages_total", (), published
        yield "geostream_topic_deliveries_total", (), delivered
        yield "geostream_topic_dropped_total", (), dropped
        yield "geostream_bus_connected", (), self.bus.connected
        yield "geostream_bus_gaps_total", (), self.bus.gaps
        yield "geostream_bus_dropped_total", (), self.bus.dropped

    def health(self) -> Mapping[str, bool]:
        """Whether messages of Redis arrive."""
        return {"bus": self.bus.connected}

    def table_writer(self) -> TableWriter:
        """The rows of who is on which topic."""
        return self._rows

    def add(self, member: Member) -> None:
        """The member receives messages from now on."""
        self.rooms.add(member)
        self.token_logins.add(member)

    def remove(self, member: Member) -> None:
        """The member is sent nothing any more, and is not shown."""
        self.rooms.remove(member)
        self.token_logins.remove(member)
        self.presence.leave(member)

    async def notify_leave(self, member: Member) -> None:
        """Let the member's channel clean up."""
        if member.channel is not None:
            try:
                await member.channel.leave()
            except Exception:
                logger.exception("the channel of %s failed at leaving", member.topic)
            member.channel = None  # each has the other

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background."""
        self._tasks.spawn(work)
