"""Values by name and by pattern."""

from __future__ import annotations

import pytest

from streaming.core.pattern_map import PatternMap, split_list, split_pair

MAP = PatternMap({"a:*": 1, "a:b:*": 2, "a:b:c": 3, "*": 0, "x": 4})


@pytest.mark.parametrize(
    ("name", "value"), [("a:b:c", 3), ("a:b:cd", 2), ("a:b:", 2), ("a:x", 1), ("a:b:*", 2), ("x", 4), ("xy", 0), ("", 0)]
)
def test_a_name_counts_more_than_the_longest_pattern_that_matches(name: str, value: int) -> None:
    assert MAP.get(name) == value


def test_without_a_match_there_is_no_value() -> None:
    assert PatternMap({"a": 1, "b*": 2}).get("ab") is None


def test_all_values_are_there() -> None:
    assert sorted(MAP.values()) == [0, 1, 2, 3, 4]


def test_a_list_has_no_empty_entries_and_no_space_around_them() -> None:
    assert split_list(" a , b c,, ,d") == ["a", "b c", "d"] and split_list("") == []


@pytest.mark.parametrize(("entry", "pair"), [("a=b", ("a", "b")), ("a = b = c", ("a = b", "c")), ("a", ("", "a")), ("=", ("", ""))])
def test_a_pair_ends_at_the_last_sign(entry: str, pair: tuple[str, str]) -> None:
    assert split_pair(entry) == pair
