"""How deep JSON text goes."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.json_depth import exceeds_depth, most_values

values = st.recursive(
    st.integers() | st.text(st.sampled_from('[]{}"\\ a')),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from('[{"\\')), inner, max_size=3),
)


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


@pytest.mark.parametrize(("text", "levels"), [(b"1", 0), (b"[]", 1), (b'[{"a":[]},[]]', 3), (b'"[[["', 0), (rb'["\"[[", "\\"]', 1)])
def test_it_counts_levels(text: bytes, levels: int) -> None:
    assert not exceeds_depth(text, levels)
    assert exceeds_depth(text, levels - 1)


@pytest.mark.parametrize(("text", "levels"), [(b'[{"a":[]},[]]', 3), (rb'["\"[[", "\\"]', 1)])
def test_it_counts_the_same_without_numpy(monkeypatch: pytest.MonkeyPatch, text: bytes, levels: int) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert not exceeds_depth(text, levels)
    assert exceeds_depth(text, levels - 1)


@given(values)
def test_it_agrees_with_what_is_decoded(value: Any) -> None:
    text = json.dumps(value).encode()
    assert not exceeds_depth(text, depth(value))
    assert depth(value) == 0 or exceeds_depth(text, depth(value) - 1)


def count(value: Any) -> int:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, members))


@given(values)
def test_there_are_never_more_values_than_are_counted(value: Any) -> None:
    assert count(value) <= most_values(json.dumps(value).encode())
