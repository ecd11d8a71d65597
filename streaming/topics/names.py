"""Names of topics and events, and patterns of topics.

A topic is literal: what looks like a Redis pattern is refused, so that no client receives the messages of other topics.
"""

from __future__ import annotations

import re

from streaming.core.errors import StreamError

MAX_BYTES = 255
"""Binary frames carry the length of a name in one byte."""

PRESENCE_EVENTS = frozenset(["presence_state", "presence_diff", "presence_count"])

_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_IN_TOPICS = re.compile(r"[*?\[\]\\]")


def check_topic(topic: str) -> None:
    """`StreamError("bad_request")` if it cannot be the name of a topic."""
    _check(topic, "a topic")
    if not topic:
        raise StreamError("bad_request", "a topic has a name")
    if _NOT_IN_TOPICS.search(topic):
        raise StreamError("bad_request", "a topic may not contain * ? [ ] or \\")


def check_event(event: str) -> None:
    """`StreamError("bad_request")` if it cannot be the name of an event. An empty name is one."""
    _check(event, "an event")


def is_allowed_event(event: str) -> bool:
    """Whether backends may publish an event of this name: it is valid, and not one of the server's presence events."""
    try:
        check_event(event)
    except StreamError:
        return False
    return event not in PRESENCE_EVENTS


def check_pattern(pattern: str) -> None:
    """`StreamError("bad_request")` if it is neither a topic nor a topic's beginning and `*`."""
    if pattern != "*":
        check_topic(pattern.removesuffix("*"))


def is_pattern(text: str) -> bool:
    """Whether it stands for many topics."""
    return text.endswith("*")


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic is the one named, or begins as the pattern does: `room:*` matches `room:1`."""
    return topic.startswith(pattern[:-1]) if is_pattern(pattern) else topic == pattern


def matches_any(patterns: str, topic: str) -> bool:
    """Whether one of several patterns, separated by commas, matches."""
    return any(matches(pattern.strip(), topic) for pattern in patterns.split(",") if pattern.strip())


def _check(name: str, what: str) -> None:
    if len(name) > MAX_BYTES or len(name.encode(errors="replace")) > MAX_BYTES:
        raise StreamError("bad_request", f"the name of {what} may have {MAX_BYTES} bytes")
    if _NOT_IN_NAMES.search(name):
        raise StreamError("bad_request", f"the name of {what} may not contain control characters")
