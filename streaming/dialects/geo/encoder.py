"""Deliveries into frames of the geo dialect, each variant once.
An encoder is interned: clients that ask for the same thing in the same way under the same subscription id share one, and with it
every frame it has made. The encoded form of a delivery is kept on the delivery, the text of a feature on its item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from streaming.core.deliveries import Delivery, conflated
from streaming.core.presentation import Presentation
from streaming.engine.senders import Framing
from streaming.features.geojson import deletion

from .encoding import Encoding, is_text
from .messages import ChangeType, EventType
from .outbound import event_bytes, feature_data_bytes

MAX_BATCH_BYTES = 900 * 1024
"""GeoJSON text of one batch: with escaping and the envelope a message stays below 1 MiB."""

_KINDS = {"added": ChangeType.ADDED, "updated": ChangeType.UPDATED, "deleted": ChangeType.DELETED}


@dataclass(frozen=True, slots=True)
class FeatureVariant:
    """All that the bytes of a feature's message depend on, besides the feature."""

    encoding: Encoding
    framing: Framing
    subscription_id: str
    layer: str
    presentation: Presentation
    batch: bool


class FeatureEncoder:
    """`feature_data` messages of one variant."""

    def __init__(self, variant: FeatureVariant) -> None:
        self.variant = variant
        self._text = is_text(variant.encoding)

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """One message a delivery or, for batches, as few as the sizes allow."""
        payloads = list(self._batches(deliveries)) if self.variant.batch else [self._single(delivery) for delivery in deliveries]
        return self.variant.framing.pack(payloads, self._text)

    def _single(self, delivery: Delivery) -> bytes:
        payload: bytes | None = delivery.frames.get(self)
        if payload is None:
            payload = delivery.frames[self] = self._message(
                self._geojson(delivery), delivery.kind, delivery.key.encode(), delivery.cursor, delivery.reason
            )
        return payload

    def _geojson(self, delivery: Delivery) -> bytes:
        if delivery.item is None:
            return deletion(delivery.key)
        return self.variant.presentation.geojson(delivery.item)

    def _message(self, geojson: bytes, kind: str, feature_id: bytes | None, cursor: str | None, reason: str | None) -> bytes:
        variant = self.variant
        return feature_data_bytes(
            variant.encoding, variant.subscription_id, geojson, _KINDS[kind], variant.layer, feature_id, cursor, reason
        )

    def _batches(self, deliveries: Sequence[Delivery]) -> Iterator[bytes]:
        """A collection per kind and reason; the last message carries the promise of them all."""
        pieces = list(self._pieces(conflated(deliveries)))
        for count, (kind, reason, features) in enumerate(pieces, 1):
            geojson = b'{"type":"FeatureCollection","features":[' + b",".join(features) + b"]}"
            yield self._message(geojson, kind, None, deliveries[-1].cursor if count == len(pieces) else None, reason)

    def _pieces(self, deliveries: Iterable[Delivery]) -> Iterator[tuple[str, str | None, list[bytes]]]:
        groups: dict[tuple[str, str | None], list[bytes]] = {}
        for delivery in deliveries:
            groups.setdefault((delivery.kind, delivery.reason), []).append(self._geojson(delivery))
        for (kind, reason), features in groups.items():
            for piece in _cut(features):
                yield kind, reason, piece


def _cut(features: list[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for feature in features:
        # Escaping doubles quotes and backslashes at most; other characters of canonical JSON stay as they are.
        cost = len(feature) + feature.count(b'"') + feature.count(b"\\") + 1
        if piece and size + cost > MAX_BATCH_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(feature)
        size += cost
    if piece:
        yield piece


class _StoredEvent(msgspec.Struct):
    event_type: EventType
    payload: msgspec.Raw
    timestamp: str


_read_event = msgspec.json.Decoder(_StoredEvent).decode


@dataclass(frozen=True, slots=True)
class EventVariant:
    """All that the bytes of an event's message depend on, besides the event."""

    encoding: Encoding
    framing: Framing
    subscription_id: str


class EventEncoder:
    """`event` messages of one variant."""

    def __init__(self, variant: EventVariant) -> None:
        self.variant = variant
        self._text = is_text(variant.encoding)

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """One message an event; the first tells how many are missing before it."""
        payloads = [self._single(delivery, gap if not index else 0) for index, delivery in enumerate(deliveries)]
        return self.variant.framing.pack(payloads, self._text)

    def _single(self, delivery: Delivery, gap: int) -> bytes:
        payload: bytes | None = delivery.frames.get(self)
        if payload is None or gap:
            assert delivery.item is not None
            event = _read_event(delivery.item.value)
            payload = event_bytes(
                self.variant.encoding,
                self.variant.subscription_id,
                event.event_type,
                bytes(event.payload),
                event.timestamp,
                delivery.cursor,
                gap or None,
            )
            if not gap:
                delivery.frames[self] = payload
        return payload


_feature_encoders: WeakValueDictionary[FeatureVariant, FeatureEncoder] = WeakValueDictionary()
_event_encoders: WeakValueDictionary[EventVariant, EventEncoder] = WeakValueDictionary()


def feature_encoder(variant: FeatureVariant) -> FeatureEncoder:
    """The one encoder of a variant."""
    encoder = _feature_encoders.get(variant)
    if encoder is None:
        encoder = _feature_encoders[variant] = FeatureEncoder(variant)
    return encoder


def event_encoder(variant: EventVariant) -> EventEncoder:
    """The one encoder of a variant."""
    encoder = _event_encoders.get(variant)
    if encoder is None:
        encoder = _event_encoders[variant] = EventEncoder(variant)
    return encoder
