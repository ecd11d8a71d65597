"""Bytes and microseconds of an update of a feature: whole, and as a merge patch against what the client was sent before.

200 recorded aircraft, each with the record that came next (position, time, speed, course). "single": one message a change; "batch": all
200 in one message, counted for each change. µs are to make the message, for the first client; all others share it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import msgspec

from streaming.core.deliveries import Delivery
from streaming.core.items import Item
from streaming.core.presentation import Presentation
from streaming.dialects.geo.encoding import Encoding
from streaming.dialects.geo.feature_encoder import FeatureEncoder, FeatureVariant
from streaming.dialects.geo.messages import Compression, MessageFormat
from streaming.engine.senders import ASGI

from .deltas import aircraft

_canonical = msgspec.json.Encoder(order="sorted").encode


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows; `share` takes fewer repetitions."""
    repeat, pairs = max(2, round(10 * share)), aircraft()
    for format, compression, batch in product((MessageFormat.JSON, MessageFormat.MESSAGE_PACK), Compression, (False, True)):
        measured = [min(_measured(pairs, format, compression, batch, delta) for _ in range(repeat)) for delta in (False, True)]
        (whole, whole_micros), (delta, delta_micros) = measured
        yield {
            "format": format.value,
            "compression": compression.value,
            "messages": "batch" if batch else "single",
            "whole": round(whole),
            "delta": round(delta),
            "saved": f"{1 - delta / whole:.0%}",
            "whole µs": round(whole_micros, 1),
            "delta µs": round(delta_micros, 1),
        }


def _measured(pairs: list[Any], format: MessageFormat, compression: Compression, batch: bool, delta: bool) -> tuple[float, float]:
    """Bytes and microseconds for each change. The texts are made anew, so that nothing made before is found."""
    variant = FeatureVariant(Encoding.of(format, compression), ASGI, "features-1", "flights", Presentation(), batch, delta)
    encoder = FeatureEncoder.of(variant)
    run = [_update(number, *pair) for number, pair in enumerate(pairs)]
    began = time.perf_counter()
    frames = encoder.frames(run)
    seconds = time.perf_counter() - began
    return sum(map(len, frames)) / len(run), seconds / len(run) * 1e6


def _update(number: int, before: dict[str, Any], after: dict[str, Any]) -> Delivery:
    key = f'"{number}-{time.perf_counter_ns()}"'
    old, new = (Item(key, _canonical({**record, "type": "Feature", "id": msgspec.json.decode(key)}), 0) for record in (before, after))
    return Delivery("updated", key, new, "1790000000-abcdef", number, base=old)
