"""Encodes changes of features as `feature_data` messages.

Clients that ask for the same in the same way under the same subscription id share one encoder, and with it every
message that it has encoded. The encoded form of a delivery is kept on the delivery, the text of a feature on its item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from streaming.core.deliveries import Delivery, conflated
from streaming.core.interning import Interned
from streaming.core.presentation import Presentation
from streaming.engine.senders import Framing
from streaming.features.feature_deltas import delta_of, short_version
from streaming.features.geojson import deletion

from .dictionary import Dictionary
from .encoding import Encoding, is_text
from .message_encoder import feature_data_bytes, wrapped
from .messages import MERGE_PATCH, ChangeType, Compression

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
    delta: bool = False
    """Whether updates may be deltas against what was sent before."""
    dictionary: Dictionary | None = None
    """What small messages are compressed with, whatever the encoding says."""


class _Content(NamedTuple):
    """What a message has of one delivery: the feature, or what has changed of it. "" where there is no version."""

    geojson: bytes
    version: str = ""
    base_version: str = ""


class FeatureEncoder(Interned[FeatureVariant]):
    """The encoder of `feature_data` messages of one variant."""

    def __init__(self, variant: FeatureVariant) -> None:
        super().__init__(variant)
        self._text = is_text(variant.encoding)
        self._written = variant.encoding if variant.dictionary is None else replace(variant.encoding, compression=Compression.NONE)

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """One message for each delivery or, in batches, as few as their size allows."""
        if self.variant.batch:
            return self._packed(list(self._batches(deliveries)))
        return self.variant.framing.join([delivery.frames.get(self) or self._single(delivery) for delivery in deliveries])

    def _single(self, delivery: Delivery) -> Any:
        content = self._content(delivery)
        members = self._members(*content[1:])
        payload = self._message(content.geojson, delivery.kind, delivery.key.encode(), delivery.cursor, delivery.reason, members)
        frame = delivery.frames[self] = self._packed([payload])[0]
        return frame

    def _packed(self, payloads: list[bytes]) -> list[Any]:
        dictionary, pack = self.variant.dictionary, self.variant.framing.pack
        if dictionary is None:
            return pack(payloads, self._text)
        frames: list[Any] = []
        for payload in payloads:
            small = dictionary.compress(payload)
            frames += pack([wrapped(payload, self.variant.encoding)], self._text) if small is None else pack([small], False)
        return self.variant.framing.join(frames)

    def _content(self, delivery: Delivery) -> _Content:
        if delivery.item is None:
            return _Content(deletion(delivery.key))
        shown = self.variant.presentation.geojson(delivery.item)
        if not self.variant.delta:
            return _Content(shown)
        if delivery.base is None:
            return _Content(shown, short_version(shown))
        delta = delta_of(self.variant.presentation.geojson(delivery.base), shown)
        if delta.patch is None:
            return _Content(shown, delta.version)
        return _Content(delta.patch, delta.version, delta.base_version)

    @staticmethod
    def _members(version: str | list[str], base_version: str | list[str]) -> dict[str, Any]:
        members: dict[str, Any] = {"version": version} if version else {}
        return members | {"encoding": MERGE_PATCH, "base_version": base_version} if base_version else members

    def _message(
        self, geojson: bytes, kind: str, feature_id: bytes | None, cursor: str | None, reason: str | None, members: dict[str, Any]
    ) -> bytes:
        variant = self.variant
        return feature_data_bytes(
            self._written, variant.subscription_id, geojson, _KINDS[kind], variant.layer, feature_id, cursor, reason, members
        )

    def _batches(self, deliveries: Sequence[Delivery]) -> Iterator[bytes]:
        """A collection for each kind and reason, and one of the deltas.

        Only the last message has a cursor: it is true once all have arrived.
        """
        collections = list(self._collections(conflated(deliveries)))
        for count, (kind, reason, contents) in enumerate(collections, 1):
            geojson = b'{"type":"FeatureCollection","features":[' + b",".join(content.geojson for content in contents) + b"]}"
            versions = [content.version for content in contents if content.version]
            members = self._members(versions, [content.base_version for content in contents if content.base_version])
            cursor = deliveries[-1].cursor if count == len(collections) else None
            yield self._message(geojson, kind, None, cursor, reason, members)

    def _collections(self, deliveries: Iterable[Delivery]) -> Iterator[tuple[str, str | None, list[_Content]]]:
        groups: dict[tuple[str, str | None, bool], list[_Content]] = {}
        for delivery in deliveries:
            content = self._content(delivery)
            if content.base_version:
                content = content._replace(geojson=_with_id(content.geojson, delivery.key))
            groups.setdefault((delivery.kind, delivery.reason, bool(content.base_version)), []).append(content)
        for (kind, reason, _), contents in groups.items():
            for part in _split(contents):
                yield kind, reason, part


def _with_id(patch: bytes, key: str) -> bytes:
    """A patch in a batch says of which feature it is."""
    members = patch[1:] if patch == b"{}" else b"," + patch[1:]
    return b'{"id":' + key.encode() + members


def _split(contents: list[_Content]) -> Iterator[list[_Content]]:
    """Parts that each fit into one message."""
    part: list[_Content] = []
    size = 0
    for content in contents:
        feature = content.geojson
        # Escaping at most doubles quotes and backslashes; other characters of canonical JSON stay as they are.
        cost = len(feature) + feature.count(b'"') + feature.count(b"\\") + 1 + 2 * len(content.version + content.base_version)
        if part and size + cost > MAX_BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(content)
        size += cost
    if part:
        yield part
