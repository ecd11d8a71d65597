"""A view: one subscription to one feed.
It joins an audience (all views with the same filter), so that a change is judged once for all of them, and owns the queue in
which its deliveries wait while its connection is busy. Its replica decides what it delivers; its encoder, how that is put into bytes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from math import asin, cos, inf, radians, sin, sqrt
from typing import TYPE_CHECKING

from .deliveries import Bulk, Delivery, Encoder, KeyedQueue, LogQueue, Reserved, merged

if TYPE_CHECKING:
    from .audience import Condition
    from .follower import Follower
    from .outbox import Outbox

logger = logging.getLogger(__name__)

RELEASE_SECONDS = 0.025
"""Least time between two releases of what throttles hold; what is due in between is delivered together."""
STILL_SECONDS = 10.0
"""How long an update is held by which an item has hardly moved."""
EARTH_METRES = 6_371_008.8
"""Mean radius."""
Place = tuple[float, float]
"""Longitude and latitude."""
TIMER_SECONDS = 0.001
"""How exact the event loop's timers are: they may fire so much too early."""


class View:
    """One subscription. `max_rate` is updates per second and key, None for every one; `queue` decides whether what waits conflates.

    `min_distance` is metres that a feature has to move to be sent again soon. `lane` is the lane of the outbox: what is in it is sent in
    order.
    """

    def __init__(
        self,
        outbox: Outbox,
        encoder: Encoder,
        condition: Condition,
        max_rate: float | None = None,
        queue: KeyedQueue | LogQueue | None = None,
        lane: Hashable = None,
        min_distance: float | None = None,
    ) -> None:
        self.outbox = outbox
        self.lane = lane
        self.encoder = encoder
        self.filter = condition
        self.throttle = _throttle(max_rate, min_distance)
        self.follows: Follower | None = None
        self.queue = KeyedQueue(encoder) if queue is None else queue
        self.queue.owner = self

    def deliver(self, run: Sequence[Delivery], shared: dict[Encoder, object]) -> None:
        """Deliver what happened in one turn. `shared` keeps what other views of the audience already had encoded."""
        if self.throttle is not None:
            run = self.throttle.passing(run, time.monotonic())
            if self.holds and self.follows is not None:
                self.follows.on_held(self)
            if not run:
                return
            shared = {}
        self.outbox.deliver(self, run, shared)

    def bulk(self, deliveries: Sequence[Delivery], gap: int = 0) -> None:
        """Deliver many things at once. What waited before is delivered before, and nothing later merges across."""
        self.seal()
        if len(deliveries):
            self.outbox.put(self.bulk_of(deliveries, gap), self.lane)

    def bulk_of(self, deliveries: Sequence[Delivery], gap: int = 0) -> Bulk:
        """What is to be put into the view's lane."""
        return Bulk(self.encoder, deliveries, gap, self)

    def reserve(self) -> Reserved:
        """A place in the view's lane, behind what waits and before what comes."""
        self.seal()
        return self.outbox.reserve(self.lane, self)

    def seal(self) -> None:
        """Start a new queue: what waits now, and what was found so far, stays as it is."""
        if self.follows is not None:
            self.follows.catch_up(self)
        if self.throttle is not None and (held := self.throttle.all_held()):
            self.outbox.deliver(self, held, {})
        if isinstance(self.queue, KeyedQueue):
            self.queue = KeyedQueue(self.encoder, self)

    def reshape(self, encoder: Encoder, condition: Condition, max_rate: float | None, min_distance: float | None = None) -> None:
        """Another filter, form or rate, for a view that has left its feed for a moment."""
        self.seal()
        self.encoder = encoder
        self.filter = condition
        self.throttle = _throttle(max_rate, min_distance)
        self.queue = KeyedQueue(encoder, self)

    def release(self, now: float) -> None:
        """Deliver what the throttle held and is now due."""
        if self.throttle is not None and self.follows is not None:
            run = self.throttle.due(now, self.follows.position(self).seq)
            if run:
                self.outbox.deliver(self, run, {})

    @property
    def holds(self) -> bool:
        """Whether its throttle holds something that is to be delivered later."""
        return self.throttle is not None and self.throttle.holds

    @property
    def cursor(self) -> str:
        """The place up to which the client is complete once it has received what waits now."""
        assert self.follows is not None
        here = self.follows.position(self)
        floor = None if self.throttle is None else self.throttle.floor
        return str(here if floor is None else replace(here, seq=floor))

    def leave(self) -> None:
        """Leave the feed, and drop what waits for the client."""
        if self.follows is not None:
            self.follows.leave(self)
        self.outbox.forget(self)

    def give_up(self) -> None:
        """End the connection: what it asked for cannot be served exactly."""
        if self.follows is not None:
            self.follows.leave(self)
        self.outbox.on_slow("a change could not be delivered; reconnect")

    def lost(self, count: int) -> None:
        """Count lines of a log that will never come; the client receives the count before the next line."""
        if isinstance(self.queue, LogQueue) and count:
            self.queue.push((), count)


class Throttle:
    """Holds updates that come sooner than `interval` seconds after the last one of their key; the latest is never lost.

    An update by which an item has moved less than `distance` metres since it was last delivered is held for `STILL_SECONDS`, or until it
    has.

    While something is held, nothing that passes may promise more than what precedes the oldest held change.
    """

    __slots__ = ("_held", "_last", "_places", "distance", "due_at", "interval")

    def __init__(self, interval: float, distance: float = 0.0) -> None:
        self.interval = interval
        self.distance = distance
        self.due_at = inf
        """Nothing that is held is due before."""
        self._last: dict[str, float] = {}
        self._held: dict[str, Delivery] = {}
        self._places: dict[str, Place | None] = {}

    @property
    def holds(self) -> bool:
        """Whether something is held."""
        return bool(self._held)

    def passing(self, run: Sequence[Delivery], now: float) -> list[Delivery]:
        """The part of a turn that may be delivered now; the rest is held."""
        passing: dict[str, Delivery] = {}
        for delivery in run:
            held = self._held.pop(delivery.key, None)
            newer = delivery if held is None else _combined(held, delivery)
            if newer.kind == "updated" and now < (due_at := self._due_at(newer)):
                self._held[delivery.key] = newer
                self.due_at = min(self.due_at, due_at)
            else:
                self._note(newer, now)
                earlier = passing.pop(delivery.key, None)
                result = newer if earlier is None else merged(earlier, newer)
                if result is not None:
                    passing[delivery.key] = result
        return self._promised(list(passing.values()), run[-1].seq if run else None)

    def due(self, now: float, position: int) -> list[Delivery]:
        """What was held long enough, complete up to `position` if nothing else is held."""
        run = [d for d in self._held.values() if self._due_at(d) <= now]
        for delivery in run:
            del self._held[delivery.key]
            self._note(delivery, now)
        self.due_at = min(map(self._due_at, self._held.values()), default=inf)
        return self._promised(run, position)

    def all_held(self) -> list[Delivery]:
        """Everything held, to be delivered at once (before the view is moved)."""
        held, self._held = list(self._held.values()), {}
        self.due_at = inf
        return [d.promising(None) for d in held]

    def _due_at(self, delivery: Delivery) -> float:
        last = self._last.get(delivery.key)
        if last is None:
            return 0.0
        return last + (max(self.interval, STILL_SECONDS) if self.distance and self._is_still(delivery) else self.interval)

    def _is_still(self, delivery: Delivery) -> bool:
        """Whether it has hardly moved since it was delivered."""
        before, now = self._places[delivery.key], _place(delivery)
        return before == now or (before is not None and now is not None and metres_between(before, now) < self.distance)

    def _note(self, delivery: Delivery, now: float) -> None:
        if delivery.kind == "deleted":
            self._last.pop(delivery.key, None)
            self._places.pop(delivery.key, None)
            return
        self._last[delivery.key] = now
        if self.distance:
            self._places[delivery.key] = _place(delivery)

    @property
    def floor(self) -> int | None:
        """The number before the oldest held change, None if nothing is held."""
        seqs = [d.seq for d in self._held.values() if d.seq is not None]
        return min(seqs) - 1 if seqs else None

    def _promised(self, run: list[Delivery], position: int | None) -> list[Delivery]:
        """Only the last one promises anything, and no more than what precedes the oldest held change."""
        if not run:
            return run
        floor = self.floor
        promise = position if position is None or floor is None else min(position, floor)
        return [*(d.promising(None) for d in run[:-1]), run[-1].promising(promise)]


class Releases:
    """Delivers what throttles held once it is due. One timer for all views of a process, which runs only while something is held."""

    def __init__(self) -> None:
        self._holding: set[View] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = inf

    def hold(self, view: View) -> None:
        """The throttle of a view holds something."""
        self._holding.add(view)
        self._arm([view])

    def release(self, now: float) -> None:
        """Deliver what is due by now."""
        for view in list(self._holding):
            try:
                view.release(now)
            except Exception:
                logger.exception("what was held of %s could not be delivered", view.follows and view.follows.feed.name)
                view.give_up()
            if not view.holds or view.follows is None:
                self._holding.discard(view)

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._holding.clear()
        self._disarm()

    @property
    def waiting(self) -> bool:
        """Whether the timer runs."""
        return self._timer is not None

    def _arm(self, views: Iterable[View]) -> None:
        """Have the timer fire once the first of these views has something that is due, or sooner."""
        now = time.monotonic()
        due_at = min((view.throttle.due_at for view in views if view.throttle is not None), default=inf)
        fires_at = max(due_at + TIMER_SECONDS, now + RELEASE_SECONDS)
        if fires_at < self._fires_at:
            self._disarm()
            self._fires_at = fires_at
            self._timer = asyncio.get_running_loop().call_later(fires_at - now, self._fire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._fires_at = None, inf

    def _fire(self) -> None:
        self._disarm()
        self.release(time.monotonic())
        self._arm(self._holding)


def _throttle(max_rate: float | None, min_distance: float | None) -> Throttle | None:
    if not max_rate and not min_distance:
        return None
    return Throttle(1 / max_rate if max_rate else 0.0, min_distance or 0.0)


def _place(delivery: Delivery) -> Place | None:
    """The middle of an item's box."""
    box = None if delivery.item is None else delivery.item.box
    return None if box is None else ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


def metres_between(one: Place, other: Place) -> float:
    """The way over the ground between two places in degrees, on a sphere."""
    (x, y), (u, v) = one, other
    half = sin(radians(v - y) / 2) ** 2 + cos(radians(y)) * cos(radians(v)) * sin(radians(u - x) / 2) ** 2
    return 2 * EARTH_METRES * asin(min(1.0, sqrt(half)))


def _combined(held: Delivery, newer: Delivery) -> Delivery:
    result = merged(held, newer)
    assert result is not None  # only updates are held, and an update never cancels out
    return result
