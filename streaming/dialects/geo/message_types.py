"""The messages of the geo protocol for the AsyncAPI document: the structs themselves, with examples."""

from __future__ import annotations

import msgspec

from streaming.engine.message_types import MessageType, Sender, SocketDescription

from .messages import (
    REQUESTS,
    TYPES,
    Ack,
    Authenticate,
    ChangeType,
    Compression,
    Error,
    Event,
    EventType,
    FeatureData,
    Handshake,
    HandshakeAck,
    LayerDictionary,
    ListSubscriptions,
    Message,
    MessageFormat,
    Ping,
    Pong,
    SubscribeEvents,
    SubscribeFeatures,
    SubscribeTiles,
    SubscriptionInfo,
    Subscriptions,
    TileData,
    TilesChanged,
    TilesReady,
    Unsubscribe,
    UpdateSubscription,
    UseDictionaries,
    ZoomRange,
    type_of,
)

_POINT = '{"type":"Feature","id":"swr123","geometry":{"type":"Point","coordinates":[8.55,47.45]},"properties":{"altitude":3500}}'
_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature"
_BOX = (5.9, 45.8, 10.5, 47.9)
EXAMPLES: tuple[Message, ...] = (
    Handshake(1, MessageFormat.MESSAGE_PACK, Compression.ZSTD),
    HandshakeAck(1, MessageFormat.MESSAGE_PACK, Compression.ZSTD),
    SubscribeTiles("relief", _BOX, ZoomRange(4, 7), 256, tileset="relief"),
    SubscribeFeatures("planes", _BOX, layer="flights", filter="altitude > 3000", max_rate=2.0),
    SubscribeEvents("log", [EventType.PROGRESS, EventType.ERROR]),
    Unsubscribe("planes"),
    TileData("relief", (8, 5, 4), "iVBORw0KGgo=", "image/png", tileset="relief", version="1-c0ffee", encoding="full"),
    FeatureData("planes", _POINT, ChangeType.UPDATED, layer="flights", id="swr123", cursor="6f2c1d0a:42"),
    Event("log", EventType.PROGRESS, {"task_id": "import", "current": 3, "total": 10}, "2026-01-31T12:00:00.000+00:00"),
    Error("not_found", "there is no layer ships", "planes"),
    Ping(1),
    Pong(1),
    Ack("planes", True, None, cursor="6f2c1d0a:41", snapshot_count=17),
    UpdateSubscription("planes", bbox=(7.0, 46.0, 9.0, 47.0)),
    ListSubscriptions("list"),
    Subscriptions("list", [SubscriptionInfo("planes", "features", layer="flights", bbox=_BOX)]),
    Authenticate(_TOKEN),
    TilesReady("relief"),
    TilesChanged("relief", "relief", [(8, 5, 4), (16, 11, 5)], "9c2e11d07ab3f604"),
    UseDictionaries([1520922605]),
    LayerDictionary("flights", 1520922605, "/api/layers/flights/dictionaries/5f0c1b9e8f7a62c41f8a90be27d31590", 8192),
)
"""One of each type."""


def _sender(kind: type[Message]) -> Sender:
    if kind in (Ping, Pong):
        return "both"
    return "client" if kind is Handshake or kind in REQUESTS else "server"


def _message_type(kind: type[Message]) -> MessageType:
    examples = [msgspec.json.decode(msgspec.json.encode(each)) for each in EXAMPLES if type(each) is kind]
    return MessageType(type_of(kind), _sender(kind), kind, (kind.__doc__ or "").partition("\n")[0], examples)


SOCKET = SocketDescription(
    "geo",
    "Geo protocol",
    ("/ws",),
    "Features, tiles and events of live layers, filtered by place, time and attributes. After a handshake messages may be MessagePack "
    "instead of JSON, and compressed with Zstandard. A request with a key that it does not have is refused. Whoever logs in sends a bearer "
    "token, a ticket, a session or `authenticate`.",
    [_message_type(kind) for kind in TYPES.values()],
    "geo-protocol.md",
)
