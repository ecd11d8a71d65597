"""The patterns of all subscribers of a process, and which of them match a name.

A name is compared once with each pattern, however often patterns come and go and however many messages are published there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, takewhile
from typing import NamedTuple

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.redis_data.glob import Glob
from streaming.redis_data.names import Needed

from .subscriber_index import SubscriberIndex
from .subscribers import Subscriber

MAX_NAMES = 10_000
"""Names for which the matching patterns are cached."""


class _Pattern(NamedTuple):
    """One pattern, of the subscribers with the same permissions."""

    number: int
    glob: Glob
    permissions: frozenset[str]
    subscribers: SubscriberIndex


class _Matches(NamedTuple):
    """What matches one name."""

    newest: int
    """The pattern up to which the name was compared."""
    removals: int
    patterns: list[_Pattern]


class PatternIndex:
    """Who has subscribed to which patterns."""

    def __init__(self, needed: Callable[[str], Needed | None]) -> None:
        """`needed`: the permission to read a name, None if nobody may."""
        self._needed = needed
        self._patterns: dict[tuple[str, frozenset[str]], _Pattern] = {}  # those with the greatest numbers at the end
        self._numbers = count(1)
        self._newest = self._removals = 0
        self._matches: dict[str, _Matches] = {}

    def __len__(self) -> int:
        return len(self._patterns)

    def add(self, subscriber: Subscriber, glob: str, reference: str | None) -> None:
        """`StreamError`: bad_request, or rate_limited if there are as many different patterns as may be."""
        key = glob, subscriber.permissions
        if key not in self._patterns:
            if len(self._patterns) >= conf.REDIS_GLOBS:
                raise StreamError(
                    "rate_limited", "this server has as many different patterns in use as it may; use one of those, or try again"
                )
            self._add(glob, subscriber.permissions)
        self._patterns[key].subscribers.add(subscriber, reference)

    def change_permissions(self, subscriber: Subscriber, permissions: frozenset[str]) -> None:
        """The subscriber has others from now on. Its patterns stay, even if there are more different ones then."""
        for glob in subscriber.patterns:
            self.remove(subscriber, glob)
        subscriber.permissions = permissions
        for glob, reference in subscriber.patterns.items():
            if (glob, permissions) not in self._patterns:
                self._add(glob, permissions)
            self._patterns[glob, permissions].subscribers.add(subscriber, reference)

    def remove(self, subscriber: Subscriber, glob: str) -> None:
        """Undo `add`; KeyError if it was not added."""
        key = glob, subscriber.permissions
        index = self._patterns[key].subscribers
        index.remove(subscriber)
        if not len(index):
            del self._patterns[key]
            self._removals += 1

    def matching(self, name: str) -> list[SubscriberIndex]:
        """Where the subscribers are with patterns that match a name, and with the permission to read it."""
        if not self._patterns:
            return []
        known = self._matches.get(name)
        if known is None or known.newest != self._newest or known.removals != self._removals:
            if len(self._matches) >= MAX_NAMES:
                self._matches.clear()
            known = self._matches[name] = self._match(name, known or _Matches(0, 0, []))
        return [pattern.subscribers for pattern in known.patterns]

    def _add(self, glob: str, permissions: frozenset[str]) -> None:
        compiled = Glob(glob)
        self._newest = next(self._numbers)
        self._patterns[glob, permissions] = _Pattern(self._newest, compiled, permissions, SubscriberIndex())

    def _match(self, name: str, known: _Matches) -> _Matches:
        needed = self._needed(name)
        there = [pattern for pattern in known.patterns if len(pattern.subscribers)]
        new = takewhile(lambda pattern: pattern.number > known.newest, reversed(self._patterns.values()))
        matched = [pattern for pattern in new if needed is not None and needed <= pattern.permissions and pattern.glob.matches(name)]
        return _Matches(self._newest, self._removals, there + matched[::-1])
