"""Changes of a layer as events of its topic.

The topic stands for the subscription and no event carries a reference, so members of a topic with the same encoder share every frame. The
payload of an event is made once for all topics; its frame, once for each topic and encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streaming.core.deliveries import Delivery
from streaming.core.interning import Interned
from streaming.core.presentation import Presentation

from .messages import TopicMessage
from .rooms import TopicEncoder


class LayerVariant(NamedTuple):
    """All that the frame of a change depends on, besides the change."""

    topic: str
    encoder: TopicEncoder
    presentation: Presentation


class LayerEncoder(Interned[LayerVariant]):
    """Encodes deliveries as frames of one variant: `added`, `updated` and `deleted`."""

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """One event a delivery, in one piece if they are bytes for a transport: else every member's sender would join them."""
        if len(deliveries) == 1:
            return self._single(deliveries[0])
        frames = [frame for delivery in deliveries for frame in self._single(delivery)]
        return [b"".join(frames)] if frames and isinstance(frames[0], bytes) else frames

    def _single(self, delivery: Delivery) -> list[Any]:
        frames: list[Any] | None = delivery.frames.get(self)
        if frames is None:
            topic, encoder, presentation = self.variant
            message = TopicMessage(topic, delivery.kind, event_payload(delivery, presentation))
            frames = delivery.frames[self] = encoder.broadcast([message])
        return frames


def event_payload(delivery: Delivery, presentation: Presentation) -> bytes:
    """The payload of an event: the feature, or the id and the reason of a deletion, and the cursor if there is a promise."""
    payload: bytes | None = delivery.frames.get(presentation)
    if payload is None:
        cursor = b"" if delivery.seq is None else f',"cursor":"{delivery.cursor}"'.encode()
        payload = delivery.frames[presentation] = b"{%b%b}" % (_content(delivery, presentation), cursor)
    return payload


def _content(delivery: Delivery, presentation: Presentation) -> bytes:
    if delivery.item is None:
        return f'"id":{delivery.key},"reason":"{delivery.reason}"'.encode()
    return b'"feature":' + presentation.geojson(delivery.item)
