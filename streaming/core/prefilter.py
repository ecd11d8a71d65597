"""A prefilter: the verdicts of a costly filter on many items, found in a thread before they are needed.

Between taking a snapshot and joining nothing may wait, so every item is judged in one go. With a CQL2 expression of a thousand
operators and a thousand items that takes a second, in which nobody is served. Judged beforehand, only what has changed since is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable, Iterable

from .bbox import Box
from .filters import Filter
from .items import Item


class PrecomputedFilter:
    """A condition that remembers its verdicts on some versions of items."""

    costly = False

    def __init__(self, condition: Filter, verdicts: dict[Item, bool]) -> None:
        self._condition = condition
        self._verdicts = verdicts

    @property
    def key(self) -> Hashable:
        """That of the condition."""
        return self._condition.key

    @property
    def boxes(self) -> Collection[Box] | None:
        """Those of the condition."""
        return self._condition.boxes

    def matches(self, item: Item) -> bool:
        """Whether an item is wanted."""
        verdict = self._verdicts.get(item)
        return self._condition.matches(item) if verdict is None else verdict


async def precompute(condition: Filter, items: Iterable[Item]) -> Filter | PrecomputedFilter:
    """The condition, with verdicts on these items if finding them takes long."""
    if not condition.costly:
        return condition
    subjects = list(items)
    return PrecomputedFilter(condition, await asyncio.to_thread(lambda: {item: condition.matches(item) for item in subjects}))
