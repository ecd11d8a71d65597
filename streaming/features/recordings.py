"""Recordings: files of features that have a time, in the order of their times.

A file of up to `WINDOW` features may be in any order; in a longer one, which is never in memory whole, no feature may come later than that.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

import msgspec

from streaming.core.datetimes import microseconds
from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .geojson import parse_feature
from .ingest import IngestResult
from .reading import FeatureFile, with_id_from
from .replication import replicate

WINDOW = 100_000
TIME_PROPERTIES = ("datetime", "time", "timestamp", "date")
_SECONDS_BELOW = 1e11  # as seconds the year 5138, as milliseconds 1973


class TimedFeature(NamedTuple):
    """A feature and its time in microseconds since 1970. `order` keeps features of the same time in the order of the file."""

    time: int
    order: int
    key: str
    value: bytes


class _Timed(msgspec.Struct):
    properties: dict[str, Any] | None = None


_decode_timed = msgspec.json.Decoder(_Timed).decode


@dataclass(slots=True)
class Recording:
    """One file, read anew each time it is iterated over. Times are microseconds since 1970; `multiply` puts copies beside each feature.

    `time_property` and `refused` are known once reading has begun. StreamError if the order or the time property is not usable; OSError.
    """

    path: str
    time_property: str | None = None
    id_property: str | None = None
    start: float = float("-inf")
    until: float = float("inf")
    multiply: int = 1
    window: int = WINDOW
    refused: IngestResult = field(default_factory=IngestResult)

    def __iter__(self) -> Iterator[TimedFeature]:
        self.refused = IngestResult()
        with FeatureFile(self.path) as file:
            for feature in _in_order(self._features(file), self.window):
                if self.start <= feature.time <= self.until:
                    yield from replicate(feature, self.multiply) if self.multiply > 1 else (feature,)

    def _features(self, file: FeatureFile) -> Iterator[TimedFeature]:
        records = with_id_from(file.records(), self.id_property) if self.id_property else file.records()
        for index, record in enumerate(records):
            try:
                if isinstance(record, StreamError):
                    raise record
                key, value = parse_feature(record, conf.MAX_FEATURE_BYTES)
                yield TimedFeature(self._time(value), index, key, value)
            except StreamError as error:
                self.refused.refuse(index, error.code, error.message)

    def _time(self, value: bytes) -> int:
        properties = _decode_timed(value).properties or {}
        if self.time_property is None:
            self.time_property = _detect(properties)
        time = moment(properties.get(self.time_property)) if self.time_property else None
        if time is None:
            where = f"in the property {self.time_property!r}" if self.time_property else f"in any of {', '.join(TIME_PROPERTIES)}"
            raise StreamError("invalid_feature", f"there is no time {where} (name it with --time-property)")
        return time


def moment(value: object) -> int | None:
    """Microseconds since 1970 of a text (without a zone: UTC) or of seconds or milliseconds since 1970; None if it is no time."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _SECONDS_BELOW:
        value = value * 1000
    exact = microseconds(value)
    if exact is not None or not isinstance(value, str):
        return exact
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return microseconds((read if read.tzinfo else read.replace(tzinfo=UTC)).isoformat())


def retimed(value: bytes, time_property: str, time: int) -> bytes:
    """A feature's canonical bytes with another time, written as it was: as text, seconds or milliseconds."""
    feature = msgspec.json.decode(value)
    before = feature["properties"][time_property]
    after: Any = datetime.fromtimestamp(time / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if not isinstance(before, str):
        after = time / 1e6 if abs(before) < _SECONDS_BELOW else time // 1000
    feature["properties"][time_property] = after
    return msgspec.json.encode(feature, order="sorted")


def _detect(properties: dict[str, Any]) -> str | None:
    return next((name for name in TIME_PROPERTIES if moment(properties.get(name)) is not None), None)


def _in_order(features: Iterator[TimedFeature], window: int) -> Iterator[TimedFeature]:
    """Sorted by time, holding at most `window` features."""
    waiting: list[TimedFeature] = []
    last: TimedFeature | None = None
    for number in count():
        feature = next(features, None)
        if feature is not None and last is not None and feature.time < last.time:
            raise StreamError("bad_request", f"feature {number:,} is more than {window:,} features too late: sort the file by time first")
        if feature is not None:
            heapq.heappush(waiting, feature)
        if not waiting:
            return
        if feature is None or len(waiting) > window:
            last = heapq.heappop(waiting)
            yield last
