"""The aggregates of a process: all clients that ask for the same share one. Made with the first client that asks for one."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from streaming.core.errors import StreamError
from streaming.core.filters import Filter
from streaming.core.outbox import Outbox
from streaming.core.replica import Replica
from streaming.engine.addresses import network
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service

from ..costly_filters import check_process
from .aggregate import Aggregate
from .spec import AggregateSpec

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

LINGER_SECONDS = 30.0
"""How long one stays that nobody looks at, or is refused: whoever zooms out and in again does not have everything counted anew."""

Key = tuple[str, AggregateSpec, object]


class Aggregates(Service):
    """Counts each combination of layer, grid, properties and filter once."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._aggregates: dict[Key, Aggregate] = {}
        self._building: dict[Aggregate, asyncio.Task[None]] = {}
        self._made_for: dict[Aggregate, str] = {}
        self._refused: dict[Key, tuple[float, str, str]] = {}
        """Those that would have too many cells: until when nobody counts them again, why, and of which epoch of the layer."""
        self._counted = 0
        self._freed = False
        """Whether there is memory that could go back to the machine: in use again soon, or once nobody is connected."""

    async def start(self) -> None:
        """Drop, from time to time, those that nobody looks at."""
        self.runtime.hub.every(LINGER_SECONDS / 4, self._drop_idle)

    async def stop(self) -> None:
        """Follow no layer any more."""
        for aggregate in list(self._aggregates.values()):
            self._drop(aggregate)

    @asynccontextmanager
    async def opened(self, source: Replica, spec: AggregateSpec, condition: Filter, address: str) -> AsyncIterator[Aggregate]:
        """The aggregate of what is asked for, made if it is not there, and kept while it is in use here.

        `address` is the client's. `StreamError`: `too_many_aggregates` if the process or whoever is at this address may not have one more,
        `too_many_filters` if the filter is costly and one too many, `too_many_cells` if there would be too many.
        """
        key = (source.feed.name, spec, condition.key)
        aggregate = self._aggregates.get(key)
        if aggregate is not None and (aggregate.closed or aggregate.source is not source):
            self._drop(aggregate)
            aggregate = None
        if aggregate is None:
            self._check_refused(key, source)
            aggregate = self._make(key, source, spec, condition, network(address))
        aggregate.holders += 1
        try:
            await self._is_built(aggregate)
            yield aggregate
        finally:
            aggregate.holders -= 1
            if aggregate.idle:
                aggregate.idle_since = time.monotonic()

    def collect(self) -> Iterable[Sample]:
        """How many there are, how many cells they have, and what they have counted."""
        aggregates = list(self._aggregates.values())
        yield "geostream_aggregates", (), len(aggregates)
        yield "geostream_aggregate_cells", (), sum(len(each.items) for each in aggregates)
        yield "geostream_aggregate_changes_total", (), self._counted + sum(each.changes_counted for each in aggregates)

    def _make(self, key: Key, source: Replica, spec: AggregateSpec, condition: Filter, network: str) -> Aggregate:
        if condition.costly:
            check_process(self.runtime.hub, 1)
        self._make_room(network)
        turns = self.runtime.hub.turns
        aggregate = Aggregate(source, spec, condition, turns, pause=lambda: conf.AGGREGATE_SECONDS, most=self._most_cells)
        self._aggregates[key] = aggregate
        self._made_for[aggregate] = network
        building = self._building[aggregate] = asyncio.create_task(self._build(key, aggregate))
        building.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waited for it may be gone
        return aggregate

    def _check_refused(self, key: Key, source: Replica) -> None:
        until, why, epoch = self._refused.get(key, (0.0, "", ""))
        if time.monotonic() < until and epoch == source.epoch and len(source.items) > conf.MAX_AGGREGATE_CELLS:
            raise StreamError("too_many_cells", why)

    async def _is_built(self, aggregate: Aggregate) -> None:
        building = self._building.get(aggregate)
        try:
            if building is not None:
                await asyncio.shield(building)
        finally:
            del building  # a refusal has this frame in its traceback, and the task has the refusal: all would wait for a search for garbage

    async def _build(self, key: Key, aggregate: Aggregate) -> None:
        try:
            await aggregate.build()
        except BaseException as error:
            if isinstance(error, StreamError) and aggregate.size > conf.MAX_AGGREGATE_CELLS:
                self._refused[key] = (time.monotonic() + LINGER_SECONDS, error.message, aggregate.source.epoch)
            self._freed = True
            if self._aggregates.get(key) is aggregate:
                del self._aggregates[key]
                del self._made_for[aggregate]
            raise
        finally:
            del self._building[aggregate]

    def _make_room(self, network: str) -> None:
        used = [each for each, made_for in self._made_for.items() if made_for == network and not self._is_unused(each)]
        if len(used) >= conf.MAX_ADDRESS_AGGREGATES:
            raise StreamError("too_many_aggregates", f"{conf.MAX_ADDRESS_AGGREGATES} different aggregates are in use for your address")
        if len(self._aggregates) < conf.MAX_AGGREGATES:
            return
        idle = [each for each in self._aggregates.values() if each.closed or self._is_unused(each)]
        if not idle:
            raise StreamError("too_many_aggregates", f"this process may have {conf.MAX_AGGREGATES} different aggregates; try again later")
        self._drop(min(idle, key=lambda each: each.idle_since or 0.0))

    def _most_cells(self, aggregate: Aggregate) -> int:
        """How many one may have beside the others. Those that nobody looks at make room."""
        others = [each for each in self._aggregates.values() if each is not aggregate]
        needed = min(aggregate.size, conf.MAX_AGGREGATE_CELLS)
        left: int = conf.MAX_PROCESS_AGGREGATE_CELLS - sum(each.size for each in others)
        for each in sorted(filter(self._is_unused, others), key=lambda each: each.idle_since or 0.0):
            if left >= needed:
                break
            left += each.size
            self._drop(each)
        return max(min(left, int(conf.MAX_AGGREGATE_CELLS)), 0)

    async def _drop_idle(self) -> None:
        now = time.monotonic()
        self._refused = {key: refused for key, refused in self._refused.items() if now < refused[0]}
        before = now - LINGER_SECONDS
        aggregates = list(self._aggregates.values())
        idle = [each for each in aggregates if each.closed or (self._is_unused(each) and (each.idle_since or 0.0) < before)]
        for aggregate in idle:
            self._drop(aggregate)
        if self._freed and not self.runtime.connections.open:
            self._freed = False
            await asyncio.to_thread(_give_memory_back)

    def _is_unused(self, aggregate: Aggregate) -> bool:
        return aggregate.idle and not aggregate.holders and aggregate not in self._building

    def _drop(self, aggregate: Aggregate) -> None:
        aggregate.close()
        self._freed = True
        self._counted += aggregate.changes_counted
        self._made_for.pop(aggregate, None)
        for key, each in list(self._aggregates.items()):
            if each is aggregate:
                del self._aggregates[key]
        if (building := self._building.get(aggregate)) is not None:
            building.cancel()


def _give_memory_back() -> None:
    """What is free goes back to the machine, where the C library can do that. Of a gigabyte it takes a tenth of a second, in which whoever
    needs memory has to wait, in other threads too.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def check_aggregates(outbox: Outbox, more: int = 1) -> None:
    """`StreamError("too_many_aggregates")` if the connection may not have so many more."""
    if outbox.aggregates + more > conf.MAX_CLIENT_AGGREGATES:
        raise StreamError("too_many_aggregates", f"a connection may have {conf.MAX_CLIENT_AGGREGATES} subscriptions to aggregates")
