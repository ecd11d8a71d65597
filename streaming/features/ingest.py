"""Stores features in a layer: checks them one by one, stores them batch by batch, and counts the outcomes.

A refused feature never keeps its neighbours out, and a batch is stored whole or not at all. Memory is bounded by one
batch, however long the input is. On the event loop the work is done in slices of some milliseconds at most, so that
other tasks do not wait for a long input; large features are checked in the threads for costly work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from streaming.core.errors import StreamError
from streaming.core.feed import MAX_BATCH, Put, PutResult
from streaming.core.json_decoding import INLINE_BYTES
from streaming.core.runs import PIECE_SECONDS
from streaming.engine.conf import conf
from streaming.engine.lifespan import running
from streaming.engine.work import WorkQueue

from .geojson import DEFAULT_RULES, FeatureRules, read_feature
from .versions import MENTIONED, conflict, take_condition

MAX_ERRORS = 100
MAX_BATCH_BYTES = 4 * 1024 * 1024
SLICE = 100

Record = bytes | dict[str, Any] | StreamError
"""The text of a feature, a feature as a dict, or the refusal of what cannot be one."""
Slices = Iterable[Iterable[Record]] | AsyncIterable[Iterable[Record] | None]


class Store(Protocol):
    """Where features are put: a layer's feed, or a layer that is created with its first one."""

    async def put(self, items: Iterable[Put]) -> PutResult:
        """Store them."""
        ...

    def put_sync(self, items: Iterable[Put]) -> PutResult:
        """The same from a thread or a command."""
        ...


@dataclass(slots=True)
class IngestResult:
    """Counts of features that were added, updated, unchanged and refused; the reasons of the first hundred refusals.

    `warnings` are the first hundred features that were taken although something in them cannot be read.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many features there were."""
        return self.added + self.updated + self.unchanged + self.refused

    def refuse(self, index: int, code: str, message: str, **more: Any) -> None:
        """Count a refusal."""
        self.refused += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append({"index": index, "code": code, "message": message, **more})

    def warn(self, index: int, code: str, message: str) -> None:
        """Keep what is wrong with a feature that is taken."""
        if len(self.warnings) < MAX_ERRORS:
            self.warnings.append({"index": index, "code": code, "message": message})


def ingest(feed: Store, records: Iterable[Record], result: IngestResult | None = None, rules: FeatureRules = DEFAULT_RULES) -> IngestResult:
    """Store features; records are GeoJSON texts, dicts, or the error that a record was already refused with.

    A `result` that is given is added to. It counts what was stored even if Redis fails halfway.
    """
    batch = _Batch(result, rules)
    for record in records:
        if batch.add(batch.check(record)):
            batch.stored(feed.put_sync(batch.items))
    if batch.items:
        batch.stored(feed.put_sync(batch.items))
    return batch.result


async def aingest(
    feed: Store, records: Iterable[Record], result: IngestResult | None = None, rules: FeatureRules = DEFAULT_RULES
) -> IngestResult:
    """`ingest` on the event loop, in slices of `SLICE` records."""
    return await aingest_slices(feed, _slices(records), result, rules)


async def aingest_slices(
    feed: Store, slices: Slices, result: IngestResult | None = None, rules: FeatureRules = DEFAULT_RULES
) -> IngestResult:
    """`ingest` on the event loop for records that come in slices; between two slices other tasks run.

    A slice that is None means that none came for a moment: then the records that wait for their batch are stored.
    """
    batch = _Batch(result, rules)
    if isinstance(slices, AsyncIterable):
        async for some in slices:
            await _ingest_slice(feed, batch, some)
            await asyncio.sleep(0)
    else:
        for number, records in enumerate(slices):
            if number:
                await asyncio.sleep(0)
            await _ingest_slice(feed, batch, records)
    if batch.items:
        batch.stored(await feed.put(batch.items))
    return batch.result


async def _ingest_slice(feed: Store, batch: _Batch, records: Iterable[Record] | None) -> None:
    until = perf_counter() + PIECE_SECONDS
    for record in records or ():
        checked = await _in_thread(batch, record) if type(record) is bytes and len(record) > INLINE_BYTES else batch.check(record)
        if batch.add(checked):
            batch.stored(await feed.put(batch.items))
        if perf_counter() > until:
            await asyncio.sleep(0)
            until = perf_counter() + PIECE_SECONDS
    if records is None and batch.items:
        batch.stored(await feed.put(batch.items))


async def _in_thread(batch: _Batch, record: Record) -> Checked | StreamError:
    runtime = running()
    if runtime is None:
        return await asyncio.to_thread(batch.check, record)
    return await runtime.service(WorkQueue).run(batch, batch.check, record)


class Checked(NamedTuple):
    """A feature that can be stored, under which condition, and what is wrong with it nevertheless."""

    key: str
    value: bytes
    condition: str
    warning: str | None


class _Batch:
    """Checked features that wait to be stored together; `result` counts the outcomes."""

    def __init__(self, result: IngestResult | None, rules: FeatureRules) -> None:
        self._rules = rules
        self.result = IngestResult() if result is None else result
        self.items: list[Put] = []
        self._indexes: list[int] = []
        self._bytes = 0
        self._seen = self.result.total
        self._max_feature = conf.MAX_FEATURE_BYTES

    def check(self, record: Record) -> Checked | StreamError:
        """The feature, or why it is refused. May be called in a thread."""
        try:
            if isinstance(record, StreamError):
                return record
            condition = ""
            if type(record) is not bytes or MENTIONED in record:
                record, condition = take_condition(record)
            key, value, warning = read_feature(record, self._max_feature, self._rules)
        except StreamError as error:
            return error
        return Checked(key, value, condition, warning)

    def add(self, checked: Checked | StreamError) -> bool:
        """Add a feature, or count it as refused; returns whether the batch is complete."""
        index = self._seen
        self._seen += 1
        if isinstance(checked, StreamError):
            self.result.refuse(index, checked.code, checked.message)
            return False
        key, value, condition, warning = checked
        if warning is not None:
            self.result.warn(index, "unreadable_time", warning)
        self.items.append((key, value, condition) if condition else (key, value))
        self._indexes.append(index)
        self._bytes += len(value)
        return len(self.items) == MAX_BATCH or self._bytes >= MAX_BATCH_BYTES

    def stored(self, put: PutResult) -> None:
        """Count the outcomes of the batch, which was stored, and begin the next one."""
        self.result.added += put.count("added")
        self.result.updated += put.count("updated")
        self.result.unchanged += put.count("unchanged")
        if put.count("refused") or put.conflicts:
            self._refuse(put)
        self.items, self._indexes, self._bytes = [], [], 0

    def _refuse(self, put: PutResult) -> None:
        conflicts = iter(put.conflicts)
        for index, outcome in zip(self._indexes, put.outcomes, strict=True):
            if outcome == "refused":
                self.result.refuse(index, "layer_full", "the layer holds as many features as it may")
            elif outcome == "conflict":
                current = next(conflicts)
                error = conflict(current)
                self.result.refuse(index, error.code, error.message, version=current or None)


def _slices(records: Iterable[Record]) -> Iterator[list[Record]]:
    iterator = iter(records)
    while records := list(islice(iterator, SLICE)):
        yield records
