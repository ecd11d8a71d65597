"""An outbox: everything one connection still has to be sent.
While the socket takes what it is given, deliveries go straight through, encoded once for all who share them. While it does not,
they wait in their view's queue, bounded by what is in view, and a publisher never waits for anybody. A connection over its bounds
for too long is given up.

What waits is in *lanes*. Within a lane everything keeps its order. Lanes have their turns one after the other, a piece of each, so that
what is in one lane never waits for a large snapshot in another one; finished frames (answers to requests) go first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from time import perf_counter, time
from typing import Any, Protocol

from .deliveries import Bulk, Delivery, Encoder, Frames, KeyedQueue, LogQueue, Marker, Reserved, Source
from .histogram import Histogram
from .items import Item
from .limits import OutboxLimits
from .turns import Pace, Turns
from .view import View

LEAST_PIECE = 4 * 1024
FIRST_PIECE = 32 * 1024
"""Bytes encoded and written at a time: adapted so that it takes about a millisecond."""


class Sender(Protocol):
    """The way to one socket. `write` may be called while `writable`; `on_writable` is called when it becomes so again."""

    on_writable: Callable[[], None]

    @property
    def writable(self) -> bool:
        """Whether the socket takes more now."""

    def write(self, frames: list[Any]) -> None:
        """Hand over finished frames, in one piece where the server can."""


class Outbox:
    """One connection's queues. Without `turns` everything is written at once, as far as the socket takes it."""

    __slots__ = (
        *("_draining", "_lanes", "_over_since", "_pace", "_stalled_since"),
        *("aggregates", "costly_filters", "latency", "limits", "on_slow", "sender", "sent", "turns"),
    )

    def __init__(self, sender: Sender, limits: OutboxLimits, on_slow: Callable[[str], None], turns: Turns | None = None) -> None:
        self.sender = sender
        self.limits = limits
        self.on_slow = on_slow
        self.turns = turns
        self.sent = 0
        self.latency: Histogram | None = None
        """Of a sample of its deliveries, in seconds."""
        self.aggregates = 0
        self.costly_filters = 0
        """Of the views that follow something."""
        self._lanes: dict[Hashable, deque[Source]] = {}
        self._pace = Pace(min(FIRST_PIECE, limits.write_bytes), min(LEAST_PIECE, limits.write_bytes), limits.write_bytes)
        self._draining = False
        self._over_since: float | None = None
        self._stalled_since: float | None = None
        sender.on_writable = self._writable

    @property
    def messages(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._sources()))

    @property
    def bytes(self) -> int:
        """How many bytes wait, roughly."""
        return sum(source.size for source in self._sources())

    @property
    def idle(self) -> bool:
        """Whether nothing waits and the socket takes more."""
        return not self._lanes and self.sender.writable

    def waits(self, owner: object) -> bool:
        """Whether something of this owner waits."""
        return any(source.owner is owner for source in self._sources())

    def deliver(self, view: View, run: Sequence[Delivery], shared: dict[Encoder, Any]) -> None:
        """Send a view's client what happened in one turn, now or when the socket takes it."""
        if self.sender.writable and view.lane not in self._lanes and not view.queue.gap:
            frames = shared.get(view.encoder)
            if frames is None:
                frames = shared[view.encoder] = view.encoder.frames(run)
                self.note_latency(run[0].item)  # of the first of those that are sent the same, and (`Audience`) of the last
            self.sent += len(run)
            self.sender.write(frames)
            return
        self._wait(view, run)
        self._drain()

    def note_latency(self, item: Item | None) -> None:
        """An item goes to the socket now: how long ago did it arrive in Redis, by the clocks of the machines?"""
        if self.latency is not None and item is not None:
            self.latency.observe(max(time() - item.arrived / 1000, 0.0))

    def put(self, source: Source, lane: Hashable = None) -> None:
        """Queue a source behind what waits in the lane."""
        self._append(source, lane)
        self._drain()

    def send(self, *frames: Any, lane: Hashable = None) -> None:
        """Send finished frames behind what waits in the lane."""
        if lane not in self._lanes and self.sender.writable:
            self.sent += len(frames)
            self.sender.write(list(frames))
        else:
            self.put(Frames(list(frames)), lane)

    def reserve(self, lane: Hashable = None, owner: object = None) -> Reserved:
        """A place in the lane for what is not known yet: what is put behind it waits until it is filled, or forgotten."""
        place = Reserved(owner)
        self._append(place, lane)
        return place

    def fill(self, place: Reserved, sources: Iterable[Source]) -> None:
        """What belongs into a reserved place. Nothing, if the place was forgotten meanwhile."""
        for lane, waiting in self._lanes.items():
            if place in waiting:
                at = waiting.index(place)
                kept = [*list(waiting)[:at], *(source for source in sources if len(source)), *list(waiting)[at + 1 :]]
                self._replace(lane, kept)
                break
        self._drain()

    def after(self, call: Callable[[], None], lane: Hashable = None) -> None:
        """Call once everything that waits in the lane now was written."""
        if lane in self._lanes:
            self.put(Marker(call), lane)
        else:
            call()

    def forget(self, owner: object) -> None:
        """Drop what waits for a view that is gone."""
        for lane, waiting in list(self._lanes.items()):
            if any(source.owner is owner for source in waiting):
                self._replace(lane, [source for source in waiting if source.owner is not owner])
        self._drain()

    def check(self, now: float) -> None:
        """Give up on a connection that was over its bounds, or did not take anything, for too long. Called about once a second."""
        if not self._lanes:
            self._over_since = self._stalled_since = None
            return
        self._check_stalled(now)
        self._check_bounds(now)

    # -- draining ----------------------------------------------------------

    def _writable(self) -> None:
        self._stalled_since = None
        self._drain()

    def _drain(self) -> None:
        """Write what waits for as long as the socket takes it, a piece at each turn."""
        if self._draining or not self.sender.writable or not self._ready():
            return
        if self.turns is None:
            while self._step():
                pass
        else:
            self._draining = True
            self.turns.add(self, self._step, "sending")

    def _step(self) -> bool:
        """Write a piece of the lane whose turn it is; returns whether there is more to be written now."""
        self._draining = False
        ready = self._ready() if self.sender.writable else []
        if not ready:
            return False
        began = perf_counter()
        self._write_piece(ready[0])
        self._pace.took(perf_counter() - began)
        more = self.sender.writable and bool(self._ready())
        self._draining = more and self.turns is not None
        return more

    def _write_piece(self, lane: Hashable) -> None:
        waiting = self._lanes[lane] = self._lanes.pop(lane)  # it is the last one from now on
        source = waiting[0]
        before = len(source)
        if isinstance(source, KeyedQueue | LogQueue):
            self.note_latency(source.first)
        frames = source.take(self._pace.size)
        if not len(source) and waiting[0] is source:
            waiting.popleft()
            if not waiting:
                del self._lanes[lane]
        self.sent += before - len(source)
        if frames:
            self.sender.write(frames)

    def _ready(self) -> list[Hashable]:
        """The lane whose turn it is, if there is one: the first with finished frames, else the first."""
        ready = [lane for lane, waiting in self._lanes.items() if not isinstance(waiting[0], Reserved)]
        finished = [lane for lane in ready if isinstance(self._lanes[lane][0], Frames)]
        return (finished or ready)[:1]

    # -- what waits ---------------------------------------------------------

    def _sources(self) -> Iterable[Source]:
        return (source for waiting in self._lanes.values() for source in waiting)

    def _append(self, source: Source, lane: Hashable) -> None:
        if lane in self._lanes:
            self._lanes[lane].append(source)
        else:
            self._lanes[lane] = deque([source])

    def _replace(self, lane: Hashable, sources: list[Source]) -> None:
        if sources:
            self._lanes[lane] = deque(sources)
        else:
            del self._lanes[lane]

    def _wait(self, view: View, run: Sequence[Delivery]) -> None:
        queue = view.queue
        was_waiting = bool(len(queue))
        queue.push(run)
        if len(queue) and not was_waiting:
            self._append(queue, view.lane)
        elif was_waiting and not len(queue):
            self._replace(view.lane, [source for source in self._lanes[view.lane] if source is not queue])

    # -- bounds --------------------------------------------------------------

    def _check_stalled(self, now: float) -> None:
        if self.sender.writable:
            self._stalled_since = None
        elif self._stalled_since is None:
            self._stalled_since = now
        elif now - self._stalled_since > self.limits.stalled_seconds:
            self.on_slow("the client took nothing for too long")

    def _check_bounds(self, now: float) -> None:
        # Of a bulk only pointers wait: a large layer does not make its reader slow.
        messages = sum(len(source) for source in self._sources() if not isinstance(source, Bulk))
        excess = max(messages / self.limits.messages, self.bytes / self.limits.bytes)
        if excess <= 1:
            self._over_since = None
        elif excess > 4:
            self.on_slow("far too much is waiting for this client")
        elif self._over_since is None:
            self._over_since = now
        elif now - self._over_since > self.limits.slow_seconds:
            self.on_slow("too much was waiting for this client for too long")
