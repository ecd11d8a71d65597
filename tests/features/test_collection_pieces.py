"""Large collections are read in pieces, and come out as if they had been read in one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.core.errors import StreamError
from streaming.features import collection_pieces, splitting
from streaming.features.splitting import split_features
from tests.profiles import examples

texts = st.text(st.sampled_from('[]{},:"\\ aé\n'), max_size=8)
members = st.dictionaries(texts, st.recursive(st.integers() | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=3)
features = st.builds(
    lambda number, properties: {"type": "Feature", "id": number, "geometry": None, "properties": properties}, st.integers(0, 99), members
)
collections = st.builds(
    lambda before, some, after: {**before, "type": "FeatureCollection", "features": some, **after},
    members,
    st.lists(features, max_size=8),
    members,
)


def outcome(body: bytes) -> Any:
    try:
        return list(split_features(body))
    except StreamError as error:
        return error.code


def outcomes(body: bytes) -> tuple[Any, Any]:
    """As a whole, and in the smallest pieces."""
    whole = outcome(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "WHOLE_BYTES", 0)
        patch.setattr(collection_pieces, "PIECE", 1)
        patch.setattr(collection_pieces, "BLOCK", 7)
        return whole, outcome(body)


@settings(max_examples=examples(100, long=800))
@given(collections, st.sampled_from([None, 1]), st.booleans(), st.integers(0, 200))
def test_pieces_come_to_the_same(collection: dict[str, Any], indent: int | None, escaped: bool, cut: int) -> None:
    text = json.dumps(collection, indent=indent, ensure_ascii=escaped).encode()
    for body in (text, text[:-cut] if cut else text, text.replace(b'"features"', b'"features" ', 1)):
        whole, pieces = outcomes(body)
        assert pieces == whole


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"type":"FeatureCollection","features":null}',
        b'{"type":"FeatureCollection","features":{}}',
        b'{"type":"FeatureCollection","features":[1,,2]}',
        b'{"type":"FeatureCollection","features":[1,2,]}',
        b'{"type":"FeatureCollection","features":[,]}',
        b'{"type":"FeatureCollection","features":[{},{}],"features":[{"a":1}]}',
        b'{"a":{"features":[1]},"type":"FeatureCollection","features":[{},{}]}',
        b'{"type":"FeatureCollection","a":"\\"features\\":[","features":[{},{}]}',
        b'{"type":"FeatureCollection","features":[{},{}]} x',
        b'{"type":"Feature","features":[{},{}],"geometry":null}',
        b'{"type":"FeatureCollection","features":[{"a":NaN},{"b":1}]}',
        b'{"type":"FeatureCollection","features":[{"a":"\\ud83d"},{"b":1}]}',
        b'\xef\xbb\xbf // a comment\n{"type":"FeatureCollection","features":[{"a":[1,2]},{"b":"]"}]}',
        b'{"type":"FeatureCollection","features":[[1,2],{"b":1},"x,y",[[3]]]}',
        b'{"type":"FeatureCollection","features":[{"a":1]}',
        b'{"type":"FeatureCollection","features":[{"a":1}}',
    ],
)
def test_odd_documents_come_to_the_same(body: bytes) -> None:
    whole, pieces = outcomes(body)
    assert pieces == whole


def test_no_piece_is_large() -> None:
    features = [{"type": "Feature", "id": number, "geometry": None, "properties": {"n": "x" * 100}} for number in range(10_000)]
    body = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    pieces = collection_pieces.cut_collection(body)
    assert pieces is not None and len(pieces.features) > 5
    assert max(map(len, pieces.features)) < collection_pieces.PIECE + 500
    assert len(list(split_features(body))) == 10_000
