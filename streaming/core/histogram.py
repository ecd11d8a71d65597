"""Histograms: how often a value was at most so large, in Prometheus' terms, and how large all of them were together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

LATENCY_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds."""


class Histogram:
    """Counts values by the first bound that they do not exceed; the last count is of those beyond all bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = LATENCY_BOUNDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def __add__(self, other: Histogram) -> Histogram:
        """Both together. They have the same bounds."""
        result = Histogram(self.bounds)
        result.counts = [mine + others for mine, others in zip(self.counts, other.counts, strict=True)]
        result.total = self.total + other.total
        return result

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: each counts all values up to its bound."""
        found, below = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            below += count
            found.append((bound, float(below)))
        return found
