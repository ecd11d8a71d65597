"""The queues of a subscription: what it has received and its reader has not yet taken.

No queue can grow without bound when the reader is slow. Changes of one feature merge, so there is at most one for each feature
and the reader always gets the latest state; of each tile only the latest version waits; events are dropped from the oldest on, and the
next one has their number.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import replace
from typing import Generic, TypeVar

from .changes import Event, FeatureChange, FeatureKey
from .picture import View
from .tiles import Coords, Tile

T = TypeVar("T")


class Waiting(Generic[T]):
    """A queue of one reader that can be ended, with or without an error. What waits is still handed out after `end`."""

    def __init__(self) -> None:
        self._stirred = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def _pop(self) -> T:
        raise NotImplementedError

    def clear(self) -> None:
        """Drop what waits."""
        raise NotImplementedError

    async def get(self) -> T:
        """The next one. Raises what `end` was given, or StopAsyncIteration."""
        while not len(self):
            if self._ended:
                raise self._error or StopAsyncIteration
            self._stirred.clear()
            await self._stirred.wait()
        return self._pop()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will come. Only the first call counts."""
        if not self._ended:
            self._ended, self._error = True, error
            self._stirred.set()


class WaitingChanges(Waiting[FeatureChange]):
    """At most one change of each feature, in the order of the first one that waits."""

    def __init__(self) -> None:
        super().__init__()
        self._changes: OrderedDict[FeatureKey, FeatureChange] = OrderedDict()

    def __len__(self) -> int:
        return len(self._changes)

    def put(self, key: FeatureKey, change: FeatureChange) -> None:
        """Add a change, merged into the one of the same feature that still waits."""
        waiting = self._changes.get(key)
        merged = merge(waiting, change) if waiting is not None else change
        if merged is None:
            del self._changes[key]
        else:
            self._changes[key] = merged
            self._stirred.set()

    def _pop(self) -> FeatureChange:
        return self._changes.popitem(last=False)[1]

    def clear(self) -> None:
        """Drop what waits."""
        self._changes.clear()


class WaitingTiles(Waiting[Tile]):
    """The latest version of each tile, in the order of the first one that waits."""

    def __init__(self) -> None:
        super().__init__()
        self._tiles: OrderedDict[tuple[str | None, Coords], Tile] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tiles)

    def put(self, tile: Tile) -> None:
        """Add a tile, in place of an older version of it that still waits."""
        self._tiles[tile.tileset, tile.coords] = tile
        self._stirred.set()

    def crop(self, view: View) -> None:
        """Drop what is out of view."""
        self._tiles = OrderedDict((key, tile) for key, tile in self._tiles.items() if tile.coords in view)

    def _pop(self) -> Tile:
        return self._tiles.popitem(last=False)[1]

    def clear(self) -> None:
        """Drop what waits."""
        self._tiles.clear()


class WaitingEvents(Waiting[Event]):
    """At most `limit` events; of the ones that had to go, the next one counts how many."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._events: deque[Event] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Add an event, dropping the oldest if there are too many."""
        self._events.append(event)
        if len(self._events) > self._limit:
            lost = self._events.popleft()
            self._events[0] = replace(self._events[0], gap=self._events[0].gap + lost.gap + 1)
        self._stirred.set()

    def _pop(self) -> Event:
        return self._events.popleft()

    def clear(self) -> None:
        """Drop what waits."""
        self._events.clear()


def merge(first: FeatureChange, then: FeatureChange) -> FeatureChange | None:
    """Two changes of one feature as one, or None if together they are nothing to somebody who saw neither.

    The result keeps the cursor of the first: it stands where the first stood, before changes that are older than the second.
    """
    if first.type == "added" and then.type == "deleted":
        return None
    if first.type == "added":
        return replace(then, type="added", cursor=first.cursor)
    if first.type == "deleted" and then.type != "deleted":
        return replace(then, type="updated", cursor=first.cursor)
    return replace(then, cursor=first.cursor)
