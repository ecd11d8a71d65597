"""Messages for subscribers, from a channel of Redis or from a layer, as each of them sees them; and their delivery.

A message is framed once for all subscribers that are sent the same, written in one piece with the others of its turn, and sent to each
subscriber once, however many of its subscriptions match.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import Protocol

from streaming.core.items import Item
from streaming.engine.conf import conf

from ..envelopes import envelope, for_reference
from ..geojson.client_filters import Sight
from ..geojson.values import Value
from .policies import PolicyEnvelope, conflation_key, slow_client_policy
from .subscriber_index import SubscriberIndex
from .subscribers import FrameCache, Subscriber

logger = logging.getLogger(__name__)

CHECK_EVERY = 16
"""Subscribers that are sent something between two looks at the clock."""


class Publication(Protocol):
    """A message as each subscriber sees it."""

    @property
    def left_out(self) -> int:
        """Features that had to be left out."""

    @property
    def item(self) -> Item | None:
        """The version of a feature that is sent, if it is one of a layer."""

    def candidates(self, index: SubscriberIndex) -> Collection[Subscriber]:
        """The subscribers that it may concern."""

    def seen_by(self, sight: Sight) -> ChannelMessage | None:
        """What is sent to those who see it so; None if their filters keep it out."""

    def forget(self) -> None:
        """Let go of what was made for subscribers."""


class ChannelMessage:
    """A value that was published on a channel."""

    __slots__ = ("_envelopes", "_whole", "channel", "value")

    def __init__(self, channel: str, value: Value) -> None:
        self.channel = channel
        self.value = value
        self._whole: dict[int, bytes] = {}  # those of nearly all subscribers: by EPSG code, untrimmed and without a reference
        self._envelopes: dict[tuple[int, str | None], bytes] = {}  # by the content's id: the value keeps its contents as long as it lives

    item: Item | None = None

    @property
    def left_out(self) -> int:
        """Features that had to be left out."""
        return self.value.left_out

    def candidates(self, index: SubscriberIndex) -> Collection[Subscriber]:
        """The subscribers whose boxes are where it is."""
        return index.candidates(self.value)

    def seen_by(self, sight: Sight) -> ChannelMessage | None:
        """Itself, if the value passes."""
        return self if sight.passes(self.value) else None

    def envelope(self, sight: Sight, reference: str | None) -> bytes:
        """The value as it is seen, the same bytes each time."""
        whole = reference is None and not sight.trim
        known = self._whole.get(sight.crs.code) if whole else None
        if known is not None:
            return known
        content = sight.content(self.value)
        made = self._envelopes.get((id(content), reference))
        if made is None:
            made = self._with_policy(envelope(self.channel, content)) if reference is None else self._referring(sight, reference)
            self._envelopes[id(content), reference] = made
        if whole:
            self._whole[sight.crs.code] = made
        return made

    def referring(self, shared: bytes, reference: str | None) -> bytes:
        """An envelope without a reference, with one."""
        return shared if reference is None else self._with_policy(for_reference(shared, reference))

    def _referring(self, sight: Sight, reference: str) -> bytes:
        return self.referring(self.envelope(sight, None), reference)

    def forget(self) -> None:
        """Let go of the envelopes."""
        self._envelopes.clear()
        self._whole.clear()
        self.value.forget()

    def _with_policy(self, made: bytes) -> bytes:
        policy = slow_client_policy(conf.REDIS_SLOW, self.channel)
        return made if policy == "drop" else PolicyEnvelope(made, policy, conflation_key(self.channel, self.value.members))


class DeliveryBatch:
    """Envelopes that wait for the end of a turn of the event loop, at their subscribers."""

    def __init__(self) -> None:
        self._publications: list[Publication] = []  # they keep their envelopes alive: frames are found by these
        self._subscribers: deque[Subscriber] = deque()
        self._frames: FrameCache = {}

    @property
    def messages(self) -> int:
        """How many there are."""
        return len(self._publications)

    def add(self, publication: Publication, indexes: Sequence[SubscriberIndex]) -> None:
        """Add a message for all whose filters let it pass, with the reference of the first index that a subscriber is in."""
        self._publications.append(publication)
        seen = set[Subscriber]()
        for index in indexes:
            for subscriber in publication.candidates(index):
                if subscriber not in seen:
                    seen.add(subscriber)
                    sight = subscriber.filters.sight
                    message = publication.seen_by(sight)
                    if message is not None:
                        if not subscriber.pending:
                            self._subscribers.append(subscriber)
                        subscriber.pending.append(message.envelope(sight, index.references[subscriber]))

    def deliver(self, until: float) -> bool:
        """Send or queue everything, or as much as can be done until then; whether that was all."""
        subscribers = self._subscribers
        while subscribers:
            last = subscribers[min(CHECK_EVERY, len(subscribers)) - 1]
            for _ in range(min(CHECK_EVERY, len(subscribers))):
                flush(subscribers.popleft(), self._frames)
            if not last.waiting:  # nor is it counted for all of them
                last.outbox.note_latency(self._publications[-1].item)
            if subscribers and time.perf_counter() > until:
                return False
        self._frames = {}
        self._publications = []
        return True


def flush(subscriber: Subscriber, frames: FrameCache) -> None:
    """Send or queue what is pending. A client for which that fails must connect again."""
    try:
        subscriber.flush(frames)
    except Exception:
        logger.exception("messages of Redis could not be delivered")
        subscriber.outbox.on_slow("a message could not be delivered; reconnect")
