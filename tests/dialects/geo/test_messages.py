"""The declarations: positional order, what is always written, what is only written when it is said."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET

from streaming.dialects.geo.messages import (
    BASE_FIELDS,
    INDEXED,
    TYPES,
    Ack,
    Authenticate,
    ChangeType,
    FeatureData,
    ListSubscriptions,
    Ping,
    SubscribeFeatures,
    TileData,
    Unsubscribe,
    UpdateSubscription,
    reply_id,
    type_of,
)
from tests.dialects.geo.vectors import read


def test_base_messages_are_numbered_in_the_order_of_the_protocol() -> None:
    assert [type_of(kind) for kind in INDEXED] == [
        "handshake",
        "handshake_ack",
        "subscribe_tiles",
        "subscribe_features",
        "subscribe_events",
        "unsubscribe",
        "tile_data",
        "feature_data",
        "event",
        "error",
        "ping",
        "pong",
        "ack",
    ]


def test_extension_messages_are_known_by_name() -> None:
    assert {"update_subscription", "list_subscriptions", "subscriptions", "authenticate"} <= TYPES.keys()


def test_positional_fields_are_the_base_fields_in_order() -> None:
    assert BASE_FIELDS[SubscribeFeatures] == ("subscription_id", "bbox", "filters", "layer")
    assert BASE_FIELDS[TileData] == ("subscription_id", "tile", "data", "mime_type")
    assert BASE_FIELDS[Ack] == ("request_id", "success", "message")
    assert BASE_FIELDS[Authenticate] == ("token", "request_id")


def test_optional_base_fields_are_always_written() -> None:
    assert msgspec.json.encode(Ack("s", True)) == b'{"type":"ack","request_id":"s","success":true,"message":null}'


def test_extensions_are_written_only_when_set() -> None:
    written = msgspec.json.decode(msgspec.json.encode(Ack("s", True, cursor="e:1", snapshot_count=0)))
    assert written == {"type": "ack", "request_id": "s", "success": True, "message": None, "cursor": "e:1", "snapshot_count": 0}


def test_a_null_cursor_is_written() -> None:
    written = msgspec.json.decode(msgspec.json.encode(FeatureData("s", "{}", ChangeType.ADDED, cursor=None)))
    assert written["cursor"] is None
    assert "layer" not in written


def test_update_tells_absent_from_null() -> None:
    message = read('{"type":"update_subscription","subscription_id":"s","bbox":null,"crs":3857}')
    assert isinstance(message, UpdateSubscription)
    assert (message.bbox, message.crs, message.filter) == (None, 3857, UNSET)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("geometry", {"type": "Polygon", "coordinates": []}),
        ("center", (8.5, 47.4)),
        ("radius_m", 500),
        ("datetime", "../2018-08-01T05:00:00Z"),
        ("filter", "altitude > 1000"),
        ("filter", {"op": ">", "args": [{"property": "altitude"}, 1000]}),
        ("filter_lang", "cql2-json"),
        ("crs", 3857),
        ("crs", "EPSG:3857"),
        ("properties", ["callsign"]),
        ("max_rate", 0.5),
        ("max_rate", 2),
        ("snapshot", False),
        ("cursor", "e:1"),
        ("cursor", {"flights": "e:1"}),
        ("batch", True),
    ],
)
def test_subscribe_features_takes_the_extension(key: str, value: object) -> None:
    message = read(msgspec.json.encode({"type": "subscribe_features", "subscription_id": "s", key: value}).decode())
    assert getattr(message, key) == value


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Unsubscribe("s"), "s"),
        (Authenticate("t"), "authenticate"),
        (Authenticate("t", "a1"), "a1"),
        (ListSubscriptions("l1"), "l1"),
        (ListSubscriptions(), None),
        (Unsubscribe(""), ""),
        (Ping(1), None),
    ],
)
def test_reply_id_names_the_request(message: object, expected: str | None) -> None:
    assert reply_id(message) == expected  # type: ignore[arg-type]
