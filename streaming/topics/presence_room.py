"""Delivers the presence of one topic to its members in this process.

A member receives the state as soon as it is in it itself, and from then on what changes: not each change, but every so often the
difference between the state it holds and the present one. In a large room members receive only their number, for lists would grow with
its square.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from streaming.core.follower import Replacement
from streaming.core.items import Change, Item
from streaming.core.replica import Replica
from streaming.engine.conf import conf

from .messages import TopicMessage
from .presence_diff import Picture, difference, encoded_state
from .rooms import Member, Rooms

logger = logging.getLogger(__name__)

COUNT_SECONDS = 1.0
"""Least time between two deliveries of the count."""
LIST_AGAIN_BELOW = 0.8
"""A large room is listed again once it has fewer members than this part of `GEOSTREAM_PRESENCE_LIST`."""

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
    """Observes the feed of a topic while members in this process receive its presence.

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
        self._shown: dict[str, Item] = {}  # the state that listing members hold
        self._changed: dict[str, None] = {}  # members that may differ from what is shown
        self._fresh: list[tuple[set[str], Picture]] = []  # members that hold another state, newer than what is shown
        self._last_count = -1
        self._counted_at = 0.0
        self._timers: dict[Callable[[], None], Timer] = {}

    # -- subscribers -------------------------------------------------------

    def __contains__(self, member: Member) -> bool:
        return any(member.id in some for some in (self._waiting, self._listing, self._counting))

    @property
    def empty(self) -> bool:
        """Whether there are no subscribers."""
        return not (self._waiting or self._listing or self._counting)

    def add(self, member: Member) -> None:
        """The member receives the state once it is in it, then what changes."""
        self._waiting[member.id] = member

    def hide(self, member: Member) -> None:
        """The member is not shown any more, and still receives the presence of the others."""
        self.tracked.discard(member.id)
        if member.id in self._waiting and self.replica is not None:
            self._refresh()

    def remove(self, member: Member) -> None:
        """The member receives nothing any more."""
        self.tracked.discard(member.id)
        for some in (self._waiting, self._listing, self._counting):
            some.pop(member.id, None)

    def open(self, replica: Replica) -> None:
        """Begin to deliver: the replica is there."""
        self.replica = replica
        replica.observe(self)
        self._find_missing()
        self._shown = {key: item for key, item in replica.items.items() if key not in self._waiting}
        self._changed = dict.fromkeys(key for key in self._waiting if key in replica.items)
        self._refresh()

    def close(self) -> None:
        """Deliver nothing any more."""
        self.closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self.replica is not None:
            self.replica.unobserve(self)

    # -- changes of the replica --------------------------------------------

    def changed(self, changes: Sequence[Change]) -> None:
        """What happened in one turn."""
        self._changed.update((change.key, None) for change in changes)
        if any(change.new is None and change.key in self.tracked for change in changes):
            self._find_missing()
        self._refresh()

    def replaced(self, different: Sequence[Replacement] | None = None) -> None:
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

    # -- delivery ----------------------------------------------------------

    def _refresh(self) -> None:
        self._choose_mode()
        self._send_first_state()
        if self._crowded:
            self._changed.clear()
        elif self._changed:
            self._after(conf.PRESENCE_BATCH_SECONDS, self._deliver_changes)
        if self._count_listeners and len(self._items) != self._last_count:
            since = self._clock.time() - self._counted_at
            self._after(max(conf.PRESENCE_BATCH_SECONDS, COUNT_SECONDS - since), self._deliver_count)

    def _choose_mode(self) -> None:
        count = len(self._items)
        if not self._crowded and count > conf.PRESENCE_LIST:
            self._crowded = True
            self._shown = {}
            self._fresh.clear()
            self._deliver(self._listing, "presence_state", b"{}")
            self._last_count = -1
        elif self._crowded and count < LIST_AGAIN_BELOW * conf.PRESENCE_LIST:
            self._crowded = False
            self._shown = {key: item for key, item in self._items.items() if key not in self._waiting}
            self._changed = dict.fromkeys(key for key in self._waiting if key in self._items)
            self._deliver(self._listing, "presence_state", encoded_state(self._shown.values()))

    def _send_first_state(self) -> None:
        """Send the state to waiting members that are in it now."""
        ready = [member for key, member in self._waiting.items() if key in self._items or key not in self.tracked]
        listing = []
        for member in ready:
            del self._waiting[member.id]
            if _wants_count(member):
                self._counting[member.id] = member
                self._send_count(member)
            else:
                self._listing[member.id] = member
                listing.append(member)
        if self._crowded:
            for member in listing:
                self._send_count(member)
        elif listing:
            self._send_state(listing)

    def _send_state(self, members: list[Member]) -> None:
        state = encoded_state(self._items.values())
        for member in members:
            member.push("presence_state", state)
        self._fresh.append(({member.id for member in members}, {key: self._items.get(key) for key in self._changed}))

    def _send_count(self, member: Member) -> None:
        member.push("presence_state", b"{}")
        member.push("presence_count", _encoded_count(len(self._items)))

    def _deliver_changes(self) -> None:
        diff = difference(self._changed, self._items, self._shown)
        others = dict(self._listing)
        for ids, picture in self._fresh:
            if _differs(picture, self._shown, self._items):
                group = {key: others.pop(key) for key in ids if key in others}
                own = difference(self._changed, self._items, self._shown, {**self._shown, **picture})
                self._deliver(group, "presence_diff", own.encoded())
        if diff:
            self._deliver(others, "presence_diff", diff.encoded())
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

    def _deliver_count(self) -> None:
        count = len(self._items)
        if count != self._last_count:
            self._last_count = count
            self._counted_at = self._clock.time()
            self._deliver(self._count_listeners, "presence_count", _encoded_count(count))

    def _deliver(self, members: Mapping[str, Member], event: str, payload: bytes) -> None:
        room = self._rooms.get(self.topic)
        if room is not None:
            self._rooms.deliver_to(room, [TopicMessage(self.topic, event, payload)], [*members.values()])

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
    """Whether members that hold this picture need another difference than the others."""
    return any(
        _value(item) not in (_value(shown.get(key)), _value(now.get(key)))
        or (_value(now.get(key)) == _value(shown.get(key)) != _value(item))
        for key, item in picture.items()
    )


def _value(item: Item | None) -> bytes | None:
    return None if item is None else item.value
