"""What it costs to find out which of many viewports want a change, and to tell them.
In this process, without Redis and without sockets: what is sent is not written anywhere. Processor time, medians.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from streaming.core.feed import Cursor, Feed, FeedState, LogEntry
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.replica import Replica
from streaming.core.view import View

VIEWPORTS = (1_000, 10_000, 100_000)
SIZES = ((0.5, "a city"), (5.0, "a country"), (90.0, "a quarter of the world's width"))
"""Degrees."""
STEP_DEGREES = 0.01
"""By which a feature has moved."""


class _Nowhere:
    """A socket that takes everything."""

    writable = True
    on_writable: Callable[[], None] = print

    def write(self, frames: list[Any]) -> None:
        """Forget it."""


class _Counter:
    """An encoder that counts."""

    def __init__(self) -> None:
        self.count = 0

    def frames(self, deliveries: Any, gap: int = 0) -> list[Any]:
        """Nothing."""
        self.count += len(deliveries)
        return []


def stored(longitude: float, latitude: float) -> bytes:
    """A point as the log has it."""
    return (
        b'1700000000000{"geometry":{"coordinates":[%.6f,%.6f],"type":"Point"},"properties":{"name":"somewhere","speed":42.5},"type":"Feature"}'
        % (longitude, latitude)
    )


def viewport(size: float) -> Filter:
    """A box somewhere, half as high as it is wide."""
    height = size / 2
    west, south = random.uniform(-180, 180 - size), random.uniform(-85, 85 - height)
    return compile_filter(FilterSpec(bbox=[west, south, west + size, south + height]))


def _log(replica: Replica, changes: int) -> list[LogEntry]:
    """Features that have moved a little, and before that were nowhere: the first of each pair is not measured."""
    entries = []
    for number in range(changes):
        x, y = random.uniform(-180, 179), random.uniform(-85, 84)
        for seq, moved in ((2 * number + 1, 0.0), (2 * number + 2, STEP_DEGREES)):
            entries.append(LogEntry(replica.seq + seq, f"vehicle-{number}", None, stored(x + moved, y + moved), None))
    return entries


def median_seconds(work: Callable[[Any], object], subjects: list[Any]) -> float:
    """Processor time that the work takes."""
    taken = []
    for subject in subjects:
        began = time.thread_time()
        work(subject)
        taken.append(time.thread_time() - began)
    return statistics.median(taken)


def changes(count: int, size: float, name: str, rounds: int) -> dict[str, Any]:
    """One change to so many viewports, no two of which are the same."""
    random.seed(1)
    replica, counter = Replica(Feed("layer:bench"), FeedState(Cursor("e", 0), {})), _Counter()
    for _ in range(count):
        replica.join(View(Outbox(_Nowhere(), OutboxLimits(), print), counter, viewport(size)))
    entries = _log(replica, rounds)
    replica.apply(entries[::2])
    before = counter.count
    alone = median_seconds(lambda entry: replica.apply([entry]), entries[1::2])
    told = counter.count - before
    entries = _log(replica, 100)
    replica.apply(entries[::2])
    began, before = time.thread_time(), counter.count
    replica.apply(entries[1::2])
    together = time.thread_time() - began
    return {
        "viewports": count,
        "each": name,
        "told/change": round(told / rounds, 1),
        "µs/change, one by one": round(alone * 1e6, 1),
        "µs/change, 100 at once": round(together * 1e4, 1),
        "µs/delivery, 100 at once": round(together * 1e6 / max(counter.count - before, 1), 2),
    }


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    for count in VIEWPORTS:
        for size, name in SIZES:
            yield changes(count, size, name, max(5, int(50 * share)))
