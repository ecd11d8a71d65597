"""Encodes events as `event` messages. Clients with the same subscription id and encoding share one encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from streaming.core.deliveries import Delivery
from streaming.core.interning import Interned
from streaming.engine.senders import Framing

from .encoding import Encoding, is_text
from .message_encoder import event_bytes
from .messages import EventType


class _StoredEvent(msgspec.Struct):
    """An event as it is in its feed."""

    event_type: EventType
    payload: msgspec.Raw
    timestamp: str


_parse_event = msgspec.json.Decoder(_StoredEvent).decode


@dataclass(frozen=True, slots=True)
class EventVariant:
    """All that the bytes of a message depend on, besides the event."""

    encoding: Encoding
    framing: Framing
    subscription_id: str


class EventEncoder(Interned[EventVariant]):
    """The encoder of `event` messages of one variant."""

    def __init__(self, variant: EventVariant) -> None:
        super().__init__(variant)
        self._text = is_text(variant.encoding)

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """One message for each event; the first one has the number of events that were lost before it."""
        payloads = [self._single(delivery, gap if not index else 0) for index, delivery in enumerate(deliveries)]
        return self.variant.framing.pack(payloads, self._text)

    def _single(self, delivery: Delivery, gap: int) -> bytes:
        payload: bytes | None = delivery.frames.get(self)
        if payload is None or gap:
            assert delivery.item is not None
            event = _parse_event(delivery.item.value)
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
