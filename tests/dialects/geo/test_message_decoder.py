"""Which frames are messages, and what becomes of those that are not."""

from __future__ import annotations

import json
import math
import tracemalloc
from contextlib import suppress
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.dialects.geo import zstd
from streaming.dialects.geo.codec import JSON_TEXT, DecodeError, decode, encode
from streaming.dialects.geo.errors import MAX_DEPTH
from streaming.dialects.geo.messages import Compression, Event, Ping, SubscribeTiles, TileData
from tests.dialects.geo.vectors import CASES, MAP, MESSAGES, POSITIONAL, decoded, read

# Accepted here although the Rust implementation refuses it: bytes as MessagePack binary are what every other language's library writes.
EXTENDED = {"tile data as bin", "tile data as bin, array form"}


def _frame(case: dict[str, Any]) -> bytes | str:
    return str(case["text"]) if case["format"] == "json" else bytes.fromhex(case["hex"])


def _name(case: dict[str, Any]) -> str:
    return f"{case['format']}: {case['label']}"


def _refused(frame: bytes | str) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        read(frame)
    return caught.value


@pytest.mark.parametrize("case", [case for case in CASES if case["accepted"]], ids=_name)
def test_it_accepts(case: dict[str, Any]) -> None:
    assert json.loads(encode(read(_frame(case)), JSON_TEXT)) == json.loads(case["decoded_json"])


@pytest.mark.parametrize("case", [case for case in CASES if not case["accepted"] and case["label"] not in EXTENDED], ids=_name)
def test_it_refuses(case: dict[str, Any]) -> None:
    assert _refused(_frame(case)).code in {"bad_frame", "bad_request", "unsupported_type"}


@pytest.mark.parametrize("case", [case for case in CASES if case["label"] in EXTENDED], ids=_name)
def test_it_takes_tile_data_as_binary(case: dict[str, Any]) -> None:
    message = read(_frame(case))
    assert isinstance(message, TileData)
    assert message.content == b"\1\2"


@pytest.mark.parametrize(
    ("form", "encoding"),
    [("json", JSON_TEXT), ("msgpack_map_hex", MAP), ("msgpack_rmp_hex", POSITIONAL)],
    ids=["json", "map", "positional"],
)
def test_it_recognises_the_encoding(form: str, encoding: object) -> None:
    for vector in MESSAGES:
        raw = vector[form] if form == "json" else bytes.fromhex(vector[form])
        assert decoded(raw)[1] == encoding, vector["name"]


@pytest.mark.parametrize("form", ["rmp_zstd_stored_hex", "rmp_zstd_oxiarc_hex"])
def test_it_unwraps_frames_of_rust_peers(form: str) -> None:
    for vector in MESSAGES:
        message, encoding = decoded(bytes.fromhex(vector[form]))
        assert message == read(vector["json"])
        assert encoding.positional and encoding.compression is Compression.ZSTD, vector["name"]
        assert encoding.stored_zstd == (form == "rmp_zstd_oxiarc_hex"), vector["name"]


def test_json_in_a_binary_frame_is_json() -> None:
    assert decoded(b'{"type":"ping","id":1}') == (Ping(1), JSON_TEXT)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "bad_frame"),
        ("hello", "bad_frame"),
        (b"\x00\x01", "bad_frame"),
        ("{", "bad_frame"),
        (b'{"type":"ping","id":1,"x":"\xff"}', "bad_frame"),
        ('{"id":1}', "bad_request"),
        ('{"type":"nonsense"}', "unsupported_type"),
        (b"\x90", "bad_request"),
        (b"\x80", "bad_request"),
        (b"\x92\x0d\x01", "bad_request"),
        (b"\x92\xc3\x01", "bad_request"),
        (b"\x28\xb5\x2f\xfd", "bad_frame"),
    ],
)
def test_the_code_says_how_far_it_was_understood(frame: bytes | str, code: str) -> None:
    assert _refused(frame).code == code


def test_a_refusal_says_what_is_wrong_where() -> None:
    error = _refused('{"type":"subscribe_features","subscription_id":"s","bbox":[1,2,3]}')
    assert error.message == "`subscribe_features`: Expected `array` of length 4, got 3 - at `$.bbox`"


@pytest.mark.parametrize(
    ("frame", "request_id"),
    [
        ('{"type":"subscribe_features","subscription_id":"s","bbox":1}', "s"),
        ('{"type":"subscribe_sounds","subscription_id":"s"}', "s"),
        ('{"type":"authenticate","request_id":"a"}', "a"),
        ('{"type":"authenticate"}', "authenticate"),
        ('{"type":"unsubscribe","subscription_id":7}', None),
        (msgpack.packb(["subscribe_features", "s", 1, None, None]), "s"),
        (msgpack.packb(["subscribe_features", "s"]), "s"),
        (msgpack.packb({"type": "subscribe_features", "subscription_id": "s", "geometry": {"x": b"\x00"}, "bbox": 1}), "s"),
    ],
)
def test_a_refusal_names_the_request(frame: bytes | str, request_id: str | None) -> None:
    assert _refused(frame).request_id == request_id


def test_a_refusal_tells_the_encoding_to_answer_in() -> None:
    assert _refused(msgpack.packb(["nonsense"])).encoding == POSITIONAL
    assert _refused("hello").encoding is None


def test_a_frame_over_the_limit_is_too_large() -> None:
    with pytest.raises(DecodeError, match="larger than 20 bytes") as caught:
        decode('{"type":"ping","id":1}', max_size=20, max_decompressed=100)
    assert caught.value.code == "too_large"


def test_the_limit_counts_bytes_not_characters() -> None:
    with pytest.raises(DecodeError, match="larger than 60 bytes"):
        decode('{"type":"unsubscribe","subscription_id":"éééééééééé"}', max_size=60, max_decompressed=100)


def test_decompressed_content_over_the_limit_is_too_large() -> None:
    frame = zstd.compress(b'{"type":"unsubscribe","subscription_id":"' + b"a" * 5000 + b'"}')
    with pytest.raises(DecodeError) as caught:
        decode(frame, max_size=1000, max_decompressed=1000)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("pack", [msgspec.json.encode, msgspec.msgpack.encode], ids=["json", "msgpack"])
def test_nesting_is_bounded(pack: Any) -> None:
    def event(levels: int) -> bytes:
        payload: list[Any] = []
        for _ in range(levels - 1):
            payload = [payload]
        return bytes(pack({"type": "event", "subscription_id": "s", "event_type": "custom", "payload": payload, "timestamp": "t"}))

    assert isinstance(read(event(MAX_DEPTH)), Event)
    assert "nested" in _refused(event(MAX_DEPTH + 1)).message


@pytest.mark.parametrize("frame", [b'{"a":' * 100_000, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"\x91" * 100_000], ids=repr)
def test_endless_nesting_is_refused(frame: bytes) -> None:
    assert _refused(frame).code in {"bad_frame", "too_large"}


def test_brackets_in_strings_are_not_nesting() -> None:
    assert read(json.dumps({"type": "unsubscribe", "subscription_id": '[{\\"' * 500})) is not None


def test_promised_elements_cost_nothing() -> None:
    frame = b"\xdd\x00\x0f\xff\xff" * 1000 + b"\x00" * 1_000_000
    tracemalloc.start()
    try:
        _refused(frame)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"ping","id":1,"x":[' + b"[]," * 340_000 + b"[]]}",
        msgpack.packb({"type": "ping", "id": 1, "x": [[]] * 1_000_000}),
        msgpack.packb({"type": "ping", "id": 1, "x": [{}] * 1_000_000}),
        msgpack.packb({"type": "ping", "id": 1, "x": [0] * 1_000_000}),
        msgpack.packb({"type": "ping", "id": 1, "x": [[0] * 20_000] * 50}),
    ],
    ids=["JSON", "arrays", "maps", "numbers", "numbers in arrays"],
)
def test_a_million_parts_in_a_few_bytes_are_refused(message: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(zstd.compress(message), max_size=1 << 19, max_decompressed=1 << 20)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("pack", [msgspec.json.encode, msgpack.packb], ids=["json", "msgpack"])
def test_a_polygon_of_ten_thousand_vertices_is_not_too_much(pack: Any) -> None:
    ring = [[math.sin(i) * 170, math.cos(i) * 80] for i in range(10_000)]
    message = {"type": "subscribe_features", "subscription_id": "s", "layer": None, "bbox": None, "filters": None}
    frame = pack(message | {"geometry": {"type": "Polygon", "coordinates": [ring]}})
    assert decode(frame, max_size=1 << 19, max_decompressed=1 << 20)[0] is not None


def test_non_finite_numbers_are_refused() -> None:
    assert _refused(msgpack.packb(["subscribe_features", "s", [0.0, 0.0, float("inf"), 1.0], None, None])).code == "bad_request"


def test_pairs_are_a_zoom_range() -> None:
    message = read('{"type":"subscribe_tiles","subscription_id":"s","bbox":[0,1,2,3],"zoom_range":[1,3]}')
    assert isinstance(message, SubscribeTiles)
    assert (message.zoom_range.start, message.zoom_range.end) == (1, 3)


@given(st.binary(max_size=200) | st.text(max_size=100))
def test_garbage_is_only_ever_refused(frame: bytes | str) -> None:
    with suppress(DecodeError):
        read(frame)


_RAW = [vector["json"].encode() for vector in MESSAGES] + [
    bytes.fromhex(vector[form]) for vector in MESSAGES for form in ("msgpack_map_hex", "msgpack_rmp_hex", "rmp_zstd_oxiarc_hex")
]


@given(st.sampled_from(_RAW), st.data())
def test_damaged_messages_are_only_ever_refused(frame: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(frame) - 1))
    damaged = frame[:at] + data.draw(st.binary(max_size=4)) + frame[at + data.draw(st.integers(0, 4)) :]
    try:
        message, encoding = decoded(damaged)
    except DecodeError:
        return
    encode(message, encoding)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_TAGS = ["subscribe_features", "subscribe_tiles", "event", "ping", "tile_data"]
_KEYS = ["subscription_id", "bbox", "filters", "filter", "crs", "max_rate", "cursor", "zoom_range", "payload", "event_types", "data", "id"]


@given(
    st.sampled_from(["subscribe_features", "subscribe_tiles", "event", "ping", "tile_data"]),
    st.dictionaries(st.sampled_from(_KEYS), _VALUES),
)
def test_wrong_values_are_only_ever_refused(tag: str, fields: dict[str, Any]) -> None:
    try:
        read(msgpack.packb({"type": tag} | fields))
    except DecodeError as error:
        assert error.code in {"bad_frame", "bad_request"}
