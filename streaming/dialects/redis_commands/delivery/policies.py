"""Policies for slow clients: what becomes of messages that wait, by channel, from `GEOSTREAM_REDIS_SLOW`.

For example `pub:positions*=latest,pub:alarms=close`. Envelopes of channels with a policy carry it, and which feature they are about, so
that nothing is parsed once they wait, and clients that keep up never pay for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import msgspec
from django.core.exceptions import ImproperlyConfigured

from streaming.core.pattern_map import PatternMap, split_list, split_pair

from ..geojson.shapes import Members, decode_members, type_of

SlowClientPolicy = Literal["drop", "latest", "close"]
"""`drop` the oldest, keep the `latest` of each feature, or `close` the connection."""

_POLICIES: tuple[SlowClientPolicy, ...] = get_args(SlowClientPolicy)


_decode = msgspec.json.Decoder().decode


class ConflationKey(NamedTuple):
    """What a message is about: a feature of a channel or, without an id, anything on that channel."""

    channel: str
    id: str | float | None


class PolicyEnvelope(bytes):
    """An envelope of a channel with a policy of its own."""

    policy: SlowClientPolicy
    key: ConflationKey

    def __new__(cls, text: bytes, policy: SlowClientPolicy, key: ConflationKey) -> PolicyEnvelope:
        """The same bytes."""
        made = super().__new__(cls, text)
        made.policy, made.key = policy, key
        return made


@lru_cache(maxsize=16)
def slow_client_policies(setting: str) -> PatternMap[SlowClientPolicy]:
    """The policies of channels and layers. `ImproperlyConfigured` if the setting cannot be read."""
    return PatternMap(dict(map(_parsed, split_list(setting))))


@lru_cache(maxsize=10_000)
def slow_client_policy(setting: str, name: str) -> SlowClientPolicy:
    """The policy of a channel or layer."""
    return slow_client_policies(setting).get(name) or "drop"


def conflation_key(channel: str, members: Members | None) -> ConflationKey:
    """The feature's id is its `id` or else `properties.id`: a string or a number."""
    if members is None or type_of(members) != "Feature":
        return ConflationKey(channel, None)
    found = _id(members)
    return ConflationKey(channel, found if found is not None else _id(_properties(members)))


def _id(members: Members) -> str | float | None:
    found = _decode(members["id"]) if "id" in members else None
    return found if isinstance(found, str | int | float) and not isinstance(found, bool) else None


def _properties(members: Members) -> Members:
    try:
        return decode_members(members["properties"])
    except (KeyError, msgspec.DecodeError):
        return {}


def _parsed(entry: str) -> tuple[str, SlowClientPolicy]:
    name, word = split_pair(entry)
    policy = next((one for one in _POLICIES if one == word), None)
    if not name or policy is None:
        raise ImproperlyConfigured(f"GEOSTREAM_REDIS_SLOW: {entry!r} must be a channel, '=', and one of {', '.join(_POLICIES)}")
    return name, policy
