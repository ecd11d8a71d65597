"""Encodes what the server sends: acknowledgements, errors, and the announcements of changes."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from streaming.core.deliveries import Delivery
from streaming.core.interning import Interned
from streaming.engine.senders import Framing
from streaming.files.operations import PathFilter, operation_message


@dataclass(frozen=True, slots=True)
class Wire:
    """How messages of one client become frames: large ones compressed, if it asked for that."""

    framing: Framing
    gzip_above: int | None = None

    def frames(self, payloads: Sequence[bytes]) -> list[Any]:
        """The frames of some messages, in order."""
        if self.gzip_above is None or all(len(payload) <= self.gzip_above for payload in payloads):
            return self.framing.pack(list(payloads), text=True)
        frames: list[Any] = []
        for payload in payloads:
            large = len(payload) > self.gzip_above
            frames += self.framing.pack([gzip.compress(payload, 5, mtime=0) if large else payload], text=not large)
        return frames

    def message(self, kind: str, **fields: Any) -> list[Any]:
        """The frames of one message."""
        return self.frames([msgspec.json.encode({"type": kind, **fields})])


@dataclass(frozen=True, slots=True)
class Variant:
    """All that the bytes of an announcement depend on. `filter` is the key of the path filter."""

    wire: Wire
    filter: Any
    numbered: bool


class OperationEncoder(Interned[Variant]):
    """The encoder of announcements of one variant."""

    filter: PathFilter

    @classmethod
    def for_client(cls, wire: Wire, filter: PathFilter, numbered: bool) -> OperationEncoder:
        """The encoder that all clients with the same filter and the same wishes share."""
        encoder = cls.of(Variant(wire, filter.key, numbered))
        encoder.filter = filter
        return encoder

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """One message for each change, but the first half of a move, which has none."""
        payloads = [payload for each in deliveries if (payload := self._message(each))]
        return self.variant.wire.frames(payloads) if payloads else []

    def _message(self, delivery: Delivery) -> bytes:
        key = (self.variant.filter, self.variant.numbered)
        payload: bytes | None = delivery.frames.get(key)
        if payload is None:
            payload = delivery.frames[key] = operation_message(delivery, self.filter, self.variant.numbered) or b""
        return payload
