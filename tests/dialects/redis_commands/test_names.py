"""Names: what may be read, and patterns that mean what they mean to Redis."""

from __future__ import annotations

import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import example, given
from hypothesis import strategies as st

from geostream.embedded_redis import RedisService
from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.dialects.redis_commands.names import MAX_GLOB, Glob, readable


@pytest.mark.parametrize(
    ("setting", "name", "allowed"),
    [
        ("pub:*", "pub:vehicles", True),
        ("pub:*", "pub:", True),
        ("pub:*", "pub", False),
        ("pub:*", "vehicles", False),
        ("pub:*", "xpub:a", False),
        (" stations , pub:* ", "stations", True),
        ("stations", "stations2", False),
        ("", "", False),
        ("", "a", False),
        (",", "", False),
        ("*", "anything at all", True),
        ("*", "asgi:group:geostream", False),
        ("*", "asgispecific.x!", False),
        ("*", "asgi__group__x", False),
        ("asgi:*", "asgi:group:x", False),
        ("geostream:ticket:1", "geostream:ticket:1", False),
        ("*", "geostream:nodes", False),
        ("*", ":1:django.contrib.sessions.cacheabc", False),
        ("pub:[a]*", "pub:a", False),
        ("pub:[a]*", "pub:[a]b", True),
    ],
)
def test_only_listed_names_may_be_read(setting: str, name: str, allowed: bool) -> None:
    assert readable(setting).allows(name) is allowed


def test_redis_is_asked_for_readable_beginnings_as_they_are() -> None:
    assert readable(r"a[b]*,c\?*,stations").patterns == (r"a\[b\]*", r"c\\\?*")


def test_redis_is_asked_once_for_beginnings_within_each_other() -> None:
    names = readable("pub:a:*,pub:*,pub:a:b*,pub:x,other")
    assert names.patterns == ("pub:*",) and names.exact == {"other"}


# -- what they need ------------------------------------------------------------

STAFF_ONLY = " pub:* , ops:* = fleet.view_ops, ops:open:*, ops:open:not=is_staff, staff=is_staff, ops:me=is_authenticated,a=b=is_staff"


@pytest.mark.parametrize(
    ("name", "need"),
    [
        ("pub:a", set()),
        ("ops:a", {"fleet.view_ops"}),
        ("ops:open:a", set()),
        ("ops:open:not", {"is_staff"}),
        ("ops:open:nothing", set()),
        ("ops:me", {"is_authenticated"}),
        ("ops:me2", {"fleet.view_ops"}),
        ("staff", {"is_staff"}),
        ("a=b", {"is_staff"}),
        ("a", None),
        ("staff=is_staff", None),
        ("ops:*=fleet.view_ops", {"fleet.view_ops"}),
    ],
)
def test_the_longest_entry_says_what_a_name_needs(name: str, need: set[str] | None) -> None:
    assert readable(STAFF_ONLY).need(name) == need


def test_a_name_is_for_those_who_have_what_it_needs() -> None:
    names = readable(STAFF_ONLY)
    assert not names.allows("ops:a") and not names.allows("ops:a", frozenset(["is_staff"]))
    assert names.allows("ops:a", frozenset(["is_staff", "fleet.view_ops"])) and names.allows("pub:a")


def test_no_permission_opens_what_is_never_readable() -> None:
    assert not readable("*=is_staff").allows("geostream:ticket:1", frozenset(["is_staff"]))


def test_all_that_is_needed_is_known() -> None:
    assert readable(STAFF_ONLY).needs == {"fleet.view_ops", "is_staff", "is_authenticated"}
    assert readable("pub:*,a").needs == frozenset()


def test_redis_is_asked_for_names_that_need_something_too() -> None:
    names = readable("pub:*,pub:staff=is_staff,pub:ops:*=fleet.view_ops,ops:*=fleet.view_ops,staff=is_staff")
    assert names.patterns == ("ops:*", "pub:*") and names.exact == {"staff"}


@pytest.mark.parametrize(
    "setting", ["a=", "=is_staff", "a=b", "a=staff", "a=.x", "a=fleet.", "a=is_staff x", "a,a=is_staff", "a*=x.y,a*=x.z"]
)
def test_a_mistake_opens_nothing(setting: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="GEOSTREAM_REDIS_READABLE"):
        readable(setting)


# -- patterns ------------------------------------------------------------------

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
