"""Throttles: what comes sooner than a view may be sent it is held, the latest of each key, and released once it is due.

Neither holding nor releasing looks through everything that is held, and what is due in many views at once is released some at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from math import asin, cos, inf, radians, sin, sqrt
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .deliveries import Delivery, merged
from .turns import STEP_SECONDS, Turns

if TYPE_CHECKING:
    from .view import View

logger = logging.getLogger(__name__)

RELEASE_SECONDS = 0.025
"""Least time between two releases of what throttles hold; what is due in between is delivered together."""
RELEASED = 200
"""Deliveries of one view that are released in one go."""
STILL_SECONDS = 10.0
"""How long an update is held by which an item has hardly moved."""
EARTH_METRES = 6_371_008.8
"""Mean radius."""
Place = tuple[float, float]
"""Longitude and latitude."""
TIMER_SECONDS = 0.001
"""How exact the event loop's timers are: they may fire so much too early."""


class Throttle:
    """Holds updates that come sooner than `interval` seconds after the last one of their key; the latest is never lost.

    An update by which an item has moved less than `distance` metres since it was last delivered is held for `STILL_SECONDS`, or until it
    has.

    While something is held, nothing that passes may promise more than what precedes the oldest held change.
    """

    __slots__ = ("_due", "_held", "_last", "_places", "distance", "interval")

    def __init__(self, interval: float, distance: float = 0.0) -> None:
        self.interval = interval
        self.distance = distance
        self._last: dict[str, float] = {}
        self._held: dict[str, tuple[Delivery, float]] = {}  # the oldest change first; with when it is due
        self._due: list[tuple[float, str]] = []  # a heap; what is not held any more, or is due at another time, is passed over
        self._places: dict[str, Place | None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._held

    @property
    def holds(self) -> bool:
        """Whether something is held."""
        return bool(self._held)

    @property
    def due_at(self) -> float:
        """When the first of what is held is due."""
        while self._due and not self._is_held(*self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else inf

    def passing(self, run: Sequence[Delivery], now: float) -> list[Delivery]:
        """The part of a turn that may be delivered now; the rest is held."""
        passing: dict[str, Delivery] = {}
        for delivery in run:
            held = self._held.get(delivery.key)
            newer = delivery if held is None else _combined(held[0], delivery)
            if newer.kind == "updated" and now < (due_at := self._due_at(newer)):
                self._hold(newer, due_at)
            else:
                self._held.pop(delivery.key, None)
                self._note(newer, now)
                earlier = passing.pop(delivery.key, None)
                result = newer if earlier is None else merged(earlier, newer)
                if result is not None:
                    passing[delivery.key] = result
        return self._promised(list(passing.values()), run[-1].seq if run else None)

    def due(self, now: float, position: int) -> list[Delivery]:
        """Some of what was held long enough, complete up to `position` if nothing else is held."""
        run: list[Delivery] = []
        while len(run) < RELEASED and self.due_at <= now:
            _, key = heappop(self._due)
            delivery, _ = self._held.pop(key)
            self._note(delivery, now)
            run.append(delivery)
        return self._promised(run, position)

    def all_held(self) -> Sequence[Delivery]:
        """Everything held, to be delivered at once (before the view is moved). It promises nothing."""
        held, self._held, self._due = self._held, {}, []
        return _Unpromised([delivery for delivery, _ in held.values()])

    def _hold(self, delivery: Delivery, due_at: float) -> None:
        if not self._is_held(due_at, delivery.key):
            heappush(self._due, (due_at, delivery.key))
        self._held[delivery.key] = delivery, due_at

    def _is_held(self, due_at: float, key: str) -> bool:
        held = self._held.get(key)
        return held is not None and held[1] == due_at

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
        for delivery, _ in self._held.values():
            if delivery.seq is not None:
                return max(delivery.seq - 1, 0)
        return None

    def _promised(self, run: list[Delivery], position: int | None) -> list[Delivery]:
        """Only the last one promises anything, and no more than what precedes the oldest held change."""
        if not run:
            return run
        floor = self.floor
        promise = position if position is None or floor is None else min(position, floor)
        return [*(d.promising(None) for d in run[:-1]), run[-1].promising(promise)]


class _Unpromised(Sequence[Delivery]):
    """Deliveries, each made without its promise when it is asked for."""

    def __init__(self, deliveries: list[Delivery]) -> None:
        self._deliveries = deliveries

    def __len__(self) -> int:
        return len(self._deliveries)

    def __getitem__(self, at: Any) -> Any:
        return self._deliveries[at].promising(None)


class Releases:
    """Delivers what throttles held once it is due. One timer for all views of a process, which runs only while something is held."""

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns
        self._holding: set[View] = set()
        self._due: deque[View] = deque()  # what is due of them is being delivered, in turns
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = inf

    def hold(self, view: View) -> None:
        """The throttle of a view holds something."""
        self._holding.add(view)
        self._arm([view])

    def release(self, now: float) -> None:
        """Deliver what is due by now."""
        self._due = deque(self._holding)
        while self._due:
            self._release_next(now)

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._holding.clear()
        self._due.clear()
        self._disarm()

    @property
    def waiting(self) -> bool:
        """Whether the timer runs, or something is being delivered."""
        return self._timer is not None or bool(self._due)

    def _release_next(self, now: float) -> None:
        view = self._due.popleft()
        try:
            view.release(now)
        except Exception:
            logger.exception("what was held of %s could not be delivered", view.follows and view.follows.feed.name)
            view.give_up()
        if not view.holds or view.follows is None:
            self._holding.discard(view)
        elif view.throttle is not None and view.throttle.due_at <= now:
            self._due.append(view)

    def _arm(self, views: Iterable[View]) -> None:
        """Have the timer fire once the first of these views has something that is due, or sooner."""
        if self._due:
            return  # it is armed for all when that is done
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
        self._due = deque(self._holding)
        if self._turns is not None:
            self._turns.add(self, self._step, "throttles")
            return
        while self._step():
            pass

    def _step(self) -> bool:
        """Release some of what is due; returns whether there is more."""
        now, until = time.monotonic(), perf_counter() + STEP_SECONDS
        while self._due:
            self._release_next(now)
            if perf_counter() >= until:
                break
        if not self._due:
            self._arm(self._holding)
        return bool(self._due)


def throttle_of(max_rate: float | None, min_distance: float | None) -> Throttle | None:
    """The throttle for updates per second and key, and metres that a feature has to move; None if neither is asked for."""
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
