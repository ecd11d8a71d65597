"""Stays: which feature is in which area since when; and crossings: that it entered, left, or has stayed for long."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["enter", "exit", "dwell"]
Pair = tuple[str, str]
"""The keys of a feature and of an area."""


class Stay(msgspec.Struct, frozen=True):
    """A feature is in an area. `since` is milliseconds since 1970; `dwelt`: it was reported that it has stayed for long."""

    feature: str
    area: str
    since: int
    dwelt: bool = False


class Crossing(NamedTuple):
    """What happened to a stay at a moment, in milliseconds since 1970."""

    kind: Kind
    stay: Stay
    at: int


class Stays:
    """All stays. Each method that changes them returns the crossings."""

    def __init__(self, stays: Iterable[Stay] = (), dwell_ms: int | None = None) -> None:
        self._by_feature: dict[str, dict[str, Stay]] = {}
        self._dwell_ms = dwell_ms
        self._due: list[tuple[int, Pair]] = []
        self.count = 0
        for stay in stays:
            self._put(stay)

    def __iter__(self) -> Iterator[Stay]:
        return (stay for stays in self._by_feature.values() for stay in stays.values())

    def features(self) -> Collection[str]:
        """The keys of the features that are in any area."""
        return self._by_feature.keys()

    def of(self, feature: str) -> Collection[Stay]:
        """The stays of one feature."""
        return self._by_feature.get(feature, {}).values()

    def move(self, feature: str, areas: frozenset[str], at: int) -> list[Crossing]:
        """A feature is in these areas now, and in no others."""
        before = self._by_feature.get(feature)
        if before is None and not areas:
            return []
        known = before or {}
        left = [known[area] for area in sorted(known.keys() - areas)]
        entered = [Stay(feature, area, at) for area in sorted(areas - known.keys())]
        for stay in left:
            self._remove(stay)
        for stay in entered:
            self._put(stay)
        return [Crossing("exit", stay, at) for stay in left] + [Crossing("enter", stay, at) for stay in entered]

    def dwelling(self, now: int, most: int) -> list[Crossing]:
        """Stays that have become long, each once; no more than so many."""
        found: list[Crossing] = []
        while self._due and self._due[0][0] <= now and len(found) < most:
            due, (feature, area) = heapq.heappop(self._due)
            stay = self._by_feature.get(feature, {}).get(area)
            if stay is not None and not stay.dwelt and stay.since + (self._dwell_ms or 0) == due:  # it may have left and come back
                long = msgspec.structs.replace(stay, dwelt=True)
                self._by_feature[feature][area] = long
                found.append(Crossing("dwell", long, due))
        return found

    def _put(self, stay: Stay) -> None:
        self._by_feature.setdefault(stay.feature, {})[stay.area] = stay
        self.count += 1
        if self._dwell_ms is not None and not stay.dwelt:
            heapq.heappush(self._due, (stay.since + self._dwell_ms, (stay.feature, stay.area)))

    def _remove(self, stay: Stay) -> None:
        stays = self._by_feature[stay.feature]
        del stays[stay.area]
        self.count -= 1
        if not stays:
            del self._by_feature[stay.feature]
