"""Which names topics and events may have, and which topics a pattern matches."""

from __future__ import annotations

import pytest

from streaming.core.errors import StreamError
from streaming.topics.names import check_event, check_pattern, check_topic, is_pattern, matches, matches_any

NO_NAMES = ["\x00", "a\nb", "\x1f", "\x7f", "\x85", "\u2028", "\u2029", "a" * 256, "ä" * 128, "\ud800"]


@pytest.mark.parametrize("topic", ["a", "room:1", "a:b:c", ":", "a b", "a,b", "ä" * 127, "a" * 255, "💬", "phoenix", "{}", "#$%&", "'\""])
def test_a_topic(topic: str) -> None:
    check_topic(topic)


@pytest.mark.parametrize("topic", ["", "*", "room:*", "a?", "[a]", "a]", "a\\", *NO_NAMES])
def test_no_topic(topic: str) -> None:
    with pytest.raises(StreamError, match="topic") as refused:
        check_topic(topic)
    assert refused.value.code == "bad_request"


@pytest.mark.parametrize("event", ["", "ev", "a:b", "*", "[x]?", "a" * 255])
def test_an_event(event: str) -> None:
    check_event(event)


@pytest.mark.parametrize("event", NO_NAMES)
def test_no_event(event: str) -> None:
    with pytest.raises(StreamError, match="event"):
        check_event(event)


@pytest.mark.parametrize("pattern", ["*", "room:*", "room", "ro*", ":*"])
def test_a_pattern(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["", "**", "*room", "a*b", "ro*m*", "a?*", "[a]*", "\x00*"])
def test_no_pattern(pattern: str) -> None:
    with pytest.raises(StreamError):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("room:1", "room:1", True),
        ("room:1", "room:10", False),
        ("room:1", "room", False),
        ("room:*", "room:1", True),
        ("room:*", "room:", True),
        ("room:*", "room:1:2", True),
        ("room:*", "room", False),
        ("room:*", "xroom:1", False),
        ("*", "anything", True),
        ("r.*", "rooms", False),
    ],
)
def test_a_pattern_matches_literally(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected
    assert is_pattern(pattern) is (pattern[-1] == "*")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [("", False), (",", False), ("room:1", True), ("hall, room:*", True), ("hall,, lobby", False), (" * ", True)],
)
def test_one_of_several(patterns: str, expected: bool) -> None:
    assert matches_any(patterns, "room:1") is expected
