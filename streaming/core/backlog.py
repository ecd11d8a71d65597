"""A backlog: the changes that an audience with a costly filter has not judged yet.

Several changes of one key become one, from what the clients have received to what there is now; so it is never longer than its feed has
keys, and whoever cannot be kept up with is sent fewer, merged changes, as slow readers are. It stands where the first of them stood, as
in the queue of a view.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from .items import Change, Item

MOST_LINES = 10_000
"""Lines of a log (which do not become one) that wait at most; the oldest are lost, and counted."""

_Round = OrderedDict[str, Change]


class Backlog:
    """Changes in rounds. With each view that joins the audience a new round begins: nothing becomes one across it."""

    __slots__ = ("_rounds", "round")

    def __init__(self) -> None:
        self.round = 0
        """The number of the oldest round."""
        self._rounds: list[_Round] = []

    def __bool__(self) -> bool:
        return bool(self._rounds)

    def __len__(self) -> int:
        return sum(map(len, self._rounds))

    def begin_round(self) -> int:
        """The number of the round in which the next change will be."""
        if self._rounds and self._rounds[-1]:
            self._rounds.append(OrderedDict())
        return self.round + max(len(self._rounds) - 1, 0)

    def add(self, change: Change, conflate: bool) -> int:
        """Add a change; returns how many had to go for it."""
        if not self._rounds:
            self._rounds.append(OrderedDict())
        last = self._rounds[-1]
        if not conflate:
            last[str(change.seq)] = change
            return self._dropped()
        waiting = last.get(change.key)
        if waiting is not None:
            change = Change(waiting.seq, change.key, waiting.old, change.new, change.reason)
        last[change.key] = change
        return 0

    def take(self) -> Iterator[Change]:
        """Remove and yield the changes of the oldest round, oldest first, for as long as they are asked for."""
        oldest = self._rounds[0]
        while oldest:
            _, change = oldest.popitem(last=False)
            if not oldest:
                self._next_round()
            yield change
        if self._rounds and self._rounds[0] is oldest:  # nothing has come since a view joined
            self._next_round()

    def first(self, since: int) -> int | None:
        """The number of the first change of this round and later ones; None if there is none."""
        return next((change.seq for each in self._since(since) for change in each.values()), None)

    def replaced(self, since: int) -> dict[str, Item | None]:
        """What the changes of this round and later ones replace, by key."""
        found: dict[str, Item | None] = {}
        for each in self._since(since):
            for key, change in each.items():
                found.setdefault(key, change.old)
        return found

    def clear(self) -> None:
        """Forget everything."""
        self.round += len(self._rounds)
        self._rounds.clear()

    def _next_round(self) -> None:
        self._rounds.pop(0)
        self.round += 1

    def _since(self, number: int) -> Iterator[_Round]:
        return (each for at, each in enumerate(self._rounds, self.round) if at >= number)

    def _dropped(self) -> int:
        if len(self) <= MOST_LINES:
            return 0
        next(self.take())
        return 1
