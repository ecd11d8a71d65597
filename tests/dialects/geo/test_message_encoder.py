"""The bytes of messages, in every encoding, and that the fast paths write the same ones."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.dialects.geo.codec import JSON_TEXT, Encoding, encode, event_bytes, feature_data_bytes, is_text
from streaming.dialects.geo.messages import Ack, ChangeType, Compression, Event, EventType, FeatureData, MessageFormat
from tests.dialects.geo.vectors import MAP, MESSAGES, POSITIONAL, read

ENCODINGS = [
    Encoding.of(format, compression, positional=positional, stored_zstd=stored)
    for format, compression, positional, stored in itertools.product(MessageFormat, Compression, (False, True), (False, True))
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


def _name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", MESSAGES, ids=_name)
def test_bytes_are_those_of_the_rust_implementation(vector: dict[str, Any]) -> None:
    message = read(vector["json"])
    stored = Encoding.of(MessageFormat.BINARY, Compression.ZSTD, positional=True, stored_zstd=True)
    assert encode(message, JSON_TEXT).decode() == vector["json"]
    assert encode(message, MAP).hex() == vector["msgpack_map_hex"]
    assert encode(message, POSITIONAL).hex() == vector["msgpack_rmp_hex"]
    assert encode(message, stored).hex() == vector["rmp_zstd_stored_hex"]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=repr)
def test_what_is_written_can_be_read(encoding: Encoding) -> None:
    for vector in MESSAGES:
        message = read(vector["json"])
        assert read(encode(message, encoding)) == message


def test_positional_peers_get_no_extensions() -> None:
    assert encode(Ack("s", True, None, cursor="e:1", code="x"), POSITIONAL) == encode(Ack("s", True), POSITIONAL)


def test_only_uncompressed_json_is_text() -> None:
    assert [encoding for encoding in set(ENCODINGS) if is_text(encoding)] == [JSON_TEXT]


def test_encodings_that_write_the_same_bytes_are_equal() -> None:
    assert Encoding.of(MessageFormat.BINARY, Compression.NONE, stored_zstd=True) == MAP
    assert Encoding.of(MessageFormat.JSON, Compression.NONE, positional=True) == JSON_TEXT


def test_integers_beyond_64_bits_become_texts_in_message_pack() -> None:
    message = Event("s", EventType.CUSTOM, {"n": [1 << 64, -(1 << 63), 10**400]}, "t")
    read_back = read(encode(message, MAP))
    assert isinstance(read_back, Event)
    assert read_back.payload == {"n": [str(1 << 64), -(1 << 63), str(10**400)]}


@given(
    st.sampled_from(sorted(set(ENCODINGS), key=repr)),
    TEXT,
    TEXT,
    st.sampled_from(ChangeType),
    TEXT | st.none(),
    st.integers(-(1 << 63), (1 << 64) - 1) | TEXT | st.none(),
    TEXT | st.none(),
    st.sampled_from(["left_view", "expired", "deleted", None]),
)
def test_feature_data_bytes_equals_encode(
    encoding: Encoding,
    subscription_id: str,
    geojson: str,
    change_type: ChangeType,
    layer: str | None,
    feature_id: int | str | None,
    cursor: str | None,
    reason: str | None,
) -> None:
    id_json = None if feature_id is None else msgspec.json.encode(feature_id)
    fast = feature_data_bytes(encoding, subscription_id, geojson.encode(), change_type, layer, id_json, cursor, reason)
    assert fast == encode(FeatureData(subscription_id, geojson, change_type, layer, feature_id, cursor, reason), encoding)


@given(
    st.sampled_from(sorted(set(ENCODINGS), key=repr)),
    TEXT,
    st.sampled_from(EventType),
    JSON,
    TEXT,
    TEXT | st.none(),
    st.integers(0, 1 << 40) | st.none(),
)
def test_event_bytes_equals_encode(
    encoding: Encoding, subscription_id: str, event_type: EventType, payload: Any, timestamp: str, cursor: str | None, gap: int | None
) -> None:
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    canonical = msgspec.json.encode(msgspec.json.decode(text))
    fast = event_bytes(encoding, subscription_id, event_type, canonical, timestamp, cursor, gap)
    assert fast == encode(Event(subscription_id, event_type, msgspec.json.decode(canonical), timestamp, cursor, gap), encoding)
