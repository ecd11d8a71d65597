"""The bounded queue of one subscriber whose socket is busy.

It holds references to envelopes that all subscribers share. Beyond its bounds the oldest is dropped and counted, unless the policy of its
channel keeps only the latest of each feature, or closes the connection before a message is missed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from streaming.core.outbox import Outbox

from .policies import ConflationKey, PolicyEnvelope

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""Bytes that may wait for one subscriber."""
ENVELOPE_BYTES = 100
"""What an envelope costs besides its bytes, roughly."""


class SubscriberQueue:
    """A source of the subscriber's outbox."""

    __slots__ = ("_close", "_envelopes", "_frames", "_last", "_newest", "_outbox", "conflated", "dropped", "owner", "size")

    def __init__(self, owner: object, outbox: Outbox, frames: Callable[[Sequence[bytes]], list[Any]], close: Callable[[str], None]) -> None:
        """`frames` makes envelopes ready to be written; `close` is called before a message is missed that must not be."""
        self.owner = owner
        self.size = 0
        self.dropped = 0
        self.conflated = 0
        self._outbox = outbox
        self._frames = frames
        self._close = close
        self._envelopes: OrderedDict[int, bytes] = OrderedDict()
        self._newest: dict[ConflationKey, int] = {}
        """Where the newest is of each feature, or of what has no id, of the channels that keep the latest."""
        self._last = 0

    def __len__(self) -> int:
        return len(self._envelopes)

    def push(self, envelopes: Sequence[bytes]) -> None:
        """Add envelopes, newest last. Of too many, or too large ones, the oldest are dropped, but never the newest."""
        was_waiting = bool(self._envelopes)
        for envelope in envelopes:
            place = self._place_of_latest(envelope) if type(envelope) is PolicyEnvelope and envelope.policy == "latest" else self._end()
            self._envelopes[place] = envelope
            self.size += _size(envelope)
        while len(self._envelopes) > 1 and (self.size > MAX_WAITING_BYTES or len(self._envelopes) > self._outbox.limits.events):
            oldest = self._pop()
            if type(oldest) is PolicyEnvelope and oldest.policy == "close":
                self._close("a message that must not be missed waited too long; reconnect")
                return
            self.dropped += 1
        if not was_waiting:
            self._outbox.put(self)

    def take(self, limit: int) -> list[Any]:
        """Remove about `limit` bytes from the front, ready to be written."""
        taken = list[bytes]()
        while self._envelopes and limit > 0:
            taken.append(self._pop())
            limit -= _size(taken[-1])
        return self._frames(taken) if taken else []

    def clear(self) -> None:
        """Drop everything, uncounted."""
        self._envelopes.clear()
        self._newest.clear()
        self.size = 0

    def _place_of_latest(self, envelope: PolicyEnvelope) -> int:
        """The place of the envelope that it replaces: a feature that changes often waits no longer than others.

        At the end if a message without an id came since, which may be about the same feature, or if it is too large to stay.
        """
        key = envelope.key
        place = self._newest.get(key)
        if place is not None and key.id is not None:
            self.conflated += 1
            self.size -= _size(self._envelopes[place])
            without_id = self._newest.get(ConflationKey(key.channel, None), 0)
            if place > without_id and self.size + _size(envelope) <= MAX_WAITING_BYTES:
                return place
            del self._envelopes[place]
        place = self._newest[key] = self._end()
        return place

    def _end(self) -> int:
        self._last += 1
        return self._last

    def _pop(self) -> bytes:
        place, oldest = self._envelopes.popitem(last=False)
        self.size -= _size(oldest)
        if type(oldest) is PolicyEnvelope and self._newest.get(oldest.key) == place:
            del self._newest[oldest.key]
        return oldest


def _size(envelope: bytes) -> int:
    return ENVELOPE_BYTES + len(envelope)
