"""Readable names: which they are, and what they need."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from streaming.redis_data.names import readable_names


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
    assert readable_names(setting).allows(name) is allowed


def test_redis_is_asked_for_readable_beginnings_as_they_are() -> None:
    assert readable_names(r"a[b]*,c\?*,stations").patterns == (r"a\[b\]*", r"c\\\?*")


def test_redis_is_asked_once_for_beginnings_within_each_other() -> None:
    names = readable_names("pub:a:*,pub:*,pub:a:b*,pub:x,other")
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
    assert readable_names(STAFF_ONLY).needed(name) == need


def test_a_name_is_for_those_who_have_what_it_needs() -> None:
    names = readable_names(STAFF_ONLY)
    assert not names.allows("ops:a") and not names.allows("ops:a", frozenset(["is_staff"]))
    assert names.allows("ops:a", frozenset(["is_staff", "fleet.view_ops"])) and names.allows("pub:a")


def test_no_permission_opens_what_is_never_readable() -> None:
    assert not readable_names("*=is_staff").allows("geostream:ticket:1", frozenset(["is_staff"]))


def test_all_that_is_needed_is_known() -> None:
    assert readable_names(STAFF_ONLY).permissions == {"fleet.view_ops", "is_staff", "is_authenticated"}
    assert readable_names("pub:*,a").permissions == frozenset()


def test_redis_is_asked_for_names_that_need_something_too() -> None:
    names = readable_names("pub:*,pub:staff=is_staff,pub:ops:*=fleet.view_ops,ops:*=fleet.view_ops,staff=is_staff")
    assert names.patterns == ("ops:*", "pub:*") and names.exact == {"staff"}


@pytest.mark.parametrize(
    "setting", ["a=", "=is_staff", "a=b", "a=staff", "a=.x", "a=fleet.", "a=is_staff x", "a,a=is_staff", "a*=x.y,a*=x.z"]
)
def test_a_mistake_opens_nothing(setting: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="GEOSTREAM_REDIS_READABLE"):
        readable_names(setting)
