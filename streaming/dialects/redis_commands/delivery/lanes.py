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
"""Messages of channels that wait or are being prepared, in all, and their bytes; beyond, the oldest of the longest lane is dropped."""


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
    """The messages of one source that wait, and the one before them."""

    def __init__(self, first: Message) -> None:
        self.bounded = first.may_be_dropped
        self.prepared_bytes = first.size
        """Of the message that is being prepared."""
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
        self._bounded = self._waiting = self._bytes = 0
        """Of messages that may be dropped: the lanes, how many wait in them, and the bytes of all, those that are prepared included."""

    def __contains__(self, source: Hashable) -> bool:
        return source in self._lanes

    def open(self, message: Message) -> bool:
        """A message is about to be prepared, and those of the same source that come after it wait. False if it was dropped."""
        lane = self._lanes[message.source] = Lane(message)
        if lane.bounded:
            self._bounded += 1
            self._bytes += message.size
            self._drop_excess()
            if self._too_much() and self._bounded > 1:  # nothing waits that could be dropped instead
                self.close(message.source)
                message.drop()
                self.dropped += 1
                return False
        return True

    def append(self, message: Message) -> None:
        """A message waits behind those before it."""
        lane = self._lanes[message.source]
        before = len(lane), lane.bytes
        if not lane.append(message):
            self.replaced += 1
        if lane.bounded:
            self._waiting += len(lane) - before[0]
            self._bytes += lane.bytes - before[1]
            self._drop_excess()

    def next(self, source: Hashable) -> Message | None:
        """A message has been prepared: the next one of its source, now about to be. None, and there is no lane any more, if none waits."""
        lane = self._lanes[source]
        if not len(lane):
            self.close(source)
            return None
        message = lane.pop()
        if lane.bounded:
            self._waiting -= 1
            self._bytes -= lane.prepared_bytes
        lane.prepared_bytes = message.size
        return message

    def close(self, source: Hashable) -> None:
        """Nothing of this source is being prepared any more, and nothing waits."""
        lane = self._lanes.pop(source)
        if lane.bounded:
            self._bounded -= 1
            self._bytes -= lane.prepared_bytes

    def _drop_excess(self) -> None:
        while self._waiting and self._too_much():
            lane = max((lane for lane in self._lanes.values() if lane.bounded and len(lane)), key=lambda each: (each.bytes, len(each)))
            message = lane.pop()
            self._waiting -= 1
            self._bytes -= message.size
            message.drop()
            self.dropped += 1

    def _too_much(self) -> bool:
        return max(self._waiting, self._bounded) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES
