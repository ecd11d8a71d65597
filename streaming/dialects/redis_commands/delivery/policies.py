"""What becomes of the messages that wait for a slow reader, as `GEOSTREAM_REDIS_SLOW` says: `pub:positions*=latest,pub:alarms=close`.

Envelopes of channels with a policy carry it, and which feature they are about, so nothing is looked into once they wait, and readers that
keep up never pay for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

from django.core.exceptions import ImproperlyConfigured

Policy = Literal["drop", "latest", "close"]
"""`drop` the oldest, keep the `latest` of each feature, or `close` the connection."""

_POLICIES: tuple[Policy, ...] = get_args(Policy)


class Subject(NamedTuple):
    """What a message is about: a feature of a channel or, without an id, whatever is said there."""

    channel: str
    id: str | float | None


class Ruled(bytes):
    """An envelope of a channel with a policy of its own."""

    policy: Policy
    subject: Subject

    def __new__(cls, text: bytes, policy: Policy, subject: Subject) -> Ruled:
        """The same bytes."""
        made = super().__new__(cls, text)
        made.policy, made.subject = policy, subject
        return made


@lru_cache(maxsize=16)
def policies(setting: str) -> dict[str, Policy]:
    """Names, and beginnings of names with `*`, the longest first. ImproperlyConfigured if the setting cannot be read."""
    found = dict(_rule(part) for part in map(str.strip, setting.split(",")) if part)
    return dict(sorted(found.items(), key=lambda rule: len(rule[0]), reverse=True))


@lru_cache(maxsize=10_000)
def policy_of(setting: str, name: str) -> Policy:
    """That of a channel or layer: its own or else that of the longest beginning."""
    rules = policies(setting)
    if name in rules and not name.endswith("*"):
        return rules[name]
    beginnings = (policy for rule, policy in rules.items() if rule.endswith("*") and name.startswith(rule[:-1]))
    return next(beginnings, "drop")


def subject_of(channel: str, document: Any) -> Subject:
    """The feature's id is its `id` or else `properties.id`: a string or a number."""
    if not isinstance(document, dict) or document.get("type") != "Feature":
        return Subject(channel, None)
    found, properties = document.get("id"), document.get("properties")
    if found is None and isinstance(properties, dict):
        found = properties.get("id")
    known = isinstance(found, str | int | float) and not isinstance(found, bool)
    return Subject(channel, found if known else None)


def _rule(part: str) -> tuple[str, Policy]:
    name, _, word = (piece.strip() for piece in part.rpartition("="))
    policy = next((one for one in _POLICIES if one == word), None)
    if not name or policy is None:
        raise ImproperlyConfigured(f"GEOSTREAM_REDIS_SLOW: {part!r} must be a channel, '=', and one of {', '.join(_POLICIES)}")
    return name, policy
