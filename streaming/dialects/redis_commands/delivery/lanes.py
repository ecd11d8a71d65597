"""What waits for its turn because a message before it, of the same channel or layer, is still being prepared: in order, and bounded.

Of channels whose policy is to keep the latest of each feature a newer message replaces the one that waits; changes of layers are merged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from .messages import Publication
from .subscriber_index import SubscriberIndex

MAX_WAITING, MAX_WAITING_BYTES = 10_000, 64 * 1024 * 1024
"""Messages of channels that wait to be prepared, in all, and their bytes; beyond, the oldest of the longest lane is dropped."""


class Message(Protocol):
    """One message on its way to subscribers."""

    size: int
    """Bytes to be looked at."""
    may_be_dropped: bool
    """Whether there is no other way to stay within bounds."""

    @property
    def source(self) -> Hashable:
        """The channel or layer: messages of one are sent in order."""

    @property
    def key(self) -> Hashable:
        """What it is about, if a newer message about the same replaces it while it waits; else None."""

    def indexes(self) -> Sequence[SubscriberIndex]:
        """Where its subscribers are."""

    def publication(self) -> Publication:
        """What is sent; made in a thread if it is large. Raises what is wrong with it."""

    def replace(self, older: Any) -> None:
        """It stands for an older one too, which is not sent."""

    def drop(self) -> None:
        """It is not sent: there was too much."""


class Lane:
    """The messages of one source that wait."""

    def __init__(self, bounded: bool) -> None:
        self.bounded = bounded
        self.bytes = 0
        self._messages: deque[Message] = deque()
        self._latest: dict[Hashable, Message] = {}
        self._replaced: set[int] = set()

    def __len__(self) -> int:
        return len(self._messages) - len(self._replaced)

    def append(self, message: Message) -> bool:
        """Add a message; False if it replaces one that waits."""
        older = None if message.key is None else self._latest.get(message.key)
        if older is not None:
            message.replace(older)
            self.bytes -= older.size
            self._replaced.add(id(older))
        if message.key is not None:
            self._latest[message.key] = message
        self._messages.append(message)
        self.bytes += message.size
        return older is None

    def pop(self) -> Message:
        """The oldest that was not replaced; IndexError if there is none."""
        while True:
            message = self._messages.popleft()
            if id(message) in self._replaced:
                self._replaced.discard(id(message))
                continue
            if self._latest.get(message.key) is message:
                del self._latest[message.key]
            self.bytes -= message.size
            return message


class Lanes:
    """All of a process. The lane of a source is there while a message of it is being prepared."""

    def __init__(self) -> None:
        self.dropped = 0
        """Messages that came faster than they could be prepared, and are not sent."""
        self.replaced = 0
        """Messages that were replaced by a newer one about the same."""
        self._lanes: dict[Hashable, Lane] = {}

    def __contains__(self, source: Hashable) -> bool:
        return source in self._lanes

    def open(self, message: Message) -> None:
        """From now on messages of the same source wait."""
        self._lanes[message.source] = Lane(message.may_be_dropped)

    def append(self, message: Message) -> None:
        """A message waits behind those before it."""
        if not self._lanes[message.source].append(message):
            self.replaced += 1
        while self._too_much():
            lane = max((lane for lane in self._lanes.values() if lane.bounded), key=lambda each: (each.bytes, len(each)))
            lane.pop().drop()
            self.dropped += 1

    def close(self, source: Hashable) -> list[Message]:
        """No message of this source is being prepared any more; returns those that waited."""
        lane = self._lanes.pop(source)
        return [lane.pop() for _ in range(len(lane))]

    def _too_much(self) -> bool:
        bounded = [lane for lane in self._lanes.values() if lane.bounded]
        return sum(map(len, bounded)) > MAX_WAITING or sum(lane.bytes for lane in bounded) > MAX_WAITING_BYTES
