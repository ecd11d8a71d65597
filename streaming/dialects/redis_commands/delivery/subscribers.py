"""A client that has subscribed to channels of Redis or to layers: what it wants to see, and how messages reach it.

While its socket takes them, frames are written at once, the same bytes for all subscribers that are sent the same. While it does not,
envelopes wait in a bounded queue. A slow client costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from streaming.core.outbox import Outbox
from streaming.redis_data.names import ANYBODY

from ..envelopes import batch
from ..geojson.client_filters import ClientFilters
from .subscriber_queue import SubscriberQueue

if TYPE_CHECKING:
    from streaming.engine.senders import Framing

FrameCache = dict[tuple[Any, ...], list[Any]]
"""Frames that were made in this turn of the event loop, by framing and envelopes."""
MAX_BUFFERED, MAX_BUFFERED_BYTES, MAX_BUFFER_SECONDS = 1000, 1024 * 1024, 10.0
"""Envelopes, bytes and seconds in the buffer of a client that wants several at once."""


class FilterIndex(Protocol):
    """Where a subscriber is found by its filters."""

    def update(self, subscriber: Subscriber) -> None:
        """The subscriber's filters have changed."""


class Subscriber:
    """One connection. After a change of its filters, `filters_changed` has to be called."""

    def __init__(self, outbox: Outbox, framing: Framing, filters: ClientFilters) -> None:
        self.outbox = outbox
        self.framing = framing
        self.filters = filters
        self.permissions: frozenset[str] = ANYBODY
        """The permissions it has, of those that names need."""
        self.channels: dict[str, str | None] = {}
        """The client reference of each subscription: to a channel ..."""
        self.patterns: dict[str, str | None] = {}
        """... to the channels of a pattern ..."""
        self.layers: dict[str, str | None] = {}
        """... and to a layer."""
        self.indexes: dict[FilterIndex, None] = {}
        """The indexes it is in; they keep this up to date."""
        self.wants_gaps = False
        """Whether it is notified where messages of channels may be missing."""
        self.revision = 0
        """Grows with each change of its subscriptions and filters."""
        self.delivered = 0
        self.pending: list[bytes] = []
        """Envelopes that it is sent at the end of this turn of the event loop."""
        self.queue = SubscriberQueue(self, outbox, self._take, self.close)
        self._buffer: EnvelopeBuffer | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many envelopes wait for its socket."""
        return len(self.queue)

    @property
    def dropped(self) -> int:
        """Messages that it missed because it was slow."""
        return self.queue.dropped

    @property
    def conflated(self) -> int:
        """Messages that were replaced by a newer one of the same feature while they waited."""
        return self.queue.conflated

    def filters_changed(self) -> None:
        """Find it by its new filters from now on. What it saw until now is sent first."""
        self.flush({})
        self.revision += 1
        for index in list(self.indexes):
            index.update(self)

    def set_buffer(self, size: int, seconds: float) -> None:
        """From now on send so many envelopes at once, none of them later than after so many seconds; one by one if either is 0.

        It never buffers more than `MAX_BUFFERED` envelopes or `MAX_BUFFERED_BYTES`, or for longer than `MAX_BUFFER_SECONDS`.
        """
        if self._buffer is not None:
            self._buffer.flush()
        buffers = size > 1 and seconds > 0
        self._buffer = EnvelopeBuffer(self.send_together, min(size, MAX_BUFFERED), min(seconds, MAX_BUFFER_SECONDS)) if buffers else None

    def stop(self) -> None:
        """Send nothing any more, not even what waits."""
        if self._buffer is not None:
            self._buffer.take()
        self.pending = []
        self.queue.clear()
        self.outbox.forget(self)

    def close(self, reason: str) -> None:
        """Close the connection. Until it is closed nothing more is sent: it would come after a gap."""
        self.stop()
        self._closed = True
        self.outbox.on_slow(reason)

    def flush(self, cache: FrameCache) -> None:
        """Send or queue what is pending."""
        if self.pending:
            envelopes, self.pending = self.pending, []
            self.deliver(envelopes, cache)

    def deliver(self, envelopes: Sequence[bytes], cache: FrameCache) -> None:
        """Send the envelopes of one turn of the event loop, or queue them."""
        if self._closed:
            return
        if self._buffer is not None:
            self._buffer.add(envelopes)
        elif self.outbox.idle:
            key = (self.framing, *map(id, envelopes))
            frames = cache.get(key)
            if frames is None:
                frames = cache[key] = self.framing.pack(list(envelopes), True)
            self._write(frames, len(envelopes))
        else:
            self.queue.push(envelopes)

    def send_together(self, envelopes: Sequence[bytes]) -> None:
        """Send envelopes in one message, or queue them."""
        if self._closed:
            return
        if self.outbox.idle:
            self._write(self._frames(envelopes), len(envelopes))
        else:
            self.queue.push(envelopes)

    def _take(self, envelopes: Sequence[bytes]) -> list[Any]:
        self.delivered += len(envelopes)
        return self._frames(envelopes)

    def _frames(self, envelopes: Sequence[bytes]) -> list[Any]:
        return self.framing.pack(list(envelopes) if self._buffer is None else [batch(envelopes)], True)

    def _write(self, frames: list[Any], messages: int) -> None:
        self.delivered += messages
        self.outbox.sent += messages
        self.outbox.sender.write(frames)


class EnvelopeBuffer:
    """Envelopes that are sent together: once there are enough, or the first has waited long enough."""

    __slots__ = ("_bytes", "_envelopes", "_seconds", "_send", "_size", "_timer")

    def __init__(self, send: Callable[[list[bytes]], None], size: int, seconds: float) -> None:
        self._send = send
        self._size = size
        self._seconds = seconds
        self._envelopes: list[bytes] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, envelopes: Sequence[bytes]) -> None:
        """Buffer envelopes, and send them if there are enough."""
        for envelope in envelopes:
            self._envelopes.append(envelope)
            self._bytes += len(envelope)
            if len(self._envelopes) >= self._size or self._bytes >= MAX_BUFFERED_BYTES:
                self.flush()
        if self._envelopes and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.flush)

    def flush(self) -> None:
        """Send what is buffered now."""
        envelopes = self.take()
        if envelopes:
            self._send(envelopes)

    def take(self) -> list[bytes]:
        """Remove what is buffered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        envelopes, self._envelopes, self._bytes = self._envelopes, [], 0
        return envelopes
