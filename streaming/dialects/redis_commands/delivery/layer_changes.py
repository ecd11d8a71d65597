"""Delivers the changes of one layer to its subscribers.

A client that sees the new version of a feature is sent it. A client that saw only the old one is sent a feature without geometry, whose
properties are `deleted` (true) and the `reason`: it has `left_view`, or was `deleted`, or is `expired`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from streaming.core.items import Change, Item
from streaming.core.replica import Replica

from ..geojson.client_filters import ClientFilters
from ..geojson.values import Value
from .messages import ChannelMessage, DeliveryBatch
from .subscriber_index import SubscriberIndex
from .subscribers import Subscriber

logger = logging.getLogger(__name__)

SLICE = 200
"""Changes delivered before others have a turn."""


class LayerChange:
    """A change of one feature, to be published. The old version is parsed only if a subscriber has a box."""

    def __init__(self, layer: str, change: Change) -> None:
        self._layer = layer
        self._change = change
        self._new = None if change.new is None else ChannelMessage(layer, Value(change.new.value))

    def candidates(self, index: SubscriberIndex) -> Collection[Subscriber]:
        """The subscribers whose boxes are where the feature is or was."""
        if not index.has_boxes:
            return list(index.references)
        new = () if self._new is None else index.candidates(self._new.value)
        old = () if self._change.old is None else index.candidates(self._old)
        return dict.fromkeys([*new, *old])

    def encode_for(self, filters: ClientFilters, reference: str | None) -> bytes | None:
        """The feature, or that it is gone."""
        if self._new is not None and filters.passes(self._new.value):
            return self._new.envelope(filters, reference)
        if self._change.old is None or not (filters.area is None or filters.passes(self._old)):
            return None
        return self._deletion.envelope(filters, reference)

    @cached_property
    def _old(self) -> Value:
        assert self._change.old is not None
        return Value(self._change.old.value)

    @cached_property
    def _deletion(self) -> ChannelMessage:
        reason = "left_view" if self._new is not None else self._change.reason or "deleted"
        return ChannelMessage(self._layer, Value(_tombstone(self._change.key, reason)))


class LayerObserver:
    """Delivers the changes of a layer's replica to its subscribers."""

    def __init__(self, name: str, replica: Replica) -> None:
        self.subscribers = SubscriberIndex()
        self._name = name
        self._replica = replica
        self._items = replica.items
        self._waiting: deque[Change] = deque()
        self._next: asyncio.Handle | None = None
        replica.observe(self)

    def changed(self, changes: Sequence[Change]) -> None:
        """What happened in one turn of the event loop."""
        self._waiting.extend(changes)
        if self._next is None:
            self._deliver()

    def replaced(self) -> None:
        """Changes were missed: the differences are delivered. The replica leaves its earlier state as it was."""
        before, self._items = self._items, self._replica.items
        self.changed(list(_differences(before, self._items)))

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._replica.unobserve(self)
        self._waiting.clear()
        if self._next is not None:
            self._next.cancel()

    def _deliver(self) -> None:
        batch = DeliveryBatch()
        for _ in range(min(SLICE, len(self._waiting))):
            change = self._waiting.popleft()
            try:
                batch.add(LayerChange(self._name, change), [self.subscribers])
            except Exception:
                logger.exception("a change of layer %s could not be delivered", self._name)
        batch.deliver()
        self._next = asyncio.get_running_loop().call_soon(self._deliver) if self._waiting else None


def _differences(before: dict[str, Item], after: dict[str, Item]) -> Iterator[Change]:
    for key, old in before.items():
        new = after.get(key)
        if new is None or new.value != old.value:
            yield Change(0, key, old, new)
    for key, new in after.items():
        if key not in before:
            yield Change(0, key, None, new)


def _tombstone(key: str, reason: str) -> bytes:
    """Keys are the JSON texts of ids."""
    return b'{"type":"Feature","id":%b,"geometry":null,"properties":{"deleted":true,"reason":"%b"}}' % (key.encode(), reason.encode())
