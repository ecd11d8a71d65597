"""One topic's presence as this process tells it to its members.

Whoever comes is given the state as soon as they are in it themselves, and from then on what changes: not each change, but every so often
the difference between what was told and what is. In a large room only the number is told, for lists would grow with its square.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from streaming.core.items import Change, Item
from streaming.core.replica import Replica
from streaming.engine.conf import conf

from .messages import TopicMessage
from .presence_diff import Picture, difference, encoded_state
from .rooms import Encoded, Member, Rooms

logger = logging.getLogger(__name__)

COUNT_SECONDS = 1.0
"""Least time between two counts told."""
CALMER = 0.8
"""Part of the most members that are listed, below which a large room is listed again."""

Missing = Callable[[str, list[str]], None]


class Timer(Protocol):
    """Something that is to be done later."""

    def cancel(self) -> None:
        """Do not do it."""


class Clock(Protocol):
    """The time of rooms: that of the event loop, or one that tests turn by hand."""

    def time(self) -> float:
        """Seconds since some moment."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call after so many seconds."""


class PresenceRoom:
    """Observes the feed of a topic while somebody here is told of it.

    `missing` is called with members of this process that should be in it and are not.
    """

    def __init__(self, topic: str, rooms: Rooms, missing: Missing, clock: Clock | None = None) -> None:
        self.topic = topic
        self.tracked: set[str] = set()
        self.replica: Replica | None = None
        self.closed = False
        self._rooms = rooms
        self._missing = missing
        self._clock = clock or asyncio.get_running_loop()
        self._waiting: dict[str, Member] = {}  # without a state yet
        self._listing: dict[str, Member] = {}
        self._counting: dict[str, Member] = {}
        self._crowded = False
        self._shown: dict[str, Item] = {}  # what those who list were told
        self._changed: dict[str, None] = {}  # members that may differ from what is shown
        self._fresh: list[tuple[set[str], Picture]] = []  # who was told otherwise: their state was newer than what is shown
        self._told_count = -1
        self._counted_at = 0.0
        self._timers: dict[Callable[[], None], Timer] = {}

    # -- who is told -------------------------------------------------------

    def __contains__(self, member: Member) -> bool:
        return any(member.id in some for some in (self._waiting, self._listing, self._counting))

    @property
    def empty(self) -> bool:
        """Whether nobody here is told."""
        return not (self._waiting or self._listing or self._counting)

    def add(self, member: Member) -> None:
        """The member is given the state once they are in it, then what changes."""
        self._waiting[member.id] = member

    def hide(self, member: Member) -> None:
        """The member is not shown any more, and still told of the others."""
        self.tracked.discard(member.id)
        if member.id in self._waiting and self.replica is not None:
            self._refresh()

    def remove(self, member: Member) -> None:
        """The member is told nothing any more."""
        self.tracked.discard(member.id)
        for some in (self._waiting, self._listing, self._counting):
            some.pop(member.id, None)

    def open(self, replica: Replica) -> None:
        """From now on there is something to tell."""
        self.replica = replica
        replica.observe(self)
        self._find_missing()
        self._shown = {key: item for key, item in replica.items.items() if key not in self._waiting}
        self._changed = dict.fromkeys(key for key in self._waiting if key in replica.items)
        self._refresh()

    def close(self) -> None:
        """Nobody here is told any more."""
        self.closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self.replica is not None:
            self.replica.unobserve(self)

    # -- what the replica says ---------------------------------------------

    def changed(self, changes: Sequence[Change]) -> None:
        """What happened in one turn."""
        self._changed.update((change.key, None) for change in changes)
        if any(change.new is None and change.key in self.tracked for change in changes):
            self._find_missing()
        self._refresh()

    def replaced(self) -> None:
        """Anything may have changed."""
        self._changed = dict.fromkeys([*self._shown, *self._items])
        for _, picture in self._fresh:
            self._changed.update(dict.fromkeys(picture))
        self._find_missing()
        self._refresh()

    @property
    def _items(self) -> Mapping[str, Item]:
        return {} if self.replica is None else self.replica.items

    def _find_missing(self) -> None:
        """Redis lost them, or they were swept because this process seemed dead."""
        if missing := [key for key in self.tracked if key not in self._items]:
            self._missing(self.topic, missing)

    # -- what is told ------------------------------------------------------

    def _refresh(self) -> None:
        self._choose_mode()
        self._welcome()
        if self._crowded:
            self._changed.clear()
        elif self._changed:
            self._after(conf.PRESENCE_BATCH_SECONDS, self._tell_changes)
        if self._count_listeners and len(self._items) != self._told_count:
            since = self._clock.time() - self._counted_at
            self._after(max(conf.PRESENCE_BATCH_SECONDS, COUNT_SECONDS - since), self._tell_count)

    def _choose_mode(self) -> None:
        count = len(self._items)
        if not self._crowded and count > conf.PRESENCE_LIST:
            self._crowded = True
            self._shown = {}
            self._fresh.clear()
            self._tell(self._listing, "presence_state", b"{}")
            self._told_count = -1
        elif self._crowded and count < CALMER * conf.PRESENCE_LIST:
            self._crowded = False
            self._shown = {key: item for key, item in self._items.items() if key not in self._waiting}
            self._changed = dict.fromkeys(key for key in self._waiting if key in self._items)
            self._tell(self._listing, "presence_state", encoded_state(self._shown.values()))

    def _welcome(self) -> None:
        """Give the state to those who are in it now."""
        ready = [member for key, member in self._waiting.items() if key in self._items or key not in self.tracked]
        listing = []
        for member in ready:
            del self._waiting[member.id]
            if _wants_count(member):
                self._counting[member.id] = member
                self._give_count(member)
            else:
                self._listing[member.id] = member
                listing.append(member)
        if self._crowded:
            for member in listing:
                self._give_count(member)
        elif listing:
            self._give_state(listing)

    def _give_state(self, members: list[Member]) -> None:
        state = encoded_state(self._items.values())
        for member in members:
            member.push("presence_state", state)
        self._fresh.append(({member.id for member in members}, {key: self._items.get(key) for key in self._changed}))

    def _give_count(self, member: Member) -> None:
        member.push("presence_state", b"{}")
        member.push("presence_count", _encoded_count(len(self._items)))

    def _tell_changes(self) -> None:
        diff = difference(self._changed, self._items, self._shown)
        others = dict(self._listing)
        for ids, picture in self._fresh:
            if _differs(picture, self._shown, self._items):
                group = {key: others.pop(key) for key in ids if key in others}
                own = difference(self._changed, self._items, self._shown, {**self._shown, **picture})
                self._tell(group, "presence_diff", own.encoded())
        if diff:
            self._tell(others, "presence_diff", diff.encoded())
        for key in self._changed:
            item = self._items.get(key)
            if item is None:
                self._shown.pop(key, None)
            else:
                self._shown[key] = item
        self._changed.clear()
        self._fresh.clear()

    @property
    def _count_listeners(self) -> dict[str, Member]:
        return {**self._counting, **self._listing} if self._crowded else self._counting

    def _tell_count(self) -> None:
        count = len(self._items)
        if count != self._told_count:
            self._told_count = count
            self._counted_at = self._clock.time()
            self._tell(self._count_listeners, "presence_count", _encoded_count(count))

    def _tell(self, members: Mapping[str, Member], event: str, payload: bytes) -> None:
        run, shared = [TopicMessage(self.topic, event, payload)], Encoded()
        for member in list(members.values()):
            try:
                member.deliver(run, shared)
            except Exception:
                logger.exception("presence on %s could not be told", self.topic)
                member.outbox.on_slow("presence could not be told; reconnect")
        room = self._rooms.get(self.topic)
        if room is not None:
            room.published += 1
            room.delivered += len(members)

    def _after(self, seconds: float, job: Callable[[], None]) -> None:
        """Do it then, unless it is to be done sooner already."""

        def due() -> None:
            del self._timers[job]
            job()

        if job not in self._timers:
            self._timers[job] = self._clock.call_later(max(seconds, 0), due)


def _wants_count(member: Member) -> bool:
    return member.channel is not None and member.channel.presence == "count"


def _encoded_count(count: int) -> bytes:
    return b'{"count":%d}' % count


def _differs(picture: Picture, shown: Picture, now: Picture) -> bool:
    """Whether those who were given this picture must be told something else than the others."""
    return any(
        _value(item) not in (_value(shown.get(key)), _value(now.get(key)))
        or (_value(now.get(key)) == _value(shown.get(key)) != _value(item))
        for key, item in picture.items()
    )


def _value(item: Item | None) -> bytes | None:
    return None if item is None else item.value
