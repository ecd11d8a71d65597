"""Deliveries: the changes that a view is sent, and the queues in which they wait.

A delivery is one message-worth of change for one view: shared by all views that receive the same. Waiting deliveries conflate by key
(`KeyedQueue`) or drop the oldest and count what was lost (`LogQueue`); both are bounded and neither ever breaks the promise of a cursor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol

from .items import Change, Item

Kind = Literal["added", "updated", "deleted", "event"]

_MERGED: dict[tuple[Kind, Kind], Kind | None] = {
    ("added", "added"): "added",
    ("added", "updated"): "added",
    ("added", "deleted"): None,
    ("updated", "added"): "updated",
    ("updated", "updated"): "updated",
    ("updated", "deleted"): "deleted",
    ("deleted", "added"): "updated",
    ("deleted", "updated"): "updated",
    ("deleted", "deleted"): "deleted",
}


class Delivery:
    """One change to deliver: its kind, the item (None for a deletion) and a promise.

    `seq` is that promise: a client that has received this delivery and all before it is complete up to there. None promises nothing.
    `base`, of an update, is the version that a client holds that has received all before it; None where that is not certain.
    `frames` keeps the encoded forms, one per variant.
    """

    __slots__ = ("base", "epoch", "frames", "item", "key", "kind", "reason", "seq")

    def __init__(
        self,
        kind: Kind,
        key: str,
        item: Item | None,
        epoch: str,
        seq: int | None,
        reason: str | None = None,
        base: Item | None = None,
    ) -> None:
        self.kind = kind
        self.key = key
        self.item = item
        self.epoch = epoch
        self.seq = seq
        self.reason = reason
        self.base = base
        self.frames: dict[Any, Any] = {}

    @property
    def size(self) -> int:
        """Bytes it keeps waiting, roughly."""
        return 200 if self.item is None else 200 + len(self.item.value)

    @property
    def cursor(self) -> str | None:
        """The promise as a cursor's text."""
        return None if self.seq is None else f"{self.epoch}:{self.seq}"

    def promising(self, seq: int | None) -> Delivery:
        """The same with another promise."""
        return self if seq == self.seq else Delivery(self.kind, self.key, self.item, self.epoch, seq, self.reason, self.base)


def judged(change: Change, kind: Kind, epoch: str) -> Delivery:
    """The delivery of a change to views for which it is of this kind."""
    item, reason = None if kind == "deleted" else change.new, change.reason
    if kind == "deleted":
        reason = "left_view" if change.new is not None else change.reason or "deleted"
    return Delivery(kind, change.key, item, epoch, change.seq, reason, change.old if kind == "updated" else None)


def merged(waiting: Delivery, newer: Delivery) -> Delivery | None:
    """What two deliveries of one key come to for a client that has received neither; None if nothing is left to deliver."""
    kind = _MERGED[waiting.kind, newer.kind]
    if kind is None:
        return None
    reason, base = (newer.reason, None) if kind == "deleted" else (None, waiting.base)
    return Delivery(kind, newer.key, newer.item, waiting.epoch, waiting.seq, reason, base)


def conflated(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """One delivery a key, at the place of its first."""
    latest: dict[str, Delivery] = {}
    for delivery in deliveries:
        waiting = latest.get(delivery.key)
        result = delivery if waiting is None else merged(waiting, delivery)
        if result is None:
            del latest[delivery.key]
        else:
            latest[delivery.key] = result
    return list(latest.values())


class Losses:
    """What clients of this process were not sent because they were slow."""

    conflated = 0
    """Waiting deliveries that a newer one of the same key has replaced, or taken away."""
    dropped = 0
    """Lines of logs; the clients were told how many."""


losses = Losses()


class Encoder(Protocol):
    """Turns deliveries into what a sender writes; equal variants share one encoder, which is why it may be a cache key."""

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """The finished frames; `gap` is how many were lost just before the first."""


class Source(Protocol):
    """Something that waits in an outbox; `owner` is the view it is for."""

    owner: object

    @property
    def size(self) -> int:
        """Bytes held, roughly."""

    def __len__(self) -> int:
        """How many messages wait."""

    def take(self, limit: int) -> list[Any]:
        """Remove and encode about `limit` bytes' worth from the front."""


class Frames:
    """Finished frames that only wait for their turn (acks, pongs, errors)."""

    __slots__ = ("_frames", "owner")

    def __init__(self, frames: list[Any]) -> None:
        self._frames = frames
        self.owner: object = None

    @property
    def size(self) -> int:
        return sum(len(frame) for frame in self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def take(self, limit: int) -> list[Any]:
        frames, self._frames = self._frames, []
        return frames


class Reserved:
    """The place of something that is not known yet. Nothing behind it is sent until it is filled (`Outbox.fill`)."""

    size = 0

    def __init__(self, owner: object) -> None:
        self.owner = owner

    def __len__(self) -> int:
        return 1

    def take(self, limit: int) -> list[Any]:
        return []


class Marker:
    """Calls when everything before it was written."""

    size = 0

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._waits = True
        self.owner: object = None

    def __len__(self) -> int:
        return int(self._waits)

    def take(self, limit: int) -> list[Any]:
        self._waits = False
        asyncio.get_running_loop().call_soon(self._call)
        return []


class Bulk:
    """Many deliveries at once (a snapshot, a moved view, a resume), made and encoded piece by piece as the socket takes them."""

    __slots__ = ("_deliveries", "_encoder", "_gap", "_next", "owner")

    POINTER = 64

    def __init__(self, encoder: Encoder, deliveries: Sequence[Delivery], gap: int = 0, owner: object = None, start: int = 0) -> None:
        """`start`: how many of them the client has already."""
        self._encoder = encoder
        self._deliveries = deliveries
        self.owner = owner
        self._next = start
        self._gap = gap

    @property
    def size(self) -> int:
        return self.POINTER * len(self)

    def __len__(self) -> int:
        return len(self._deliveries) - self._next

    def take(self, limit: int) -> list[Any]:
        piece = _worth((self._deliveries[at] for at in range(self._next, len(self._deliveries))), limit)
        self._next += len(piece)
        gap, self._gap = self._gap, 0
        return self._encoder.frames(piece, gap)


class KeyedQueue:
    """Deliveries of one view that wait, the latest of each key, each at the place where its key began to wait."""

    __slots__ = ("_encoder", "_size", "_waiting", "owner")

    gap = 0

    def __init__(self, encoder: Encoder, owner: object = None) -> None:
        self._encoder = encoder
        self.owner = owner
        self._waiting: dict[str, Delivery] = {}
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: str) -> bool:
        return key in self._waiting

    @property
    def first(self) -> Item | None:
        """What is sent next, unless nothing waits or that is a deletion."""
        return next((delivery.item for delivery in self._waiting.values()), None)

    def push(self, deliveries: Iterable[Delivery]) -> None:
        """Add deliveries, newest last."""
        for delivery in deliveries:
            waiting = self._waiting.get(delivery.key)
            if waiting is None:
                self._waiting[delivery.key] = delivery
                self._size += delivery.size
                continue
            losses.conflated += 1
            self._size -= waiting.size
            result = merged(waiting, delivery)
            if result is None:
                del self._waiting[delivery.key]
            else:
                self._waiting[delivery.key] = result
                self._size += result.size

    def take(self, limit: int) -> list[Any]:
        piece = _worth(self._waiting.values(), limit)
        if len(piece) == len(self._waiting):
            self._waiting = {}
            self._size = 0
        else:
            for delivery in piece:
                del self._waiting[delivery.key]
                self._size -= delivery.size
        return self._encoder.frames(piece)


class LogQueue:
    """Deliveries of one view of which each counts, the newest `limit` of them. The client receives the count of those dropped."""

    __slots__ = ("_encoder", "_limit", "_size", "_waiting", "dropped", "gap", "owner")

    def __init__(self, encoder: Encoder, limit: int) -> None:
        self._encoder = encoder
        self._limit = limit
        self._waiting: deque[Delivery] = deque()
        self._size = 0
        self.owner: object = None
        self.gap = 0
        self.dropped = 0

    @property
    def size(self) -> int:
        return self._size

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> Item | None:
        """What is sent next, unless nothing waits."""
        return self._waiting[0].item if self._waiting else None

    @property
    def oldest(self) -> Delivery | None:
        """What has waited for longest."""
        return self._waiting[0] if self._waiting else None

    def push(self, deliveries: Iterable[Delivery], gap: int = 0) -> None:
        """Add deliveries, newest last; `gap` is how many are known to be missing before them."""
        self.gap += gap
        for delivery in deliveries:
            self._waiting.append(delivery)
            self._size += delivery.size
            if len(self._waiting) > self._limit:
                self._size -= self._waiting.popleft().size
                self.gap += 1
                self.dropped += 1
                losses.dropped += 1

    def take(self, limit: int) -> list[Any]:
        piece = _worth(self._waiting, limit)
        for delivery in piece:
            self._waiting.popleft()
            self._size -= delivery.size
        gap, self.gap = self.gap, 0
        return self._encoder.frames(piece, gap)


def _worth(deliveries: Iterable[Delivery], limit: int) -> list[Delivery]:
    piece = []
    for delivery in deliveries:
        piece.append(delivery)
        limit -= delivery.size
        if limit <= 0:
            break
    return piece
