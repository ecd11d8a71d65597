"""Subscriptions of this process's clients to channels of Redis, and the delivery of what is published there.

A message is parsed once, projected and encoded once per CRS, framed once for all subscribers that are sent the same, and sent to each
once, however many names and patterns of a client match. What is no JSON is counted and skipped: it costs nobody the connection.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Literal

import msgspec

from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.redis_data.names import ReadableNames

from ..geojson.shapes import decode_members
from ..geojson.values import Value
from .dispatcher import Dispatcher
from .messages import ChannelMessage
from .pattern_index import PatternIndex
from .policies import ConflationKey, conflation_key, slow_client_policy
from .subscriber_index import SubscriberIndex
from .subscribers import Subscriber

MAX_KEYED_BYTES = 16 * 1024
"""Of a message that is looked into for its feature's id while it waits."""

Indexes = Callable[[str], Sequence[SubscriberIndex]]


class ArrivedMessage:
    """A message of a channel on its way to its subscribers. Those who have subscribed when it is sent are sent it."""

    may_be_dropped = True

    def __init__(self, name: str, payload: bytes, indexes: Indexes) -> None:
        self.source = name
        self.size = len(payload)
        self._name = name
        self._payload = payload
        self._indexes = indexes

    def indexes(self) -> Sequence[SubscriberIndex]:
        """Those of the channel, and of the patterns that match it."""
        return self._indexes(self._name)

    def publication(self) -> ChannelMessage:
        """What is sent. `BadValue` if it is no JSON."""
        return ChannelMessage(self._name, Value(self._payload))

    @cached_property
    def key(self) -> ConflationKey | None:
        """The feature, if the policy of the channel is to keep the latest of each."""
        if slow_client_policy(conf.REDIS_SLOW, self._name) != "latest" or self.size > MAX_KEYED_BYTES:
            return None
        try:
            key = conflation_key(self._name, decode_members(self._payload))
        except msgspec.DecodeError:
            return None
        return None if key.id is None else key

    def replace(self, older: ArrivedMessage) -> None:
        """Nothing is left of the older one."""

    def drop(self) -> None:
        """Its subscribers are closed, if the policy of the channel says so."""
        if slow_client_policy(conf.REDIS_SLOW, self._name) == "close":
            for index in self.indexes():
                for subscriber in list(index.references):
                    subscriber.close("a message that must not be missed waited too long; reconnect")


class ChannelSubscriptions:
    """Every subscriber of this process."""

    def __init__(self, bus: Bus, readable: ReadableNames, dispatcher: Dispatcher) -> None:
        self.readable = readable
        self.subscribers: dict[Subscriber, None] = {}
        self.dispatcher = dispatcher
        self.received = 0
        """Messages for which there may have been a subscriber."""
        self._past = Counter[str]()
        """Counts of subscribers that are gone."""
        self._bus = bus
        self._names: dict[str, SubscriberIndex] = {}
        self._patterns = PatternIndex(readable.needed)

    def total(self, count: Literal["delivered", "dropped", "conflated"]) -> int:
        """One of the counts of subscribers, of all that there are and were."""
        count_of: Callable[[Subscriber], int] = attrgetter(count)
        return self._past[count] + sum(map(count_of, self.subscribers))

    # -- permissions -------------------------------------------------------

    def allows(self, subscriber: Subscriber, name: str) -> bool:
        """Whether it may read a name."""
        return self.readable.allows(name, subscriber.permissions)

    def grant(self, subscriber: Subscriber, permissions: frozenset[str]) -> None:
        """From now on it has these of the permissions that names need. What it may not read any more, it is not sent."""
        if permissions == subscriber.permissions:
            return
        self._patterns.change_permissions(subscriber, permissions)
        for name in [name for name in subscriber.channels if not self.allows(subscriber, name)]:
            self.unsubscribe(subscriber, name)

    # -- subscriptions -----------------------------------------------------

    def subscribe(self, subscriber: Subscriber, name: str, reference: str | None = None) -> asyncio.Future[list[bool]]:
        """Send it what is published on a channel from now on, with the reference it gave last.

        The future ends once Redis has the subscription, or refused it, however long Redis is away; it may be ignored. `StreamError`:
        forbidden, too_many_subscriptions.
        """
        if not self.allows(subscriber, name):
            raise StreamError("forbidden", "this name may not be read")
        known = name in subscriber.channels
        self.admit(subscriber, known)
        subscriber.channels[name] = reference
        self._names.setdefault(name, SubscriberIndex()).add(subscriber, reference)
        confirmed = self._bus.subscribe(name, self._receive)
        if known:
            self._bus.unsubscribe(name, self._receive)
        return asyncio.gather(*[confirmed])

    def unsubscribe(self, subscriber: Subscriber, name: str) -> None:
        """Undo `subscribe`; nothing if there is no such subscription."""
        if name not in subscriber.channels:
            return
        del subscriber.channels[name]
        index = self._names[name]
        index.remove(subscriber)
        if not len(index):
            del self._names[name]
        self._bus.unsubscribe(name, self._receive)

    def psubscribe(self, subscriber: Subscriber, glob: str, reference: str | None = None) -> asyncio.Future[list[bool]]:
        """The same for all readable channels that a pattern matches. `StreamError`: bad_request, too_many_subscriptions, rate_limited."""
        known = glob in subscriber.patterns
        _check_room(len(subscriber.patterns) - known, conf.REDIS_PATTERNS)
        self._patterns.add(subscriber, glob, reference)
        self.subscribers[subscriber] = None
        subscriber.patterns[glob] = reference
        confirmed = self._subscribe_all_readable()
        if known:
            self._unsubscribe_all_readable()
        return confirmed

    def punsubscribe(self, subscriber: Subscriber, glob: str) -> None:
        """Undo `psubscribe`; nothing if there is no such subscription."""
        if glob not in subscriber.patterns:
            return
        del subscriber.patterns[glob]
        self._patterns.remove(subscriber, glob)
        self._unsubscribe_all_readable()

    def admit(self, subscriber: Subscriber, known: bool) -> None:
        """It is about to subscribe to one more channel or layer, or to one it has (`known`). `StreamError("too_many_subscriptions")`."""
        _check_room(len(subscriber.channels) + len(subscriber.layers) - known, conf.REDIS_SUBSCRIPTIONS)
        self.subscribers[subscriber] = None

    def clear(self, subscriber: Subscriber) -> None:
        """End all its subscriptions; what waits is still sent."""
        for name in list(subscriber.channels):
            self.unsubscribe(subscriber, name)
        for glob in list(subscriber.patterns):
            self.punsubscribe(subscriber, glob)

    def remove(self, subscriber: Subscriber) -> None:
        """Forget a subscriber that is gone."""
        self.clear(subscriber)
        subscriber.stop()
        if subscriber in self.subscribers:
            del self.subscribers[subscriber]
            self._past.update(delivered=subscriber.delivered, dropped=subscriber.dropped, conflated=subscriber.conflated)

    def _subscribe_all_readable(self) -> asyncio.Future[list[bool]]:
        confirmed = [self._bus.psubscribe(pattern, self._receive) for pattern in self.readable.patterns]
        confirmed += [self._bus.subscribe(name, self._receive) for name in self.readable.exact]
        return asyncio.gather(*confirmed)

    def _unsubscribe_all_readable(self) -> None:
        for pattern in self.readable.patterns:
            self._bus.punsubscribe(pattern, self._receive)
        for name in self.readable.exact:
            self._bus.unsubscribe(name, self._receive)

    # -- messages ----------------------------------------------------------

    def _receive(self, arrivals: Sequence[Arrival]) -> None:
        self.dispatcher.publish(self._messages(arrivals))

    def _messages(self, arrivals: Sequence[Arrival]) -> Iterator[ArrivedMessage]:
        for arrival in arrivals:
            try:
                name = arrival.channel.decode()
            except UnicodeDecodeError:
                continue
            if self.indexes(name):
                self.received += 1
                yield ArrivedMessage(name, arrival.payload, self.indexes)

    def indexes(self, name: str) -> list[SubscriberIndex]:
        """The subscribers of the channel itself, and those of each pattern that matches."""
        index = self._names.get(name)
        matched = self._patterns.matching(name)
        return matched if index is None else [index, *matched]


def _check_room(count: int, limit: int) -> None:
    if count >= limit:
        raise StreamError("too_many_subscriptions", f"a client may have {limit} of these")
