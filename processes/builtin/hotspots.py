"""The continuous process `hotspots`: how many features of a live layer are in each cell of a grid, as another live layer.

The counts follow from the layer alone, so that a worker that takes over counts anew, and changes what is different.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, Any, NamedTuple

from processes.worker import BadInput, BBox, Input, Job
from streaming.core.filters import Filter
from streaming.core.items import Change, Item

from .cells import cell_of, geometry_of
from .continuous import LOOK_SECONDS, Reports, Review, until_the_end
from .job_features import JobFeatures
from .layer_snapshot import Condition, LayerName, condition_of
from .live_layer import LiveLayer, worker_hub
from .publishing import ResultLayer
from .refusals import refusals
from .rights import readable_layer, require_writable_layer

COUNTED_AT_ONCE = 2000


class Counted(NamedTuple):
    """What was counted when the job ended.

    Attributes:
        features: Features.
        cells: Cells with features.
    """

    features: int
    cells: int


async def hotspots(
    layer: LayerName,
    publish_to: ResultLayer,
    resolution: Annotated[int, Input(minimum=0, maximum=15)] = 5,
    bbox: BBox | None = None,
    filter: Condition = None,
    update_seconds: Annotated[float, Input(minimum=0.05, maximum=3600)] = 1.0,
    *,
    job: Job,
) -> Counted:
    """Hotspots. How many features of a live layer are in each hexagon of a grid, as a live layer.

    Hexagons come, change and go as features move. They are those of H3, with the properties `cell`, `count` and `resolution`. The job runs
    until it is dismissed; then its hexagons go.

    Args:
        layer: Layer.
        publish_to: Layer for the hexagons. It is created if it does not exist. What others have put there stays.
        resolution: Resolution of H3. At 0 a hexagon is 1,100 km long, at 5 about 8 km, at 9 about 170 m, at 15 half a metre.
        bbox: Box in degrees. West beyond east crosses the antimeridian.
        filter: Filter.
        update_seconds: How often the hexagons are brought up to date, in seconds.
    """
    if layer == publish_to:
        raise BadInput("must be another layer: hexagons would be counted, too", "publish_to")
    found = await asyncio.to_thread(readable_layer, layer, job)
    counts = HexagonCounts(resolution, condition_of(found.time_property, bbox, filter=filter))
    review = Review(partial(_check, layer, publish_to, job))
    await review.look()
    kept = JobFeatures(publish_to, job.id)
    async with AsyncExitStack() as stack:
        stack.enter_context(refusals())
        live = await LiveLayer.follow(await stack.enter_async_context(worker_hub()), found)
        stack.callback(live.close)
        draw = partial(hexagon, layer=layer, resolution=resolution)
        await until_the_end(_follow(live, counts, kept, draw, review, update_seconds, job), kept.clear, job)
    return Counted(len(counts.cells), len(counts.counts))


def _check(layer: str, publish_to: str, job: Job) -> None:
    readable_layer(layer, job)
    require_writable_layer(publish_to, job)


async def _follow(
    live: LiveLayer, counts: HexagonCounts, kept: JobFeatures, draw: Callable[[str, int], Any], review: Review, every: float, job: Job
) -> None:
    """Count and draw for ever."""
    reports, due = Reports(job), 0.0
    changes: Sequence[Change] | None = None
    while True:
        job.check()
        if changes is None:
            await counts.count(live.items.values())
            await kept.replace({cell: draw(cell, count) for cell, count in counts.counts.items()})
        else:
            counts.apply(changes)
        if counts.changed and time.monotonic() >= due:
            due = time.monotonic() + every
            now = {cell: draw(cell, counts.counts[cell]) if cell in counts.counts else None for cell in counts.changed}
            if await kept.update(now):
                counts.changed.clear()
        reports.report(str(live.cursor), lambda: f"{len(counts.cells):,} features in {len(counts.counts):,} hexagons", now=changes is None)
        await review.look()
        changes = await live.take(min(LOOK_SECONDS, max(0.0, due - time.monotonic())) if counts.changed else LOOK_SECONDS)


class HexagonCounts:
    """Which cell each feature is in, and how many are in each. `changed` are the cells whose count has changed since that was cleared."""

    def __init__(self, resolution: int, condition: Filter) -> None:
        self._resolution, self._matches = resolution, condition.matches
        self.cells: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.changed: set[str] = set()

    async def count(self, items: Iterable[Item]) -> None:
        """Count anew, some at a time."""
        self.cells, self.counts = {}, {}
        self.changed.clear()
        for number, item in enumerate(list(items), 1):
            self._put(item.key, self._cell(item))
            if not number % COUNTED_AT_ONCE:
                await asyncio.sleep(0)
        self.changed.clear()

    def apply(self, changes: Iterable[Change]) -> None:
        """What happened to the layer."""
        for change in changes:
            self._put(change.key, None if change.new is None else self._cell(change.new))

    def _cell(self, item: Item) -> str | None:
        return cell_of(item, self._resolution) if self._matches(item) else None

    def _put(self, key: str, cell: str | None) -> None:
        before = self.cells.get(key)
        if before == cell:
            return
        if before is not None:
            del self.cells[key]
            self._add(before, -1)
        if cell is not None:
            self.cells[key] = cell
            self._add(cell, 1)

    def _add(self, cell: str, number: int) -> None:
        count = self.counts.get(cell, 0) + number
        if count:
            self.counts[cell] = count
        else:
            del self.counts[cell]
        self.changed.add(cell)


def hexagon(cell: str, count: int, layer: str, resolution: int) -> dict[str, Any]:
    """A cell as a feature."""
    return {"geometry": geometry_of(cell), "properties": {"cell": cell, "count": count, "resolution": resolution, "layer": layer}}
