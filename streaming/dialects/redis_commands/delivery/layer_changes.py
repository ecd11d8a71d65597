"""Delivers the changes of one layer to its subscribers.

A client that sees the new version of a feature is sent it. A client that saw only the old one is sent a feature without geometry, whose
properties are `deleted` (true) and the `reason`: it has `left_view`, or was `deleted`, or is `expired`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice

from streaming.core.follower import Replacement
from streaming.core.items import Change, Item
from streaming.core.replica import Replica

from ..geojson.client_filters import Sight
from ..geojson.values import Value
from .dispatcher import Dispatcher
from .messages import ChannelMessage
from .subscriber_index import SubscriberIndex
from .subscribers import Subscriber

SOME = 50
"""Changes published at a time, of very many."""


class LayerChange:
    """A change of one feature, to be published. The old version is taken apart only if a subscriber has a box."""

    left_out = 0

    def __init__(self, layer: str, change: Change) -> None:
        self._layer = layer
        self._change = change
        self.item = change.new
        self._new = None if change.new is None else ChannelMessage(layer, Value(change.new.value))

    def candidates(self, index: SubscriberIndex) -> Collection[Subscriber]:
        """The subscribers whose boxes are where the feature is or was."""
        if not index.has_boxes:
            return list(index.references)
        new = () if self._new is None else index.candidates(self._new.value)
        old = () if self._change.old is None else index.candidates(self._old)
        return dict.fromkeys([*new, *old])

    def seen_by(self, sight: Sight) -> ChannelMessage | None:
        """The feature, or that it is gone."""
        if self._new is not None and sight.passes(self._new.value):
            return self._new
        if self._change.old is None or not (sight.area is None or sight.passes(self._old)):
            return None
        return self._deletion

    def forget(self) -> None:
        """Let go of what was made for subscribers."""
        if self._new is not None:
            self._new.forget()

    @cached_property
    def _old(self) -> Value:
        assert self._change.old is not None
        return Value(self._change.old.value)

    @cached_property
    def _deletion(self) -> ChannelMessage:
        reason = "left_view" if self._new is not None else self._change.reason or "deleted"
        return ChannelMessage(self._layer, Value(_tombstone(self._change.key, reason)))


class LayerMessage:
    """A change on its way to the subscribers of its layer. While it waits, later ones of the same feature are merged with it."""

    __slots__ = ("_change", "_layer", "_subscribers", "key", "size", "source")

    may_be_dropped = False

    def __init__(self, layer: str, change: Change, subscribers: SubscriberIndex) -> None:
        self.source = ("layer", layer)
        self.key = change.key
        self.size = sum(len(item.value) for item in (change.old, change.new) if item is not None)
        self._layer = layer
        self._change = change
        self._subscribers = subscribers

    def indexes(self) -> Sequence[SubscriberIndex]:
        """Those of the layer."""
        return [self._subscribers] if len(self._subscribers) else []

    def publication(self) -> LayerChange:
        """What is sent."""
        return LayerChange(self._layer, self._change)

    def replace(self, older: LayerMessage) -> None:
        """From where the older one began."""
        change = self._change
        self._change = Change(change.seq, change.key, older._change.old, change.new, change.reason)

    def drop(self) -> None:
        """Nothing: merging keeps changes within bounds."""


class LayerObserver:
    """Delivers the changes of a layer's replica to its subscribers."""

    def __init__(self, name: str, replica: Replica, dispatcher: Dispatcher) -> None:
        self.subscribers = SubscriberIndex()
        self._name = name
        self._replica = replica
        self._dispatcher = dispatcher
        self._waiting: deque[Iterator[Change]] = deque()
        replica.observe(self)

    def changed(self, changes: Sequence[Change]) -> None:
        """What happened in one turn of the event loop."""
        if self._waiting:
            self._waiting.append(iter(changes))
        else:
            self._publish(changes)

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        """Changes were missed: the differences are delivered, some at a time, and what comes meanwhile behind them."""
        waits = bool(self._waiting)
        self._waiting.append(Change(0, key, old, new) for key, old, new in different or () if _differs(old, new))
        if self._replica.turns is None:
            while self._step():
                pass
        elif not waits:
            self._replica.turns.add(self, self._step)

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._waiting.clear()
        self._replica.unobserve(self)

    def _publish(self, changes: Iterable[Change]) -> None:
        self._dispatcher.publish([LayerMessage(self._name, change, self.subscribers) for change in changes])

    def _step(self) -> bool:
        """Publish some of what waits, unless what was published still waits; returns whether there is more."""
        if self._waiting and self._dispatcher.idle:
            some = list(islice(self._waiting[0], SOME))
            self._publish(some)
            if len(some) < SOME:
                self._waiting.popleft()
        return bool(self._waiting)


def _differs(old: Item | None, new: Item | None) -> bool:
    return old is None or new is None or old.value != new.value


def _tombstone(key: str, reason: str) -> bytes:
    """Keys are the JSON texts of ids."""
    return b'{"type":"Feature","id":%b,"geometry":null,"properties":{"deleted":true,"reason":"%b"}}' % (key.encode(), reason.encode())
