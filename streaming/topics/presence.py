"""Presence: who is on a topic, the same in every process.

What this process wants is written down at once (`join`, `update`, `leave`) and made so in Redis behind, by one task, again and again
until it is. Every write may be repeated, and a member that Redis lost is written anew: there is no state of things that does not mend.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.hub import Hub
from streaming.core.leases import Leases
from streaming.core.worker import Worker

from .presence_diff import metas_by_key
from .presence_entry import checked_key, checked_meta, first_meta, next_meta, stored_entry
from .presence_room import Clock, PresenceRoom
from .presence_store import OWNED, Answer, Operation, PresenceStore, presence_feed
from .rooms import Member, Rooms

logger = logging.getLogger(__name__)

BATCH = 100
"""Members written at a time: what others wait for while it is put together."""
OPENING = 16
"""Topics read at a time."""
SWEEPING = 100
STOP_SECONDS = 3.0

PresenceCallback = Callable[[str, str, str, int, list[str] | None], None]
"""Topic, member id, key, how many are there now and, if they are few, their ids."""


class Tracked:
    """A member of this process as it is to be shown."""

    __slots__ = ("announced", "gone", "key", "member", "meta", "sent", "stored", "value")

    def __init__(self, member: Member, key: str, meta: dict[str, Any], value: bytes) -> None:
        self.member = member
        self.key = key
        self.meta = meta
        self.value = value
        self.sent = False  # it may be in Redis
        self.stored = False  # it was
        self.announced = False
        self.gone = False


class Presence:
    """One process's side of presence."""

    def __init__(self, hub: Hub, rooms: Rooms, leases: Leases, clock: Clock | None = None) -> None:
        self.tracked: dict[str, Tracked] = {}
        """The members of this process that are shown, by id."""
        self.on_joined: PresenceCallback | None = None
        self.on_left: PresenceCallback | None = None
        self._hub = hub
        self._rooms = rooms
        self._clock = clock
        self._store = PresenceStore(hub.node)
        self._topics: dict[str, PresenceRoom] = {}
        self._unwritten: dict[str, Tracked] = {}
        self._writing: dict[str, Tracked] = {}
        self._unopened: dict[PresenceRoom, None] = {}
        self._repeating = False  # what is written next may have been written already
        self._stopped = False
        self._writer = Worker(self._write_some, lambda: self._unwritten)
        self._opener = Worker(self._open_some, lambda: self._unopened)
        leases.on_dead(self._sweep, OWNED)

    # -- members of this process -------------------------------------------

    def join(self, member: Member, key: str, meta: dict[str, Any]) -> None:
        """Show a member; returns at once. It is given the state once it is in it, and from then on all changes.

        One that is shown already is shown otherwise. `StreamError`: bad_request, too_large.
        """
        key, custom = checked_key(key), checked_meta(meta)
        if self._stopped:
            return
        tracked = self.tracked.get(member.id)
        room = self._room(member.topic)
        if tracked is not None:
            self._set(tracked, key, next_meta(tracked.meta, custom))
            return
        first = first_meta(member.id, custom)
        if member in room:  # it was shown before
            first = next_meta(first, custom)
        else:
            room.add(member)
        room.tracked.add(member.id)
        tracked = self.tracked[member.id] = Tracked(member, key, first, b"")
        if left := self._unwritten.get(member.id, self._writing.get(member.id)):
            tracked.sent, tracked.announced = left.sent, left.announced
        self._set(tracked, key, first)

    def update(self, member: Member, meta: dict[str, Any]) -> None:
        """Show something else about a member; `online_at` and `user` stay unless they are given. Nothing if it is not shown.

        `StreamError`: bad_request, too_large.
        """
        custom = checked_meta(meta)
        tracked = self.tracked.get(member.id)
        if tracked is not None:
            self._set(tracked, tracked.key, next_meta(tracked.meta, custom))

    def leave(self, member: Member) -> None:
        """Do not show a member any more. Unless it has left the topic it still receives the presence of the others."""
        room = self._topics.get(member.topic)
        if room is None:
            return
        tracked = self.tracked.pop(member.id, None)
        if tracked is not None:
            self._end(tracked)
        if member.room is None:
            room.remove(member)
        else:
            room.hide(member)
        if room.empty:
            room.close()
            del self._topics[member.topic]
            self._unopened.pop(room, None)
        elif room.replica is None:
            self._open(room)

    # -- queries -----------------------------------------------------------

    async def count(self, topic: str) -> int:
        """How many members a topic has, everywhere. `StreamError("redis_unavailable")`, as for all of these."""
        return await self._store.count(topic)

    async def members(self, topic: str) -> dict[str, list[dict[str, Any]]]:
        """The metas of everybody on a topic, by the key they are shown under."""
        metas = metas_by_key((await self._store.entries(topic)).values())
        return {key: [msgspec.json.decode(meta) for meta in some] for key, some in metas.items()}

    async def keys(self, topic: str) -> dict[str, str]:
        """The key that each member of a topic is shown under, by member id."""
        return {member_id: entry.key for member_id, entry in (await self._store.entries(topic)).items()}

    async def topics(self, most: int | None = None) -> list[str]:
        """Every topic that somebody is on; some of them if there are more than `most`."""
        return await self._store.topics(most)

    async def stop(self) -> None:
        """The process ends: its members leave at once. Where Redis is away, others sweep them when the lease has run out."""
        self._stopped = True
        await self._writer.stop()
        await self._opener.stop()
        for room in self._topics.values():
            room.close()
        self._topics.clear()
        for tracked in self.tracked.values():
            self._end(tracked)
        self.tracked.clear()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                while self._unwritten:
                    await self._write_some()
        except (StreamError, TimeoutError) as error:
            logger.warning("members of this process are shown until its lease has run out: %s", error)

    # -- writing -----------------------------------------------------------

    def _room(self, topic: str) -> PresenceRoom:
        room = self._topics.get(topic)
        if room is None:
            room = self._topics[topic] = PresenceRoom(topic, self._rooms, self._missing, self._clock)
        return room

    def _set(self, tracked: Tracked, key: str, meta: dict[str, Any]) -> None:
        tracked.key, tracked.meta = key, meta
        tracked.value = stored_entry(key, meta, self._hub.node)
        self._write(tracked)

    def _end(self, tracked: Tracked) -> None:
        tracked.gone = True
        if tracked.sent:
            self._write(tracked)
        else:
            self._unwritten.pop(tracked.member.id, None)

    def _write(self, tracked: Tracked) -> None:
        self._unwritten[tracked.member.id] = tracked
        self._writer.wake()

    def _missing(self, topic: str, ids: list[str]) -> None:
        again = [tracked for key in ids if (tracked := self.tracked.get(key)) is not None and tracked.stored]
        for tracked in again:
            tracked.stored = False
            self._write(tracked)
        logger.debug("%s members on %s seem not to be in Redis any more; they are tracked again", len(again), topic)

    async def _write_some(self) -> None:
        batch = self._writing = {key: self._unwritten.pop(key) for key in list(islice(self._unwritten, BATCH))}
        values = {key: tracked.value for key, tracked in batch.items() if not tracked.gone}
        for tracked in batch.values():
            tracked.sent = True
        try:
            answers = await self._store.write(self._operations(batch))
        except BaseException:
            self._unwritten = {**batch, **self._unwritten}
            self._repeating = True
            raise
        finally:
            self._writing = {}
        for answer in answers:
            self._settle(answer, batch, values)
        self._repeating = False

    def _operations(self, batch: dict[str, Tracked]) -> list[Operation]:
        """Who comes before who leaves: a topic is not emptied by a client that joins it anew."""
        tracking: dict[str, Operation] = {}
        removing: dict[str, Operation] = {}
        for key, tracked in batch.items():
            topic = tracked.member.topic
            if tracked.gone:
                removing.setdefault(topic, Operation(topic)).removed.append(key)
            else:
                tracking.setdefault(topic, Operation(topic)).tracked[key] = tracked.value
        for topic, operation in removing.items():
            room = self._topics.get(topic)
            operation.last = room is None or not room.tracked
        return [*tracking.values(), *removing.values()]

    def _settle(self, answer: Answer, batch: dict[str, Tracked], values: dict[str, bytes]) -> None:
        for key, outcome in answer.outcomes.items():
            if key in values:
                self._stored(batch[key], answer, outcome)
            elif outcome == "d" or self._repeating:
                _notify(self.on_left, answer, key, batch[key].key)
        room = self._topics.get(answer.topic)
        if room is not None and room.replica is None:
            self._open(room)

    def _stored(self, tracked: Tracked, answer: Answer, outcome: str) -> None:
        tracked.stored = True
        if outcome == "a" or not tracked.announced:
            tracked.announced = True
            _notify(self.on_joined, answer, tracked.member.id, tracked.key)

    # -- reading -----------------------------------------------------------

    def _open(self, room: PresenceRoom) -> None:
        self._unopened[room] = None
        self._opener.wake()

    async def _open_some(self) -> None:
        rooms = [room for room in islice(self._unopened, OPENING) if not room.closed]
        followed = await asyncio.gather(*(self._hub.replica(presence_feed(room.topic)) for room in rooms), return_exceptions=True)
        for room, replica in zip(rooms, followed, strict=True):
            if isinstance(replica, BaseException):
                raise replica
            self._unopened.pop(room, None)
            if not room.closed:
                room.open(replica)

    # -- the dead ----------------------------------------------------------

    async def _sweep(self, node: str) -> None:
        """A process is dead: its members leave."""
        topics = await self._store.owned(node)
        while topics:
            some, topics = topics[:SWEEPING], topics[SWEEPING:]
            for swept in await self._store.sweep(node, some):
                for key, entry in swept.entries.items():
                    _notify(self.on_left, swept, key, entry.key)
                if swept.more:
                    topics.append(swept.topic)


def _notify(callback: PresenceCallback | None, answer: Answer, member_id: str, key: str) -> None:
    if callback is None:
        return
    try:
        callback(answer.topic, member_id, key, answer.count, answer.ids)
    except Exception:
        logger.exception("that %s came to or left %s could not be reported", member_id, answer.topic)
