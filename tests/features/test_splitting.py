"""Bodies and streams cut into features: nothing lost, nothing merged, one bad record costs one record."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.errors import StreamError
from streaming.features.splitting import LineSplitter, split_features, split_lines


def cut(*chunks: bytes, max_line: int = 1000) -> list[bytes | str]:
    return [record.code if isinstance(record, StreamError) else record for records in split_lines(chunks, max_line) for record in records]


def test_a_feature_is_its_own_only_record() -> None:
    assert list(split_features(b'{"type":"Feature", "id":1}')) == [b'{"type":"Feature", "id":1}']


def test_the_features_of_a_collection_come_undecoded_even_if_one_is_bad() -> None:
    body = b'{"type":"FeatureCollection","features":[{"id":1}, 7,{"id":1e999}],"name":"x"}'
    assert list(split_features(body)) == [b'{"id":1}', b"7", b'{"id":1e999}']
    assert list(split_features(b'{"features":[],"type":"FeatureCollection"}')) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"type":"Point"}', b'{"type":"FeatureCollection"}', b'{"type":"FeatureCollection","features":null}',
     b'{"type":"FeatureCollection","features":{}}', b'{"type":"FeatureCollection","features":[}', b'{"type":7}', b"\xff", b"[" * 5000],
)  # fmt: skip
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(StreamError) as caught:
        split_features(body)
    assert caught.value.code == "invalid_feature"


def test_a_list_of_features_is_a_collection() -> None:
    assert list(split_features(b' [{"id":1}, 7]')) == [b'{"id":1}', b"7"]
    assert list(split_features(b"[]")) == []
    assert list(split_features(b'[{"id":NaN}]')) == [b'{"id":NaN}']


@pytest.mark.parametrize(
    "before", [b"\xef\xbb\xbf", b"\xef\xbb\xbf \n", b"// made by a program\n", b"# one\n  # two\r\n\n", b"\xef\xbb\xbf//x\n"]
)
def test_what_programs_write_before_a_document_is_skipped(before: bytes) -> None:
    body = b'{"type":"FeatureCollection","features":[{"id":1}]}'
    assert list(split_features(before + body)) == [b'{"id":1}']


@pytest.mark.parametrize("kind", ["Point", "MultiPolygon", "GeometryCollection"])
def test_a_bare_geometry_is_refused_with_what_to_do(kind: str) -> None:
    for body in (f'{{"type":"{kind}","coordinates":[1,2]}}', f' {{"coordinates":[1,2],"type":"{kind}"}}'):
        with pytest.raises(StreamError) as caught:
            split_features(body.encode())
        assert f"a bare {kind} has no id" in caught.value.message


def test_a_line_may_hold_a_collection() -> None:
    collection = b'{"type":"FeatureCollection","features":[{"id":1},{"id":2}]}'
    assert cut(collection + b"\n" + b'{"id":3}\n[{"id":4}]\n') == [b'{"id":1}', b'{"id":2}', b'{"id":3}', b'{"id":4}']
    assert cut(b'{"type":"FeatureCollection"}\n{"id":3}') == ["invalid_feature", b'{"id":3}']
    assert cut(b'{"type":"Feature","id":1,"properties":{"a":"\\"FeatureCollection\\""}}')[0][:1] == b"{"
    assert cut(b'{"type":"Feature","id":"FeatureCollection"}') == [b'{"type":"Feature","id":"FeatureCollection"}']


def test_lines_are_cut_wherever_the_chunks_end() -> None:
    assert cut(b'{"a":1}\n{"b"', b":2}", b'\r\n\n  \n{"c":3}') == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_a_text_sequence_may_hold_line_breaks() -> None:
    assert cut(b'\x1e{\n"a":1}\n\x1e', b'\x1e{"b":\n2}\n') == [b'{\n"a":1}', b'{"b":\n2}']


def test_a_byte_order_mark_is_skipped() -> None:
    assert cut(b"\xef", b"\xbb\xbf1\n2") == [b"1", b"2"]
    assert cut(b"\xef\xbb\xbf\x1e1\n\x1e2") == [b"1", b"2"]


@pytest.mark.parametrize("chunks", [[], [b""], [b"\n \r\n"], [b"\x1e\x1e\n"], [b" ", b"\n"]])
def test_nothing_but_blanks_is_no_record(chunks: list[bytes]) -> None:
    assert cut(*chunks) == []


def test_too_long_a_record_is_refused_in_its_place() -> None:
    assert cut(b"1\n" + b"x" * 11 + b"\n2\n", max_line=10) == [b"1", "too_large", b"2"]
    assert cut(b"1\n", *[b"x"] * 50, b"\n2", max_line=10) == [b"1", "too_large", b"2"]
    assert cut(b"1\n", b"x" * 11, max_line=10) == [b"1", "too_large"]


def test_of_too_long_a_record_no_more_than_the_limit_is_held() -> None:
    splitter = LineSplitter(100)
    for _ in range(1000):
        assert splitter.feed(b"x" * 64) == []
        assert len(splitter._pending) <= 100


def pieces(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


records = st.lists(st.binary(max_size=12).filter(lambda line: not set(line) & set(b"\n\x1e")), max_size=8)


@given(records, st.lists(st.integers(0, 10_000), max_size=6), st.sampled_from([b"\n", b"\x1e"]))
def test_where_the_chunks_end_makes_no_difference(lines: list[bytes], cuts: list[int], separator: bytes) -> None:
    body = (b"\x1e" if separator == b"\x1e" else b"") + separator.join(lines)
    assert cut(*pieces(body, cuts), max_line=8) == cut(body, max_line=8)
