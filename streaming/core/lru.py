"""An LRU cache that is bounded by the cost of its entries, such as their bytes, and is safe from several threads.

`cachetools.LRUCache` refuses a value that is larger than the cache instead of leaving it out, knows the cost of a value
only from the value itself, and needs a lock around it: the class around it would be as long as this one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRU(Generic[K, V]):
    """The entries used last, as many as fit: their costs add up to `limit` at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._cost = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def cost(self) -> int:
        """The cost of all entries."""
        return self._cost

    def __getitem__(self, key: K) -> V:
        with self._lock:
            value, _ = self._entries[key]
            self._entries.move_to_end(key)
            return value

    def get(self, key: K) -> V | None:
        """The value, None if it is not kept. Getting an entry is using it."""
        try:
            return self[key]
        except KeyError:
            return None

    def put(self, key: K, value: V, cost: int = 1) -> None:
        """Keep a value and drop the entries used longest ago.

        A value over the limit is not kept, and drops no other entry.
        """
        with self._lock:
            self._drop(key)
            if cost > self._limit:
                return
            self._entries[key] = value, cost
            self._cost += cost
            while self._cost > self._limit:
                self._drop(next(iter(self._entries)))

    def pop(self, key: K) -> bool:
        """Drop an entry; returns whether it was there."""
        with self._lock:
            return self._drop(key)

    def keys(self) -> list[K]:
        """The keys of this moment, those used longest ago first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Drop all entries."""
        with self._lock:
            self._entries.clear()
            self._cost = 0

    def _drop(self, key: K) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self._cost -= entry[1]
        return True
