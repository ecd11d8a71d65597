"""Encodes messages as the bytes of frames.

`encode` takes any message. `feature_data_bytes` and `event_bytes` write the two messages that are sent by the hundred thousand, from what
is JSON text already, and give exactly the bytes that `encode` would. (Joining prepared pieces beats a typed message only in the
positional shape; elsewhere msgspec is faster than any joining in Python.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...core.json_decoding import decode_json
from . import zstd
from .encoding import Encoding
from .messages import (
    BASE_FIELDS,
    ChangeType,
    Compression,
    Event,
    EventType,
    FeatureData,
    Message,
    MessageFormat,
    ZoomRange,
    type_of,
)

_json = msgspec.json.Encoder().encode
_msgpack = msgspec.msgpack.Encoder().encode
_parse = decode_json

_LONGEST = 1 << 10_000
"""Python takes too long over the digits of longer integers."""
_FEATURE_START = b"\x94" + _msgpack("feature_data")
_CHANGES = {kind: _msgpack(kind) for kind in ChangeType}
_NO_DELTA: Mapping[str, Any] = {}
_EVENT_START = b"\x95" + _msgpack("event")
_EVENTS = {kind: _msgpack(kind) for kind in EventType}


def encode(message: Message, encoding: Encoding) -> bytes:
    """The bytes of a frame. Positional peers get the base fields only."""
    if encoding.format is MessageFormat.JSON:
        return wrapped(_json(message), encoding)
    return wrapped(_short(_pack(_positional(message) if encoding.positional else message)), encoding)


def feature_data_bytes(
    encoding: Encoding,
    subscription_id: str,
    geojson: bytes,
    change_type: ChangeType,
    layer: str | None,
    feature_id_json: bytes | None,
    cursor: str | None,
    reason: str | None,
    delta: Mapping[str, Any] = _NO_DELTA,
) -> bytes:
    """`encode(FeatureData(...), encoding)`, from GeoJSON text and the compact JSON text of the feature's id, both UTF-8.

    `delta`: the members `version`, `encoding` and `base_version`, as far as there are any.
    """
    text = geojson.decode()
    if encoding.positional:
        return wrapped(b"".join((_FEATURE_START, _msgpack(subscription_id), _msgpack(text), _CHANGES[change_type])), encoding)
    feature_id = None if feature_id_json is None else _parse(feature_id_json)
    return encode(FeatureData(subscription_id, text, change_type, layer, feature_id, cursor, reason, **delta), encoding)


def event_bytes(
    encoding: Encoding,
    subscription_id: str,
    event_type: EventType,
    payload_json: bytes,
    timestamp: str,
    cursor: str | None,
    gap: int | None,
) -> bytes:
    """`encode(Event(...), encoding)`, from the compact JSON text of the payload, UTF-8."""
    if encoding.positional:
        packed = (_EVENT_START, _msgpack(subscription_id), _EVENTS[event_type], _pack(_parse(payload_json)), _msgpack(timestamp))
        return wrapped(b"".join(packed), encoding)
    payload = msgspec.Raw(payload_json) if encoding.format is MessageFormat.JSON else _parse(payload_json)
    return encode(Event(subscription_id, event_type, payload, timestamp, cursor, gap), encoding)


def wrapped(data: bytes, encoding: Encoding) -> bytes:
    """A finished message, compressed as the encoding says."""
    if encoding.compression is Compression.NONE:
        return data
    return zstd.store(data) if encoding.stored_zstd else zstd.compress(data)


def _short(packed: bytes) -> bytes:
    """With the shortest header: of a map with optional members msgspec makes room for all."""
    if packed[0] == 0xDE and packed[1] == 0 and packed[2] < 16:
        return bytes((0x80 | packed[2],)) + packed[3:]
    return packed


def _positional(message: Message) -> list[Any]:
    kind = type(message)
    return [type_of(kind), *(_in_order(getattr(message, name)) for name in BASE_FIELDS[kind])]


def _in_order(value: Any) -> Any:
    return [value.start, value.end] if isinstance(value, ZoomRange) else value


def _pack(value: Any) -> bytes:
    try:
        return _msgpack(value)
    except OverflowError:
        return _msgpack(_within_64_bits(msgspec.to_builtins(value)))


def _within_64_bits(value: Any) -> Any:
    """MessagePack has no larger integers. None is published any more; of those from before, the text is sent, so that no digit is lost."""
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return str(value) if abs(value) < _LONGEST else None
    if isinstance(value, list | tuple):
        return [_within_64_bits(item) for item in value]
    if isinstance(value, dict):
        return {key: _within_64_bits(item) for key, item in value.items()}
    return value
