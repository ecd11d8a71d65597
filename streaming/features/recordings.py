"""Recordings: files of features with a time, or of recorded changes, read in the order of their times.

A file of up to `WINDOW` features may be in any order. A longer one is never in memory whole: there a feature may stand
at most `WINDOW` features behind its place.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

import msgspec

from streaming.core.datetimes import SECONDS_BELOW, microseconds
from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .feature_file import FeatureFile, with_id_from
from .geojson import DEFAULT_RULES, FeatureRules, feature_id, key_of, parse_feature
from .ingest import IngestResult
from .large_documents import DEGREES
from .recorded_changes import read_change
from .source_crs import SourceCrs

WINDOW = 100_000
TIME_PROPERTIES = ("datetime", "time", "timestamp", "date")
_SPACING = 0.15  # degrees from the original to its first copy
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class TimedFeature(NamedTuple):
    """A feature and its time in microseconds since 1970, or that it was deleted then (`value` is None).

    `order` keeps features of the same time in the order of the file. `layer` is that of a recorded change.
    """

    time: int
    order: int
    key: str
    value: bytes | None
    layer: str | None = None


class _Properties(msgspec.Struct):
    properties: dict[str, Any] | None = None


_decode_properties = msgspec.json.Decoder(_Properties).decode


@dataclass(slots=True)
class Recording:
    """One file of timed features, read again each time it is iterated over.

    Times are microseconds since 1970; `multiply` adds copies of each feature.

    `time_property` and `refused` are known once reading has begun. Iterating raises StreamError if the order or the
    time property cannot be used, and OSError.
    """

    path: str
    time_property: str | None = None
    id_property: str | None = None
    start: float = float("-inf")
    until: float = float("inf")
    multiply: int = 1
    window: int = WINDOW
    crs: SourceCrs = DEGREES
    rules: FeatureRules = DEFAULT_RULES
    refused: IngestResult = field(default_factory=IngestResult)

    def __iter__(self) -> Iterator[TimedFeature]:
        self.refused = IngestResult()
        with FeatureFile(self.path, self.crs) as file:
            for feature in _in_order(self._features(file), self.window):
                if self.start <= feature.time <= self.until:
                    yield from _with_copies(feature, self.multiply) if self.multiply > 1 else (feature,)

    def _features(self, file: FeatureFile) -> Iterator[TimedFeature]:
        records = with_id_from(file.records(), self.id_property) if self.id_property else file.records()
        for index, record in enumerate(records):
            try:
                if isinstance(record, StreamError):
                    raise record
                yield self._recorded(record, index) or self._timed(record, index)
            except StreamError as error:
                self.refused.refuse(index, error.code, error.message)

    def _recorded(self, record: bytes, index: int) -> TimedFeature | None:
        """A line that `manage.py tail --record` wrote; None for another one."""
        change = read_change(record)
        if change is None:
            return None
        time = microseconds(change.recorded)
        if time is None:
            raise StreamError("invalid_feature", f"recorded: not a time: {change.recorded!r:.40}")
        if change.type == "deleted":
            return TimedFeature(time, index, key_of(change.id), None, change.layer)
        if isinstance(change.feature, msgspec.UnsetType):
            raise StreamError("invalid_feature", "feature: missing")
        key, value = parse_feature(bytes(change.feature), conf.MAX_FEATURE_BYTES, self.rules)
        return TimedFeature(time, index, key, value, change.layer)

    def _timed(self, record: bytes, index: int) -> TimedFeature:
        key, value = parse_feature(record, conf.MAX_FEATURE_BYTES, self.rules)
        return TimedFeature(self._time(value), index, key, value)

    def _time(self, value: bytes) -> int:
        properties = _decode_properties(value).properties or {}
        if self.time_property is None:
            self.time_property = _detect(properties)
        time = microseconds(properties.get(self.time_property)) if self.time_property else None
        if time is None:
            where = f"in the property {self.time_property!r}" if self.time_property else f"in any of {', '.join(TIME_PROPERTIES)}"
            raise StreamError("invalid_feature", f"there is no time {where} (name it with --time-property)")
        return time


def with_time(value: bytes, time_property: str, time: int) -> bytes:
    """A feature's canonical bytes with another time, in the form of the old one: text, seconds or milliseconds."""
    feature = msgspec.json.decode(value)
    before = feature["properties"][time_property]
    after: Any = datetime.fromtimestamp(time / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if not isinstance(before, str):
        after = time / 1e6 if abs(before) < SECONDS_BELOW else time // 1000
    feature["properties"][time_property] = after
    return msgspec.json.encode(feature, order="sorted")


def _detect(properties: dict[str, Any]) -> str | None:
    return next((name for name in TIME_PROPERTIES if microseconds(properties.get(name)) is not None), None)


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


def _with_copies(feature: TimedFeature, times: int) -> Iterator[TimedFeature]:
    """The feature and `times - 1` copies on a spiral around it, for shows and load tests.

    Their ids end in `-1`, `-2` and so on. Copy `n` always has the same id and the same place relative to the original,
    so copies move as the original does.
    """
    yield feature
    if feature.value is None:
        gone = feature_id(feature.key)
        yield from (feature._replace(key=key_of(f"{gone}-{number}")) for number in range(1, times))
        return
    original = msgspec.json.decode(feature.value)
    original.pop("bbox", None)
    original_id, geometry = original["id"], original["geometry"]
    for number in range(1, times):
        copy = {**original, "id": f"{original_id}-{number}", "geometry": geometry and _moved(geometry, *_offset(number))}
        yield feature._replace(key=key_of(copy["id"]), value=msgspec.json.encode(copy, order="sorted"))


def _offset(number: int) -> tuple[float, float]:
    distance, angle = _SPACING * math.sqrt(number), number * _GOLDEN_ANGLE
    return distance * math.cos(angle), distance * math.sin(angle)


def _moved(geometry: dict[str, Any], east: float, north: float) -> dict[str, Any]:
    moved = {name: member for name, member in geometry.items() if name != "bbox"}
    if "geometries" in moved:
        moved["geometries"] = [_moved(part, east, north) for part in moved["geometries"]]
    else:
        moved["coordinates"] = _shifted(moved["coordinates"], east, north)
    return moved


def _shifted(coordinates: list[Any], east: float, north: float) -> list[Any]:
    if coordinates and isinstance(coordinates[0], list):
        return [_shifted(part, east, north) for part in coordinates]
    if not coordinates:
        return coordinates
    longitude, latitude, *rest = coordinates
    return [round(min(180.0, max(-180.0, longitude + east)), 6), round(min(90.0, max(-90.0, latitude + north)), 6), *rest]
