"""Notices to members that messages may be missing: `gap`, where what Redis published did not reach this process.

Messages of topics with history come from the feed, which misses nothing that was written. They are missing only if no process has received
them; the process that then writes the history says so to all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from streaming.core.bus import Arrival, Bus

from .history_writer import MISSED
from .messages import TopicMessage
from .rooms import Room, Rooms

if TYPE_CHECKING:
    from .history import History
    from .history_writer import Spawn

EVENT = "gap"
_UNKNOWN = b'{"count":null}'
SLICE = 100
"""Rooms that are notified before others have a turn."""


class GapNotices:
    """Those of one process."""

    def __init__(self, bus: Bus, rooms: Rooms, spawn: Spawn, history: History | None) -> None:
        self._rooms = rooms
        self._spawn = spawn
        self._history = history
        bus.on_gap(self._missed)
        if history is not None:
            bus.on_channel(MISSED, self._history_missed)

    def _missed(self, count: int | None) -> None:
        """`count` is of all topics together, so it is not sent."""
        self._spawn(self._notify(lambda room: _notices(room) and not self._keeps(room.topic)))

    def _history_missed(self, arrivals: Sequence[Arrival]) -> None:
        self._spawn(self._notify(lambda room: self._keeps(room.topic)))

    def _keeps(self, topic: str) -> bool:
        return self._history is not None and self._history.keeps(topic)

    async def _notify(self, concerned: Callable[[Room], bool]) -> None:
        for number, room in enumerate(list(self._rooms.rooms.values()), 1):
            if room.members and concerned(room):
                self._rooms.deliver([TopicMessage(room.topic, EVENT, _UNKNOWN)])
            if number % SLICE == 0:
                await asyncio.sleep(0)


def _notices(room: Room) -> bool:
    channel = next(iter(room.members.values())).channel
    return channel is not None and channel.notices_gaps
