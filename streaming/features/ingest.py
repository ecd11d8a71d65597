"""Features into a layer: checked one by one, stored batch by batch, counted.
A refused feature never keeps its neighbours out, and a batch is stored whole or not at all. Memory is bounded by one batch,
however long the input is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from streaming.conf import conf
from streaming.core.errors import StreamError
from streaming.core.feed import MAX_BATCH, Feed, PutResult

from .geojson import parse_feature

MAX_ERRORS = 100
Record = bytes | dict[str, Any] | StreamError


@dataclass(slots=True)
class IngestResult:
    """How many features were added, updated, unchanged and refused; the reasons of the first hundred refusals by index."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many features were seen."""
        return self.added + self.updated + self.unchanged + self.refused

    def refuse(self, index: int, code: str, message: str) -> None:
        """Count a refusal."""
        self.refused += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append({"index": index, "code": code, "message": message})


@dataclass(slots=True)
class _Batch:
    items: list[tuple[str, bytes]] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)


def ingest(feed: Feed, records: Iterable[Record]) -> IngestResult:
    """Store features; records are GeoJSON texts, dicts, or the error a record was already refused with."""
    result = IngestResult()
    for batch in _batches(records, result):
        _count(result, batch, feed.put_sync(batch.items))
    return result


async def aingest(feed: Feed, records: Iterable[Record]) -> IngestResult:
    """The same on the event loop."""
    result = IngestResult()
    for batch in _batches(records, result):
        _count(result, batch, await feed.put(batch.items))
    return result


def _batches(records: Iterable[Record], result: IngestResult) -> Iterator[_Batch]:
    batch = _Batch()
    max_bytes = conf.MAX_FEATURE_BYTES
    for index, record in enumerate(records):
        try:
            if isinstance(record, StreamError):
                raise record
            batch.items.append(parse_feature(record, max_bytes))
        except StreamError as error:
            result.refuse(index, error.code, error.message)
            continue
        batch.indexes.append(index)
        if len(batch.items) == MAX_BATCH:
            yield batch
            batch = _Batch()
    if batch.items:
        yield batch


def _count(result: IngestResult, batch: _Batch, put: PutResult) -> None:
    result.added += put.count("added")
    result.updated += put.count("updated")
    result.unchanged += put.count("unchanged")
    if put.count("refused"):
        for index, outcome in zip(batch.indexes, put.outcomes, strict=True):
            if outcome == "refused":
                result.refuse(index, "layer_full", "the layer holds as many features as it may")
