"""A view: one subscription to one feed.
It joins an audience (all views with the same filter), so that a change is judged once for all of them, and owns the queue in
which its deliveries wait while its connection is busy. Its replica decides what it delivers; its encoder, how that is put into bytes.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .deliveries import Bulk, Delivery, Encoder, KeyedQueue, LogQueue, Reserved
from .throttle import throttle_of

if TYPE_CHECKING:
    from .audience import Condition
    from .follower import Follower
    from .outbox import Outbox


class View:
    """One subscription. `max_rate` is updates per second and key, None for every one; `queue` decides whether what waits conflates.

    `min_distance` is metres that a feature has to move to be sent again soon. `lane` is the lane of the outbox: what is in it is sent in
    order.
    """

    __slots__ = ("encoder", "filter", "follows", "lane", "outbox", "queue", "throttle")

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
        self.throttle = throttle_of(max_rate, min_distance)
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

    def bulk_of(self, deliveries: Sequence[Delivery], gap: int = 0, start: int = 0) -> Bulk:
        """What is to be put into the view's lane; `start`: how many of them the client has already."""
        return Bulk(self.encoder, deliveries, gap, self, start)

    def reserve(self) -> Reserved:
        """A place in the view's lane, behind what waits and before what comes."""
        self.seal()
        return self.outbox.reserve(self.lane, self)

    def seal(self) -> None:
        """Start a new queue: what waits now, and what was found so far, stays as it is."""
        if self.follows is not None:
            self.follows.catch_up(self)
        if self.throttle is not None and (held := self.throttle.all_held()):
            self.outbox.put(self.bulk_of(held), self.lane)
        if isinstance(self.queue, KeyedQueue):
            self.queue = KeyedQueue(self.encoder, self)

    def reshape(self, encoder: Encoder, condition: Condition, max_rate: float | None, min_distance: float | None = None) -> None:
        """Another filter, form or rate, for a view that has left its feed for a moment."""
        self.seal()
        self.encoder = encoder
        self.filter = condition
        self.throttle = throttle_of(max_rate, min_distance)
        self.queue = KeyedQueue(encoder, self)

    def encode_with(self, encoder: Encoder) -> None:
        """Another form of the same from now on. What waits keeps the form it was to have."""
        self.encoder = encoder
        if isinstance(self.queue, KeyedQueue):
            self.queue = KeyedQueue(encoder, self)

    def release(self, now: float) -> None:
        """Deliver some of what the throttle held and is now due."""
        if self.throttle is not None and self.follows is not None:
            run = self.throttle.due(now, self.follows.position(self).seq)
            if run:
                self.outbox.deliver(self, run, {})

    @property
    def holds(self) -> bool:
        """Whether its throttle holds something that is to be delivered later."""
        return self.throttle is not None and self.throttle.holds

    def delays(self, key: str) -> bool:
        """Whether a change of this key has not been sent yet: it waits for the socket, or is held by the throttle."""
        return (isinstance(self.queue, KeyedQueue) and key in self.queue) or (self.throttle is not None and key in self.throttle)

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
        self.queue.owner = None  # each has the other

    def give_up(self) -> None:
        """End the connection: what it asked for cannot be served exactly."""
        if self.follows is not None:
            self.follows.leave(self)
        self.outbox.on_slow("a change could not be delivered; reconnect")

    def lost(self, count: int) -> None:
        """Count lines of a log that will never come; the client receives the count before the next line."""
        if isinstance(self.queue, LogQueue) and count:
            self.queue.push((), count)
