"""What one process runs for topics: the bus, the rooms, presence and the bridge to Redis. `runtime.topics` is where to find it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from streaming.core.bus import Bus
from streaming.engine.conf import conf
from streaming.operators.commands import kick
from streaming.operators.monitor import Monitor
from streaming.operators.presence_announcer import Announcer

from .bridge import Bridge
from .builtin.system import Clock
from .history import History
from .presence import Presence
from .rooms import Member, Rooms

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)


class Topics:
    """The topics of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.rooms = Rooms()
        self.bus = Bus()
        self.history = History(self.bus, runtime.hub, self.spawn) if conf.TOPIC_HISTORY else None
        self.bridge = Bridge(self.bus, self.rooms, runtime.hub.node, self.history)
        self.presence = Presence(runtime.hub, self.rooms, runtime.leases)
        self._tasks: set[asyncio.Task[None]] = set()
        self.announcer = Announcer(self)
        self.monitor = Monitor(self)

    async def start(self) -> None:
        """Listen, and tell the time."""
        await self.bus.start()
        if self.history is not None:
            await self.history.start()
        self.runtime.hub.every(1.0, Clock(self.rooms).tick)
        self.runtime.hub.on("topics.kick", lambda message: kick(self, message["agent"]))
        self.monitor.start()

    async def stop(self) -> None:
        """Everybody here has left."""
        for task in self._tasks:
            task.cancel()
        if self.history is not None:
            await self.history.keeper.stop()
        await self.presence.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        await self.bus.stop()

    def remove(self, member: Member) -> None:
        """The member is told nothing any more, and is not shown."""
        self.rooms.remove(member)
        self.presence.leave(member)

    async def farewell(self, member: Member) -> None:
        """The channel's last word."""
        if member.channel is not None:
            try:
                await member.channel.leave()
            except Exception:
                logger.exception("the channel of %s failed at leaving", member.topic)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that nobody waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
