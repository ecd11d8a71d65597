"""The items of a feed as they are, and as they were at moments at which somebody still reads them.

A snapshot is read while the socket takes it, perhaps for minutes, and meanwhile items change. Instead of laying up a copy for each
reader, the version that a change replaces is kept, once for all readers, if one of them may still ask for it: the first change of a key
after the newest moment. What changes more often than somebody begins to read costs nothing more.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from .items import Change, Item

PRUNED = 1000
"""Old versions forgotten at a time."""


class Versions:
    """The items of one feed by key. `current` is what there is now; only `apply` changes it."""

    def __init__(self, items: dict[str, Item]) -> None:
        self.current = items
        self._keys: list[str] | None = None  # each once, in an order that only ever grows while somebody reads
        self._gone: set[str] = set()  # those of them that are not current
        self._moments: Counter[int] = Counter()  # readers by number; numbers only grow
        self._newest = -1
        self._replaced: dict[str, deque[tuple[int, Item | None]]] = {}  # (number of the change, what it replaced)
        self._order: deque[tuple[int, str]] = deque()  # of what is in there

    def apply(self, change: Change) -> None:
        """Take the next change."""
        if self._moments:
            self._remember(change)
        key, new = change.key, change.new
        if new is None:
            if self.current.pop(key, None) is not None and self._keys is not None:
                self._gone.add(key)
            return
        if self._keys is not None and key not in self.current:
            if key in self._gone:
                self._gone.remove(key)
            else:
                self._keys.append(key)
        self.current[key] = new

    def moment(self, seq: int, gone: Iterable[str] = ()) -> Moment:
        """The items as they are now, after change number `seq`; its keys include those of `gone`, though there is nothing any more."""
        if self._keys is None or (not self._moments and 2 * len(self._gone) > len(self._keys)):
            self._keys, self._gone = list(self.current), set()
        for key in gone:
            if key not in self.current and key not in self._gone:
                self._keys.append(key)
                self._gone.add(key)
        return self.moment_of(self._keys, seq)

    def moment_of(self, keys: list[str], seq: int) -> Moment:
        """The items of these keys as they are now, after change number `seq`."""
        self._moments[seq] += 1
        self._newest = seq
        return Moment(self, keys, seq)

    def release(self, seq: int) -> None:
        """A reader of this moment has ended."""
        self._moments[seq] -= 1
        if self._moments[seq]:
            return
        del self._moments[seq]
        if self._moments:
            self._prune(PRUNED)
        else:
            self._replaced, self._order = {}, deque()

    def at(self, key: str, seq: int) -> Item | None:
        """An item as it was after change number `seq`, of which there must be a moment."""
        for number, replaced in self._replaced.get(key, ()):
            if number > seq:
                return replaced
        return self.current.get(key)

    @property
    def kept(self) -> int:
        """How many old versions are kept."""
        return len(self._order)

    def _remember(self, change: Change) -> None:
        replaced = self._replaced.get(change.key)
        if replaced and replaced[-1][0] > self._newest:
            return
        self._replaced.setdefault(change.key, deque()).append((change.seq, change.old))
        self._order.append((change.seq, change.key))
        self._prune(2)

    def _prune(self, most: int) -> None:
        oldest = next(iter(self._moments))
        for _ in range(most):
            if not self._order or self._order[0][0] > oldest:
                return
            _, key = self._order.popleft()
            replaced = self._replaced[key]
            replaced.popleft()
            if not replaced:
                del self._replaced[key]


class Moment:
    """A feed's items as they were at one moment, by number. Old versions are kept for as long as this object lives."""

    __slots__ = ("_count", "_keys", "_versions", "seq")

    def __init__(self, versions: Versions, keys: list[str], seq: int) -> None:
        self._versions = versions
        self._keys = keys
        self._count = len(keys)
        self.seq = seq

    def __del__(self) -> None:
        # Readers end in many ways: served, moved, hung up. None of them can forget to let go.
        self._versions.release(self.seq)

    def __len__(self) -> int:
        """How many keys there were, or had been."""
        return self._count

    def key(self, number: int) -> str:
        """One key."""
        return self._keys[number]

    def item(self, number: int) -> Item | None:
        """The item of one key, None if there was none."""
        return self._versions.at(self._keys[number], self.seq)

    def of(self, key: str) -> Item | None:
        """The item of this key, None if there was none."""
        return self._versions.at(key, self.seq)

    def items(self, start: int, stop: int) -> list[Item | None]:
        """Those of some keys."""
        keys, at, seq = self._keys[start : min(stop, self._count)], self._versions.at, self.seq
        if not self._versions.kept:
            return list(map(self._versions.current.get, keys))
        return [at(key, seq) for key in keys]
