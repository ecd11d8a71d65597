"""What it costs to find out what a client is to be sent of a large layer: at first, and when it pans by a tenth of its width.
In this process, without Redis and without sockets; encoding is not part of it. Processor time on the event loop, medians.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator
from typing import Any

from streaming.core.feed import Cursor, Feed, FeedState
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.replica import Replica

from .viewports import SIZES, median_seconds, stored, viewport

ITEMS = 100_000


def measure(size: float, name: str, rounds: int) -> dict[str, Any]:
    """What a client is to be sent of a large layer: at first, and when it pans by a tenth of its width."""
    random.seed(1)
    items = {b"%d" % number: stored(random.uniform(-180, 180), random.uniform(-85, 85)) for number in range(ITEMS)}
    replica = Replica(Feed("layer:bench"), FeedState(Cursor("e", 0), items))
    replica.snapshot(viewport(size))
    found: list[int] = []
    snapshot = median_seconds(lambda box: found.append(len(replica.select(box).run())), [viewport(size) for _ in range(rounds)])
    shown = statistics.mean(found)
    found.clear()

    def pan(boxes: tuple[Filter, Filter]) -> None:
        found.append(len(replica.select(boxes[1], boxes[0]).run()))

    pans = [(_box(west, south, size), _box(west + size / 10, south, size)) for west, south in _corners(size, rounds)]
    panned = median_seconds(pan, pans)
    return {
        "features": ITEMS,
        "viewport": name,
        "shown": round(shown),
        "snapshot ms": round(snapshot * 1e3, 2),
        "told of a pan": round(statistics.mean(found)),
        "pan ms": round(panned * 1e3, 2),
    }


def _corners(size: float, count: int) -> list[tuple[float, float]]:
    return [(random.uniform(-180, 180 - 1.1 * size), random.uniform(-85, 85 - size / 2)) for _ in range(count)]


def _box(west: float, south: float, size: float) -> Filter:
    return compile_filter(FilterSpec(bbox=[west, south, west + size, south + size / 2]))


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    for size, name in SIZES:
        yield measure(size, name, max(10, int(100 * share)))
