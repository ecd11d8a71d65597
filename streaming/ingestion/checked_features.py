"""The features of a file, all checked before the first of them is published: a file becomes a layer as a whole or not at all.

They wait in a file beside it, as they will be stored. In memory are only their keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.core.feed import MAX_BATCH
from streaming.core.items import Item
from streaming.engine.conf import conf
from streaming.features.geojson import FeatureRules, decode_feature, read_feature
from streaming.features.ingest import MAX_BATCH_BYTES
from streaming.features.large_documents import RawFeature

from .errors import IngestError

Batch = list[tuple[str, bytes]]
_LOOK_EVERY = 1000


class _Identity(msgspec.Struct):
    id: Any = None


class CheckedFeatures:
    """Features that may be published."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.keys: set[str] = set()
        self.box: Box | None = None

    def batches(self) -> Iterator[Batch]:
        """Keys and values to be stored together."""
        batch: Batch = []
        size = 0
        with self._path.open("rb") as file:
            for line in file:
                key, _, value = line[:-1].partition(b"\t")
                batch.append((key.decode(), value))
                size += len(value)
                if len(batch) == MAX_BATCH or size >= MAX_BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch


def check_features(
    records: Iterable[RawFeature], spool: Path, rules: FeatureRules, id_property: str | None, checked: Callable[[int], None]
) -> CheckedFeatures:
    """Check all features, in a thread. `IngestError` for the first one that may not be published."""
    found, deadline = CheckedFeatures(spool), time.monotonic() + conf.INGEST_SECONDS
    most, largest = int(conf.INGEST_MAX_FEATURES), int(conf.MAX_FEATURE_BYTES)
    with spool.open("xb") as file:
        for number, record in enumerate(records, 1):
            if number > most:
                raise IngestError(f"it has more than the {most:,} features of GEOSTREAM_INGEST_MAX_FEATURES")
            try:
                key, value, _ = read_feature(_identified(record, id_property, largest), largest, rules)
            except StreamError as error:
                raise IngestError(f"feature {number:,}: {error.message}") from None
            if key in found.keys:
                if id_property is None and key.startswith('"#'):  # the same feature once more
                    continue
                raise IngestError(f"feature {number:,}: another one has the id {key[:100]} already")
            found.keys.add(key)
            box = Item(key, value, 0).box
            found.box = box if found.box is None else found.box if box is None else _around(found.box, box)
            file.write(b"%b\t%b\n" % (key.encode(), value))
            if number % _LOOK_EVERY == 0:
                checked(number)
                if time.monotonic() > deadline:
                    raise IngestError(f"it took longer than the {conf.INGEST_SECONDS:g} seconds of GEOSTREAM_INGEST_SECONDS")
    return found


def _identified(record: RawFeature, id_property: str | None, largest: int) -> bytes | dict[str, Any]:
    """The feature with an id: its own, that of a property, or else, so that an unchanged one keeps it, one made of its content."""
    if isinstance(record, StreamError):
        raise record
    if id_property is None:
        try:
            if msgspec.json.decode(record, type=_Identity).id is not None:
                return record
        except (msgspec.MsgspecError, UnicodeError):  # the reason is found where it is refused
            return record
    feature = decode_feature(record, largest)
    properties = feature.get("properties")
    identity = properties.get(id_property or "id") if isinstance(properties, dict) else None
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    if id_property is not None and identity is None:
        raise StreamError("invalid_feature", f"it has no property {id_property!r} to take its id from")
    if id_property is None and (type(identity) not in (str, int) or identity == ""):
        content = msgspec.json.encode({name: member for name, member in feature.items() if name != "id"}, order="sorted")
        identity = f"#{sha256(content).hexdigest()[:20]}"
    return {**feature, "id": identity}


def _around(one: Box, other: Box) -> Box:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))
