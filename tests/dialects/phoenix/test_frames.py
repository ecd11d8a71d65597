"""Which frames of clients are read, and what becomes of those that are not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.dialects.phoenix.frames import MAX_DEPTH, Frame, FrameError, decode_v1, decode_v2
from streaming.dialects.phoenix.serializers import V1, V2, version_of
from tests.dialects.phoenix.vectors import CODEC, content, session

READABLE = [vector for vector in CODEC if "text" in vector or vector["dir"] == "client->server"]
SENT, THEN = session("invalid"), session("invalid")[1:]
CLOSED_FOR = [content(event, "send") for event, then in zip(SENT, THEN, strict=False) if then.get("closed") == 1011]

texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=63)
references = st.none() | names
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
)


def frame(payload: str, topic: str = '"t"') -> str:
    return f'["1","2",{topic},"e",{payload}]'


def refusal(data: str | bytes) -> str:
    with pytest.raises(FrameError) as caught:
        decode_v2(data)
    return str(caught.value)


def in_binary(join_ref: bytes, ref: bytes, topic: bytes, event: bytes, payload: bytes) -> bytes:
    fields = (join_ref, ref, topic, event)
    return bytes([0, *map(len, fields)]) + b"".join(fields) + payload


def strictly(text: bytes) -> Any:
    """As a parser reads it that takes neither NaN nor invalid UTF-8: ValueError."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(text.decode(), parse_constant=refuse)


@pytest.mark.parametrize("vector", READABLE, ids=lambda vector: str(vector["name"]))
def test_it_reads(vector: dict[str, Any]) -> None:
    found = version_of(vector["vsn"]).decode(content(vector, "text"))
    message = vector["message"]
    assert (found.topic, found.event) == (message["topic"], message["event"])
    assert (found.join_ref, found.ref) == (message["join_ref"] or None, message["ref"] or None)
    if found.binary:
        assert found.payload.hex() == message["payload_hex"]
    else:
        assert json.loads(found.payload) == message["payload"]


@pytest.mark.parametrize("sent", CLOSED_FOR, ids=repr)
def test_it_refuses_what_a_real_server_closes_for(sent: str | bytes) -> None:
    assert refusal(sent)


def test_the_recorded_session_has_bad_frames_of_both_kinds() -> None:
    assert {type(sent) for sent in CLOSED_FOR} == {str, bytes}


@pytest.mark.parametrize("payload", ['{"z": 1,  "a":12345678901234567890123}', '"\\u00e9\\/"', "[1.0, 1e3, -0]", "null", '{"a":1,"a":2}'])
def test_a_payload_stays_as_it_was_sent(payload: str) -> None:
    assert decode_v2(frame(f"  {payload} ")).payload == payload.encode()
    assert decode_v1(f'{{"payload":{payload},"topic":"t","event":"e","ref":null}}').payload == payload.encode()


def test_elements_after_the_fifth_are_ignored() -> None:
    assert decode_v2('["1","2","t","e",{},"more",[]]') == Frame("1", "2", "t", "e", b"{}", False)


@pytest.mark.parametrize("key", ["topic", "event", "payload", "ref"])
def test_version_1_needs_each_of_its_keys(key: str) -> None:
    fields = {"topic": "t", "event": "e", "payload": {}, "ref": "1"}
    del fields[key]
    with pytest.raises(FrameError, match=key):
        decode_v1(json.dumps(fields))


def test_version_1_reads_json_in_a_binary_message() -> None:
    assert decode_v1('{"topic":"é","event":"e","payload":[],"ref":"1"}'.encode()) == Frame(None, "1", "é", "e", b"[]", False)


@pytest.mark.parametrize(
    "data", [b'{"topic":"t","event":"e","payload":"\xff","ref":"1"}', '["1","1","t","e",{}]', "", b"", b"\0\0\0\1\1te"]
)
def test_version_1_refuses(data: str | bytes) -> None:
    with pytest.raises(FrameError):
        decode_v1(data)


@pytest.mark.parametrize("value", ["5", "1.5", "true", '{"a":[null]}', "[]", "123456789012345678901234567890"])
def test_names_and_references_of_other_types_can_be_given_back(value: str) -> None:
    found = decode_v2(f"[{value},{value},{value},{value},{{}}]")
    assert json.loads(V2.reply(found.join_ref, found.ref, found.topic, "error", b"{}"))[:3] == [json.loads(value)] * 3
    assert found.event == json.loads(value)


@pytest.mark.parametrize("reference", ["x" * 256, "é" * 128, ["x" * 253]], ids=["ASCII", "two bytes each", "other JSON"])
@pytest.mark.parametrize("place", [0, 1])
def test_references_must_fit_into_binary_frames(reference: Any, place: int) -> None:
    fields = ["1", "2", "t", "e", {}]
    fields[place] = reference
    assert "255" in refusal(json.dumps(fields))


def test_references_may_have_255_bytes() -> None:
    assert decode_v2(json.dumps(["x" * 255, "é" * 127, "t", "e", {}]))[:2] == ("x" * 255, "é" * 127)


@pytest.mark.parametrize(
    "payload",
    ["NaN", "[-Infinity]", '"\\x"', '"\\u12"', '"\\ud800"', '"\ud800"', "01", "1.", "{,}", '{"a":1,}', "[1 2]", "'a'", '"\n"', "{a:1}", ""],
    ids=ascii,
)
def test_a_payload_must_be_valid_json(payload: str) -> None:
    assert "cannot be read" in refusal(frame(payload))


def test_what_follows_the_frame_must_be_nothing() -> None:
    assert refusal(frame("{}") + "x")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["arrays", "objects"])
def test_nesting_is_bounded(opening: str, closing: str) -> None:
    def nested(levels: int) -> str:
        return opening * levels + "1" + closing * levels

    assert decode_v2(frame(nested(MAX_DEPTH))).payload == nested(MAX_DEPTH).encode()
    for levels in (MAX_DEPTH + 1, 300, 100_000):
        assert "deep" in refusal(frame(nested(levels)))
        assert "deep" in refusal(frame("{}", topic=nested(levels)))


def test_brackets_in_texts_are_no_nesting() -> None:
    payload = json.dumps(["[" * 1000, '\\"[[' * 1000])
    assert decode_v2(frame(payload)).payload == payload.encode()


def test_long_payloads_may_have_many_arrays() -> None:
    payload = json.dumps([[0, 1]] * 1000)
    assert decode_v2(frame(payload)).payload == payload.encode()


def test_topics_of_old_clients_are_latin_1() -> None:
    assert decode_v2(in_binary(b"1", b"2", "café".encode("latin-1"), b"\xff", b""))[2:4] == ("café", "ÿ")


def test_references_in_binary_frames_are_utf_8() -> None:
    assert "UTF-8" in refusal(in_binary(b"1", b"\xe9", b"t", b"e", b""))


@pytest.mark.parametrize("length", range(5 + 1 + 1 + 2 + 3))
def test_a_binary_frame_cut_anywhere_before_its_payload_is_refused(length: int) -> None:
    whole = in_binary(b"1", b"2", b"to", b"eve", b"payload")
    assert refusal(whole[:length])


@pytest.mark.parametrize("kind", [1, 2, 3, 0x5B, 0xFF])
def test_clients_send_binary_frames_of_kind_0_only(kind: int) -> None:
    assert "kind 0" in refusal(bytes([kind]) + in_binary(b"1", b"2", b"t", b"e", b"")[1:])


@pytest.mark.parametrize("vsn", [None, "1.0.0", "1.0.7", "1.0.10"])
def test_versions_1_0_are_version_1(vsn: str | None) -> None:
    assert version_of(vsn) is V1


@pytest.mark.parametrize("vsn", ["2.0.0", "2.0.1", "2.0.19"])
def test_versions_2_0_are_version_2(vsn: str) -> None:
    assert version_of(vsn) is V2


@pytest.mark.parametrize(
    "vsn", ["", "abc", "2", "2.0", "2.1.0", "1.1.0", "3.0.0", "0.9.0", "2.0.00", "2.0.0 ", "2.0.0\n", "2.0.٣", "v2.0.0"]
)
def test_there_are_no_other_versions(vsn: str) -> None:
    with pytest.raises(FrameError, match="vsn"):
        version_of(vsn)


@given(references, references, texts, texts, values, st.sampled_from([None, 1]))
def test_what_is_written_as_json_is_read(
    join_ref: str | None, ref: str | None, topic: str, event: str, payload: Any, indent: int | None
) -> None:
    text = json.dumps(payload, indent=indent)
    sent = Frame(join_ref, ref, topic, event, text.encode(), False)
    assert decode_v2(f"{json.dumps([join_ref, ref, topic, event])[:-1]},{text}]") == sent
    others = json.dumps({"join_ref": join_ref, "ref": ref, "topic": topic, "event": event})
    assert decode_v1(f'{{"payload":{text},{others[1:]}') == sent


@given(references, references, names, names, st.binary())
def test_what_is_written_as_binary_is_read(join_ref: str | None, ref: str | None, topic: str, event: str, payload: bytes) -> None:
    data = in_binary(*((field or "").encode() for field in (join_ref, ref, topic, event)), payload)
    assert decode_v2(data) == Frame(join_ref or None, ref or None, topic, event, payload, True)


@given(
    st.text(st.sampled_from('[]{}",:\\ue0019-nul \ud800é')) | st.text() | st.binary() | st.binary().map(lambda more: b"\0\1\1\1\1" + more)
)
def test_nothing_else_happens_to_any_data_than_a_frame_or_a_refusal(data: str | bytes) -> None:
    for serializer in (V1, V2):
        try:
            found = serializer.decode(data)
        except FrameError:
            continue
        assert found.binary == (isinstance(data, bytes) and serializer is V2)
        if not found.binary:
            strictly(found.payload)


@given(st.text(st.sampled_from('[]{}",:\\ue0019-.aEfnrtl \ud800é'), max_size=30))
def test_a_payload_that_is_accepted_is_json_for_everybody(payload: str) -> None:
    try:
        found = decode_v2(frame(payload))
    except FrameError:
        return
    strictly(found.payload)


@pytest.mark.parametrize("place", range(4))
def test_what_is_decoded_of_a_frame_is_short(place: int) -> None:
    fields = ['"1"', '"2"', '"t"', '"e"', "{}"]
    fields[place] = "[" + ",".join(["1e308"] * 1000) + "]"
    with pytest.raises(FrameError, match="6001 bytes; 4096"):
        decode_v2(f"[{','.join(fields)}]")
