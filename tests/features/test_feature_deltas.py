"""Deltas of features as merge patches."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.merge_patch import merged
from streaming.features import feature_deltas
from streaming.features.feature_deltas import delta_of, merge_patch

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 0.5, "null", "a", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


@given(OBJECTS, OBJECTS)
def test_a_patch_makes_exactly_the_new_version(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = merge_patch(canonical(old), canonical(new))
    if patch is not None:
        assert canonical(merged(old, json.loads(patch))) == canonical(new)
    else:
        assert b"null" in canonical(new)


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"p": {"a": 1, "b": 2}}, {"p": {"a": 1, "b": 3}}, {"p": {"b": 3}}),
        ({"p": {"a": 1, "b": 2}}, {"p": {"a": 1}}, {"p": {"b": None}}),
        ({"p": {"a": None, "b": 2}}, {"p": {"a": None, "b": 3}}, {"p": {"b": 3}}),
        ({"g": {"type": "Point", "coordinates": [1, 2]}}, {"g": {"type": "Point", "coordinates": [1, 3]}}, {"g": {"coordinates": [1, 3]}}),
        ({"a": 1}, {"a": True}, {"a": True}),
        ({"a": [1]}, {"a": [None]}, {"a": [None]}),
        ({"a": 1}, {"a": 1}, {}),
    ],
)
def test_only_what_has_changed_is_in_it(old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]) -> None:
    made = merge_patch(canonical(old), canonical(new))
    assert made is not None
    assert json.loads(made) == patch


@pytest.mark.parametrize("new", [{"a": None}, {"a": {"b": None}}, {"a": {"b": {"c": None}}}])
def test_a_null_that_is_new_cannot_be_said(new: dict[str, Any]) -> None:
    assert merge_patch(b'{"a":1}', canonical(new)) is None
    assert merge_patch(b'{"a":{"b":1}}', canonical(new)) is None


def test_a_patch_that_is_no_shorter_is_none() -> None:
    delta = delta_of(b'{"a":1,"b":2}', b'{"a":2,"b":2}')
    assert delta.patch is None
    assert delta.version != delta.base_version


def test_very_large_features_are_not_compared() -> None:
    half = feature_deltas.MOST_BYTES // 2
    assert delta_of(canonical({"a": 1, "text": "x" * (half - 100)}), canonical({"a": 2, "text": "x" * (half - 100)})).patch is not None
    assert delta_of(canonical({"a": 1, "text": "x" * half}), canonical({"a": 2, "text": "x" * half})).patch is None


def test_a_patch_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = canonical({"a": 1, "text": "x" * 300}), canonical({"a": 2, "text": "x" * 300})
    first = delta_of(old, new)
    monkeypatch.setattr(feature_deltas, "merge_patch", lambda *_: pytest.fail("made again"))
    assert delta_of(old, bytes(bytearray(new))) is first
    assert first.patch == b'{"a":2}'
