"""A client that listens to channels of Redis: what it wants to see, and how what is published reaches it.

While its socket takes what it is given, frames go straight through, the same bytes for all who are told the same. While it does not, what
is published waits, as references to what all share; beyond a bound the oldest is dropped and counted. Nobody waits for a slow reader.
Channels may have another policy: only the newest of each feature waits, or the client is closed before it misses anything.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streaming.core.outbox import Outbox

from ..envelopes import batch
from ..geojson.client_filters import Filters
from .policies import Ruled, Subject

if TYPE_CHECKING:
    from streaming.engine.senders import Framing

    from .subscriber_index import Audience

Shared = dict[tuple[Any, ...], list[Any]]
MOST_GATHERED, MOST_GATHERED_BYTES, LONGEST_GATHERED = 1000, 1024 * 1024, 10.0
"""Of what a client asked to be told together: envelopes, bytes, seconds."""
MAX_WAITING_BYTES = 4 * 1024 * 1024
"""Of what is published for one client that does not read."""


class Listener:
    """One connection. Whoever changes its filters says so to `Channels.moved`."""

    def __init__(self, outbox: Outbox, framing: Framing, filters: Filters) -> None:
        self.outbox = outbox
        self.framing = framing
        self.filters = filters
        self.channels: dict[str, str | None] = {}
        """The reference it gave for each channel it has subscribed to."""
        self.patterns: dict[str, str | None] = {}
        self.layers: dict[str, str | None] = {}
        self.audiences: dict[Audience, None] = {}
        """Those it is in, which they see to themselves."""
        self.revision = 0
        """Changes with what it listens to, and with its filters."""
        self.delivered = 0
        self.dropped = 0
        """Messages it missed because it was slow ..."""
        self.conflated = 0
        """... and those that a newer one of the same feature took the place of."""
        self._waiting = Waiting(self)
        self._batch: Batch | None = None

    @property
    def waiting(self) -> int:
        """How many envelopes wait for its socket."""
        return len(self._waiting)

    def batch(self, size: int, seconds: float) -> None:
        """From now on tell so many at once, none of them later than after so many seconds; one at a time as they come if either is 0.

        More than `MOST_GATHERED`, more bytes than `MOST_GATHERED_BYTES` or longer than `LONGEST_GATHERED` seconds is never waited for.
        """
        if isinstance(self._batch, Silence):
            return
        self.flush()
        gathers = size > 1 and seconds > 0
        self._batch = Batch(self, min(size, MOST_GATHERED), min(seconds, LONGEST_GATHERED)) if gathers else None

    def flush(self) -> None:
        """Tell what is gathered now."""
        if self._batch is not None:
            self._batch.flush()

    def stop(self) -> None:
        """Tell nothing any more, not even what waits."""
        if self._batch is not None:
            self._batch.take()
        self._waiting.clear()
        self.outbox.forget(self)

    def give_up(self, why: str) -> None:
        """Close the connection. Until it is closed nothing more is told: what comes would come after a gap."""
        self.stop()
        self._batch = Silence(self, 1, 0)
        self.outbox.on_slow(why)

    def deliver(self, run: Sequence[bytes], shared: Shared) -> None:
        """Tell the envelopes of one turn."""
        if self._batch is not None:
            self._batch.add(run)
        elif self.outbox.idle:
            key = (self.framing, *map(id, run))
            frames = shared.get(key)
            if frames is None:
                frames = shared[key] = self.framing.pack(list(run), True)
            self._write(frames, len(run))
        else:
            self._waiting.push(run)

    def tell_together(self, run: Sequence[bytes]) -> None:
        """Tell envelopes in one message."""
        if isinstance(self._batch, Silence):
            return
        if self.outbox.idle:
            self._write(self.frames(run), len(run))
        else:
            self._waiting.push(run)

    def frames(self, run: Sequence[bytes]) -> list[Any]:
        """Envelopes as they are written, in one message if the client wants them gathered."""
        payloads = list(run) if self._batch is None else [batch(run)]
        return self.framing.pack(payloads, True)

    def _write(self, frames: list[Any], messages: int) -> None:
        self.delivered += messages
        self.outbox.sent += messages
        self.outbox.sender.write(frames)


class Waiting:
    """What waits for a listener whose socket is busy: a source of its outbox."""

    __slots__ = ("_envelopes", "_last", "_listener", "_newest", "owner", "size")

    ENVELOPE_BYTES = 100

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.owner: object = listener
        self._envelopes: OrderedDict[int, bytes] = OrderedDict()
        self._newest: dict[Subject, int] = {}
        """Where the newest is of each feature, or of what has no id, of the channels that keep the latest."""
        self._last = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._envelopes)

    def push(self, run: Sequence[bytes]) -> None:
        """Add envelopes, newest last; the oldest go if there are too many, or they take too much, but never the newest."""
        was_waiting = bool(self._envelopes)
        for one in run:
            place = self._place(one) if type(one) is Ruled and one.policy == "latest" else self._end()
            self._envelopes[place] = one
            self.size += self._weight(one)
        while len(self._envelopes) > 1 and (self.size > MAX_WAITING_BYTES or len(self._envelopes) > self._listener.outbox.limits.events):
            oldest = self._pop()
            if type(oldest) is Ruled and oldest.policy == "close":
                self._listener.give_up("a message that must not be missed waited too long; reconnect")
                return
            self._listener.dropped += 1
        if not was_waiting:
            self._listener.outbox.put(self)

    def take(self, limit: int) -> list[Any]:
        """Remove and pack about `limit` bytes' worth from the front."""
        piece = list[bytes]()
        while self._envelopes and limit > 0:
            piece.append(self._pop())
            limit -= self._weight(piece[-1])
        self._listener.delivered += len(piece)
        return self._listener.frames(piece) if piece else []

    def clear(self) -> None:
        """Let all go."""
        self._envelopes.clear()
        self._newest.clear()
        self.size = 0

    def _place(self, one: Ruled) -> int:
        """That of the one it is newer than: a feature that changes often waits no longer than others.

        At the end if something without an id was said since, which may be about the same feature, or if it is too large to stay.
        """
        subject = one.subject
        place = self._newest.get(subject)
        if place is not None and subject.id is not None:
            self._listener.conflated += 1
            self.size -= self._weight(self._envelopes[place])
            if place > self._newest.get(Subject(subject.channel, None), 0) and self.size + self._weight(one) <= MAX_WAITING_BYTES:
                return place
            del self._envelopes[place]
        place = self._newest[subject] = self._end()
        return place

    def _end(self) -> int:
        self._last += 1
        return self._last

    def _pop(self) -> bytes:
        place, oldest = self._envelopes.popitem(last=False)
        self.size -= self._weight(oldest)
        if type(oldest) is Ruled and self._newest.get(oldest.subject) == place:
            del self._newest[oldest.subject]
        return oldest

    def _weight(self, one: bytes) -> int:
        return self.ENVELOPE_BYTES + len(one)


class Batch:
    """Envelopes that are gathered for a listener: until there are enough, or the first has waited long enough."""

    __slots__ = ("_bytes", "_envelopes", "_listener", "_seconds", "_size", "_timer")

    def __init__(self, listener: Listener, size: int, seconds: float) -> None:
        self._listener = listener
        self._size = size
        self._seconds = seconds
        self._envelopes: list[bytes] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, run: Sequence[bytes]) -> None:
        """Gather."""
        for one in run:
            self._envelopes.append(one)
            self._bytes += len(one)
            if len(self._envelopes) >= self._size or self._bytes >= MOST_GATHERED_BYTES:
                self.flush()
        if self._envelopes and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.flush)

    def flush(self) -> None:
        """Tell what is gathered."""
        gathered = self.take()
        if gathered:
            self._listener.tell_together(gathered)

    def take(self) -> list[bytes]:
        """What is gathered, to be gathered no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._envelopes, self._bytes = self._envelopes, [], 0
        return gathered


class Silence(Batch):
    """Gathers nothing: for a listener that was given up."""

    __slots__ = ()

    def add(self, run: Sequence[bytes]) -> None:
        """Let it go."""
