"""Bytes and microseconds of a message with one feature: as it is, with zstd, and with zstd and the dictionary of its layer.

The demo's layers: recorded aircraft, whose next records are the messages, and earthquakes, each of which is new. The dictionary is
trained (in a thread) on 1,000 features that are not among those that are sent. µs are to make a message, for the first client;
all others share it.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from streaming.core.deliveries import Delivery
from streaming.core.items import Item
from streaming.core.presentation import Presentation
from streaming.dialects.geo.dictionary import Dictionary
from streaming.dialects.geo.dictionary_training import TAUGHT_FEATURES, train_forms
from streaming.dialects.geo.encoding import Encoding
from streaming.dialects.geo.feature_encoder import FeatureEncoder, FeatureVariant
from streaming.dialects.geo.messages import Compression, MessageFormat
from streaming.engine.senders import ASGI

from .deltas import DEMO, FLIGHTS

QUAKES = DEMO / "earthquakes-2018-02.geojson.gz"
DICTIONARY_BYTES = 8192
SENT = 700
_canonical = msgspec.json.Encoder(order="sorted").encode


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows; `share` takes fewer repetitions."""
    repeat = max(2, round(20 * share))
    for layer, records in (("flights", _flights()), ("earthquakes", _quakes())):
        taught, sent = records[:TAUGHT_FEATURES], records[TAUGHT_FEATURES : TAUGHT_FEATURES + SENT]
        began = time.perf_counter()
        trained = train_forms(layer, [_item(record) for record in taught], "1790000000-abcdef:1", DICTIONARY_BYTES)
        milliseconds = (time.perf_counter() - began) / len(trained) * 1e3
        for format in (MessageFormat.JSON, MessageFormat.MESSAGE_PACK):
            dictionary = Dictionary(trained[format.value])
            ways = ((Compression.NONE, None), (Compression.ZSTD, None), (Compression.NONE, dictionary))
            (plain, plain_micros), (zstd, zstd_micros), (small, small_micros) = (
                min(_measured(layer, sent, format, *way) for _ in range(repeat)) for way in ways
            )
            yield {
                "layer": layer,
                "format": format.value,
                "plain": round(plain),
                "zstd": round(zstd),
                "dictionary": round(small),
                "zstd of plain": f"{zstd / plain:.0%}",
                "dictionary of plain": f"{small / plain:.0%}",
                "plain µs": round(plain_micros, 1),
                "zstd µs": round(zstd_micros, 1),
                "dictionary µs": round(small_micros, 1),
                "trained in ms": round(milliseconds),
            }


def _measured(
    layer: str, records: list[dict[str, Any]], format: MessageFormat, compression: Compression, dictionary: Dictionary | None
) -> tuple[float, float]:
    """Bytes and microseconds for each message."""
    variant = FeatureVariant(
        Encoding.of(format, compression), ASGI, "features-1", layer, Presentation(), batch=False, delta=False, dictionary=dictionary
    )
    encoder = FeatureEncoder.of(variant)
    run = [Delivery("updated", item.key, item, "1790000000-abcdef", 17 * number) for number, item in enumerate(map(_item, records))]
    began = time.perf_counter()
    frames = encoder.frames(run)
    seconds = time.perf_counter() - began
    return sum(map(len, frames)) / len(run), seconds / len(run) * 1e6


def _item(record: dict[str, Any]) -> Item:
    return Item(json.dumps(record["id"]), _canonical({**record, "type": "Feature"}), 0)


def _flights() -> list[dict[str, Any]]:
    """Two snapshots of the recording: its first records, and those from half an hour later on."""
    with gzip.open(FLIGHTS, "rt", encoding="utf-8") as lines:
        records = list(map(json.loads, lines))
    half = len(records) // 2
    return records[:TAUGHT_FEATURES] + records[half : half + SENT]


def _quakes() -> list[dict[str, Any]]:
    with gzip.open(QUAKES, "rt", encoding="utf-8") as file:
        records: list[dict[str, Any]] = json.load(file)["features"]
    return records
