"""Encodes changes of features as `feature_data` messages.

Clients that ask for the same in the same way under the same subscription id share one encoder, and with it every
message that it has encoded. The encoded form of a delivery is kept on the delivery, the text of a feature on its item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from streaming.core.deliveries import Delivery, conflated
from streaming.core.interning import Interned
from streaming.core.presentation import Presentation
from streaming.engine.senders import Framing
from streaming.features.geojson import deletion

from .encoding import Encoding, is_text
from .message_encoder import feature_data_bytes
from .messages import ChangeType

MAX_BATCH_BYTES = 900 * 1024
"""Limit of the GeoJSON text of one batch, so that with escaping and envelope a message stays below 1 MiB."""

_KINDS = {"added": ChangeType.ADDED, "updated": ChangeType.UPDATED, "deleted": ChangeType.DELETED}


@dataclass(frozen=True, slots=True)
class FeatureVariant:
    """All that the bytes of a message depend on, besides the feature."""

    encoding: Encoding
    framing: Framing
    subscription_id: str
    layer: str
    presentation: Presentation
    batch: bool


class FeatureEncoder(Interned[FeatureVariant]):
    """The encoder of `feature_data` messages of one variant."""

    def __init__(self, variant: FeatureVariant) -> None:
        super().__init__(variant)
        self._text = is_text(variant.encoding)

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """One message for each delivery or, in batches, as few as their size allows."""
        if self.variant.batch:
            return self.variant.framing.pack(list(self._batches(deliveries)), self._text)
        return self.variant.framing.join([delivery.frames.get(self) or self._single(delivery) for delivery in deliveries])

    def _single(self, delivery: Delivery) -> Any:
        payload = self._message(self._geojson(delivery), delivery.kind, delivery.key.encode(), delivery.cursor, delivery.reason)
        frame = delivery.frames[self] = self.variant.framing.pack([payload], self._text)[0]
        return frame

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
        """A collection for each kind and reason.

        Only the last message has a cursor: it is true once all have arrived.
        """
        collections = list(self._collections(conflated(deliveries)))
        for count, (kind, reason, features) in enumerate(collections, 1):
            geojson = b'{"type":"FeatureCollection","features":[' + b",".join(features) + b"]}"
            yield self._message(geojson, kind, None, deliveries[-1].cursor if count == len(collections) else None, reason)

    def _collections(self, deliveries: Iterable[Delivery]) -> Iterator[tuple[str, str | None, list[bytes]]]:
        groups: dict[tuple[str, str | None], list[bytes]] = {}
        for delivery in deliveries:
            groups.setdefault((delivery.kind, delivery.reason), []).append(self._geojson(delivery))
        for (kind, reason), features in groups.items():
            for part in _split(features):
                yield kind, reason, part


def _split(features: list[bytes]) -> Iterator[list[bytes]]:
    """Parts that each fit into one message."""
    part: list[bytes] = []
    size = 0
    for feature in features:
        # Escaping at most doubles quotes and backslashes; other characters of canonical JSON stay as they are.
        cost = len(feature) + feature.count(b'"') + feature.count(b"\\") + 1
        if part and size + cost > MAX_BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(feature)
        size += cost
    if part:
        yield part
