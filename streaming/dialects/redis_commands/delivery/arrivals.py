"""Messages that have arrived and wait for a turn of the event loop: in order, and bounded.

Beyond the bounds the oldest of the channel that has most of them go: a flood of one channel costs the others nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush

from .lanes import MAX_WAITING, MAX_WAITING_BYTES, Message

_EACH = MAX_WAITING_BYTES // MAX_WAITING
"""What a message counts besides its bytes, where channels are compared."""


class _Source:
    """The messages of one channel or layer."""

    __slots__ = ("dropped", "messages", "name", "weight")

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.messages: deque[Message] = deque()
        self.weight = 0
        self.dropped = 0
        """How many of its places in the order of all are empty: the first ones."""


class Arrivals:
    """The messages of all sources in the order in which they came."""

    def __init__(self) -> None:
        self._order: deque[_Source] = deque()
        self._sources: dict[Hashable, _Source] = {}
        self._count = self._bytes = self._kept = 0

    def __len__(self) -> int:
        return self._count + self._kept

    @property
    def too_many_kept(self) -> bool:
        """Whether there are more than should be of those that may not be dropped."""
        return self._kept > MAX_WAITING

    def add(self, message: Message) -> None:
        """A message comes after all others."""
        source = self._sources.get(message.source)
        if source is None:
            source = self._sources[message.source] = _Source(message.source)
        source.messages.append(message)
        source.weight += _EACH + message.size
        self._order.append(source)
        self._counted(message, 1)

    def pop(self) -> Message:
        """The oldest; IndexError if there is none."""
        while (source := self._order.popleft()).dropped:
            source.dropped -= 1
        return self._remove(source)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._order.clear()
        self._sources.clear()
        self._count = self._bytes = self._kept = 0

    def drop_excess(self) -> Iterator[Message]:
        """Drop what is too much, of those sources that have most."""
        if self._fit():
            return
        most = [(-source.weight, at, source) for at, source in enumerate(self._sources.values()) if source.messages[0].may_be_dropped]
        heapify(most)
        while not self._fit():
            _, at, source = heappop(most)
            next_weight = -most[0][0] if most else 0
            while source.messages and source.weight >= next_weight and not self._fit():
                source.dropped += 1
                yield self._remove(source)
            if source.messages:
                heappush(most, (-source.weight, at, source))

    def _fit(self) -> bool:
        return self._count <= MAX_WAITING and (self._bytes <= MAX_WAITING_BYTES or self._count <= 1)

    def _remove(self, source: _Source) -> Message:
        message = source.messages.popleft()
        source.weight -= _EACH + message.size
        if not source.messages:
            del self._sources[source.name]
        self._counted(message, -1)
        return message

    def _counted(self, message: Message, number: int) -> None:
        if message.may_be_dropped:
            self._count += number
            self._bytes += number * message.size
        else:
            self._kept += number
