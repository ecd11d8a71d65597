"""The changes of one layer as its listeners are told of them.

Whoever sees the new version of a feature is told it. Whoever saw only the old one is told a feature without geometry, whose properties
say that it is `deleted`, and the `reason`: it has `left_view`, or was `deleted`, or is `expired`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from streaming.core.items import Change, Item
from streaming.core.replica import Replica

from ..geojson.client_filters import Filters, Value
from .messages import Message, Turn
from .subscriber_index import Audience
from .subscribers import Listener

logger = logging.getLogger(__name__)

SLICE = 200
"""Changes told before others have a turn."""


class LayerChange:
    """A step of one feature. The old version is looked into only if somebody has a box."""

    def __init__(self, layer: str, change: Change) -> None:
        self._layer = layer
        self._change = change
        self._new = None if change.new is None else Message(layer, Value(change.new.value))

    def candidates(self, audience: Audience) -> Collection[Listener]:
        """Those whose boxes are where it is or was."""
        if not audience.boxed:
            return list(audience.references)
        now = () if self._new is None else audience.candidates(self._new.value)
        before = () if self._change.old is None else audience.candidates(self._before)
        return dict.fromkeys([*now, *before])

    def told(self, filters: Filters, reference: str | None) -> bytes | None:
        """The feature, or that it is gone."""
        if self._new is not None and filters.passes(self._new.value):
            return self._new.envelope(filters, reference)
        if self._change.old is None or not (filters.area is None or filters.passes(self._before)):
            return None
        return self._gone.envelope(filters, reference)

    @cached_property
    def _before(self) -> Value:
        assert self._change.old is not None
        return Value(self._change.old.value)

    @cached_property
    def _gone(self) -> Message:
        reason = "left_view" if self._new is not None else self._change.reason or "deleted"
        return Message(self._layer, Value(_tombstone(self._change.key, reason)))


class FollowedLayer:
    """A layer that somebody here listens to: an observer of its replica."""

    def __init__(self, name: str, replica: Replica) -> None:
        self.audience = Audience()
        self._name = name
        self._replica = replica
        self._items = replica.items
        self._waiting: deque[Change] = deque()
        self._next: asyncio.Handle | None = None
        replica.observe(self)

    def changed(self, changes: Sequence[Change]) -> None:
        """What happened in one turn."""
        self._waiting.extend(changes)
        if self._next is None:
            self._tell()

    def replaced(self) -> None:
        """Changes were missed: what is different now is told. The replica leaves the state it had as it was."""
        before, self._items = self._items, self._replica.items
        self.changed(list(_differences(before, self._items)))

    def stop(self) -> None:
        """Tell nothing any more."""
        self._replica.unobserve(self)
        self._waiting.clear()
        if self._next is not None:
            self._next.cancel()

    def _tell(self) -> None:
        turn = Turn()
        for _ in range(min(SLICE, len(self._waiting))):
            change = self._waiting.popleft()
            try:
                turn.add(LayerChange(self._name, change), [self.audience])
            except Exception:
                logger.exception("a change of layer %s could not be told", self._name)
        turn.deliver()
        self._next = asyncio.get_running_loop().call_soon(self._tell) if self._waiting else None


def _differences(before: dict[str, Item], after: dict[str, Item]) -> Iterator[Change]:
    for key, old in before.items():
        now = after.get(key)
        if now is None or now.value != old.value:
            yield Change(0, key, old, now)
    for key, new in after.items():
        if key not in before:
            yield Change(0, key, None, new)


def _tombstone(key: str, reason: str) -> bytes:
    """Keys are the JSON texts of ids."""
    return b'{"type":"Feature","id":%b,"geometry":null,"properties":{"deleted":true,"reason":"%b"}}' % (key.encode(), reason.encode())
