"""Writes values of Redis into layers: GeoJSON Features and FeatureCollections, checked and limited like everything that is published.

One bad value, or one bad feature, costs nothing but itself. It is counted, and at most once a minute something is logged about it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streaming.core.errors import StreamError
from streaming.core.json_decoding import decode_json
from streaming.engine.conf import conf
from streaming.features.ingest import IngestResult, aingest
from streaming.features.large_documents import RawFeature
from streaming.features.layer_creation import afeature_store
from streaming.features.layers import alayer_rules, catalogue
from streaming.features.server_events import feeding_error
from streaming.features.splitting import split_features

logger = logging.getLogger(__name__)

INLINE_BYTES = 256 * 1024
"""A longer value is split into features in a thread."""
TURN = 100
"""Values looked at before others have a turn."""
LOG_SECONDS = 60.0

Identified = tuple[bytes, RawFeature]
"""The id of a feature as it is written (nothing, if it has none), and the feature with it."""
_NULL = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class ReceivedValue(NamedTuple):
    """A value from Redis: when it came, from which name, for which layer."""

    received_at: float
    name: str
    layer: str
    value: bytes


class _Feature(msgspec.Struct):
    id: msgspec.Raw = _NULL
    properties: msgspec.Raw = _NULL


class _Properties(msgspec.Struct):
    id: msgspec.Raw = _NULL


_decode_feature = msgspec.json.Decoder(_Feature).decode
_decode_properties = msgspec.json.Decoder(_Properties).decode


class LayerWriter:
    """Stores features, and counts them."""

    def __init__(self) -> None:
        self.stored = 0
        """Features that are in their layer now, changed or not ..."""
        self.refused = 0
        """... those that are not valid, have no id or no room ..."""
        self.bad = 0
        """... and values that are not GeoJSON at all."""
        self._reported_at: dict[str, float] = {}
        self._unlogged = 0
        self._logged_at = float("-inf")

    async def write(self, values: Sequence[ReceivedValue], latest_only: bool = False) -> None:
        """Store values in order; with `latest_only` nothing of a feature but the last. After a `StreamError` they may be written again."""
        layers: dict[str, list[Identified]] = {}
        bad: list[tuple[str, str]] = []
        for number, value in enumerate(values, 1):
            try:
                layers.setdefault(value.layer, []).extend(await _features(value.value))
            except StreamError as error:
                bad.append((value.name, error.message))
            if number % TURN == 0:
                await asyncio.sleep(0)
        results: dict[str, IngestResult] = {}
        for layer, features in layers.items():
            texts = _latest(features) if latest_only else [feature for _, feature in features]
            if texts:
                results[layer] = await aingest(await afeature_store(layer), texts, rules=await alayer_rules(layer))
                self._report(layer, results[layer])
        self._count(results, bad)

    def _report(self, layer: str, result: IngestResult) -> None:
        """An event about what could not be stored, at most once a minute for a layer."""
        now = time.monotonic()
        unknown = catalogue.remembered(layer) is None  # nothing was ever stored
        if not result.refused or unknown or now - self._reported_at.get(layer, float("-inf")) < LOG_SECONDS:
            return
        self._reported_at[layer] = now
        error = result.errors[-1]
        feeding_error(layer, error["code"], error["message"], result.refused)

    def _count(self, results: dict[str, IngestResult], bad: list[tuple[str, str]]) -> None:
        """Count once everything is stored: what is written again counts once."""
        for layer, result in results.items():
            self.stored += result.total - result.refused
            if result.refused:
                self.refused += result.refused
                self._log(result.refused, f"layer {layer}", result.errors[-1]["message"])
        if bad:
            self.bad += len(bad)
            self._log(len(bad), *bad[-1])

    def _log(self, count: int, where: str, reason: str) -> None:
        self._unlogged += count
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS:
            logger.warning("%d values or features of Redis cannot be in a layer; the last one, %s: %s", self._unlogged, where, reason)
            self._unlogged, self._logged_at = 0, now


def _latest(features: list[Identified]) -> list[RawFeature]:
    """The last of each feature, and all that have no id."""
    latest: dict[bytes | int, RawFeature] = {identity or number: feature for number, (identity, feature) in enumerate(features)}
    return list(latest.values())


async def _features(value: bytes) -> list[Identified]:
    """The features in a value. `StreamError` if it is not GeoJSON, or too much."""
    if len(value) > conf.MAX_BODY_BYTES:
        raise StreamError("too_large", f"a value has at most {conf.MAX_BODY_BYTES} bytes")
    inline = len(value) <= INLINE_BYTES and b'"crs"' not in value  # projecting takes longer than splitting
    return _split(value) if inline else await asyncio.to_thread(_split, value)


def _split(value: bytes) -> list[Identified]:
    return [identified(feature) for feature in split_features(value)]


def identified(feature: RawFeature) -> Identified:
    """The id of a feature, which may be among its properties, and the feature with it."""
    if isinstance(feature, StreamError):
        return b"", feature
    try:
        found = _decode_feature(feature)
        if bytes(found.id) != b"null":
            return bytes(found.id), feature
        inner = bytes(_decode_properties(found.properties).id)
        if inner != b"null":
            return inner, msgspec.json.encode({**decode_json(feature), "id": msgspec.Raw(inner)})
    except _UNREADABLE:  # the reason is found where it is refused
        pass
    return b"", feature
