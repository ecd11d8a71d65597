"""Reads points from the rows of a CSV with columns of coordinates."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.features.large_documents import RawFeature
from streaming.features.source_crs import SourceCrs

from .errors import Ignored, IngestError
from .options import IngestOptions

LONGITUDES = ("longitude", "lon", "lng", "long", "x")
LATITUDES = ("latitude", "lat", "y")
DELIMITERS = ",;\t|"
_MOST_COLUMNS = 1000
_SAMPLE = 64 * 1024
_AT_ONCE = 1000
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}(?:[eE][+-]?[0-9]{1,3})?")


def csv_features(path: Path, options: IngestOptions) -> Iterator[RawFeature]:
    """The rows as features, in degrees; a StreamError in the place of a row without readable coordinates.

    `Ignored` if there are no such columns, `IngestError` if it is no text or has no rows of equal length.
    """
    csv.field_size_limit(int(conf.MAX_FEATURE_BYTES))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sample = file.read(_SAMPLE)
            file.seek(0)
            rows = csv.reader(file, delimiter=_delimiter(sample), strict=True)
            header = next(rows, [])
            if len(header) > _MOST_COLUMNS:
                raise IngestError(f"it has more than {_MOST_COLUMNS} columns")
            at = _coordinates(header, options)
            crs = SourceCrs(options.code, given=True) if options.code is not None else None
            while some := list(islice(rows, _AT_ONCE)):
                features = [_feature(header, row, at, rows.line_num) for row in some if row]
                yield from features if crs is None else crs.texts_in_wgs84(features)
    except UnicodeDecodeError:
        raise IngestError("it is not text in UTF-8") from None
    except csv.Error as error:
        raise IngestError(f"it cannot be read: {error}") from None


def _delimiter(sample: str) -> str:
    first = next(filter(str.strip, sample.splitlines()), "")
    return max(DELIMITERS, key=first.count)


def _coordinates(header: Sequence[str], options: IngestOptions) -> tuple[int, int]:
    """Which columns have longitude and latitude."""
    names = {name.strip().lower(): number for number, name in reversed(list(enumerate(header)))}
    if options.longitude is not None or options.latitude is not None:
        found = [names.get((name or "").strip().lower()) for name in (options.longitude, options.latitude)]
        if None in found:
            raise IngestError("it has no such columns as its options (.layer.json) name for `longitude` and `latitude`")
    else:
        found = [next((names[name] for name in some if name in names), None) for some in (LONGITUDES, LATITUDES)]
    if found[0] is None or found[1] is None:
        raise Ignored("no columns of coordinates: name them `longitude` and `latitude`, or in its options (.layer.json)")
    return found[0], found[1]


def _feature(header: Sequence[str], row: Sequence[str], at: tuple[int, int], line: int) -> RawFeature:
    if len(row) != len(header):
        return StreamError("invalid_feature", f"a row has {len(row)} columns and not {len(header)} (before line {line + 1:,})")
    try:
        place = [float(row[number]) for number in at] if any(row[number].strip() for number in at) else None
    except ValueError:
        texts = ", ".join(row[number][:40] for number in at)
        return StreamError("invalid_feature", f"{texts} are no coordinates (before line {line + 1:,})")
    geometry = None if place is None else {"type": "Point", "coordinates": place}
    properties = {name: _value(text) for number, (name, text) in enumerate(zip(header, row, strict=True)) if number not in at}
    return msgspec.json.encode({"type": "Feature", "geometry": geometry, "properties": properties})


def _value(text: str) -> Any:
    """A number that is written as numbers are, null for nothing, else the text."""
    if not text:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
