"""Patterns of names: they mean what they mean to Redis, and none takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.redis_data.glob import MAX_GLOB, Glob
from streaming.server.embedded_redis import RedisService

NAMES = (
    "a",
    "b",
    "ab",
    "abc",
    "aab",
    "a-b",
    "a]",
    "]",
    "[",
    "\\",
    "a\\",
    "a*",
    "*",
    "?",
    "^",
    "a^",
    "-",
    "a\nb",
    "c",
    "abcabc",
    "a]b",
    "[a",
)
PATTERNS = (
    *("*", "a*", "*b", "a*b", "*a*b*", "a?", "?", "??", "***", "a**b", "abc"),
    *("[ab]", "[^a]", "[a-c]", "[c-a]b", "[a-]", "[a-", "[abc", "[", "[^", "[]", "[^]", "[]a]", "a[]]", "[a]]", "[--a]", "[a-c-]"),
    *(r"\*", r"a\*", r"\\", "\\", "a\\", r"[\]]", r"[\^]", r"[^\]]", r"[a\-c]", "[\\", r"[\-a]", r"\[", "[^^]", "[a^]", "^", "*[b-]*"),
)


@pytest.fixture(scope="module")
def names_in_redis(redis_service: RedisService) -> None:
    client = sync_redis()
    client.flushall()
    client.mset(dict.fromkeys(NAMES, b""))


def matching_in_redis(glob: str) -> set[str]:
    return {name.decode() for name in sync_redis().keys(glob)}


@pytest.mark.parametrize("glob", PATTERNS)
def test_a_pattern_matches_what_it_matches_in_redis(names_in_redis: None, glob: str) -> None:
    assert {name for name in NAMES if Glob(glob).matches(name)} == matching_in_redis(glob)


@given(st.text("ab*?[]^-\\", min_size=1, max_size=8))
@example("[^\\")
def test_any_pattern_matches_what_it_matches_in_redis(names_in_redis: None, glob: str) -> None:
    assert {name for name in NAMES if Glob(glob).matches(name)} == matching_in_redis(glob)


def test_a_question_mark_is_one_character() -> None:
    assert Glob("pub:?").matches("pub:é") and Glob("[à-ü]").matches("é")


@pytest.mark.parametrize("glob", ["", "a" * (MAX_GLOB + 1)])
def test_a_pattern_of_no_or_too_much_text_is_refused(glob: str) -> None:
    with pytest.raises(StreamError) as refused:
        Glob(glob)
    assert refused.value.code == "bad_request"


def test_no_pattern_takes_long() -> None:
    glob = Glob("*a" * (MAX_GLOB // 2 - 1) + "*b")
    before = time.thread_time()
    assert not glob.matches("a" * 4000)
    assert time.thread_time() - before < 0.5
