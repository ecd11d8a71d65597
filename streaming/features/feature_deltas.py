"""Deltas of features: what has changed from one version to another, as a JSON Merge Patch (RFC 7396).

Canonical texts are compared member by member, as they are: numbers of a large geometry are never read. A patch says exactly the new
version, or there is none: it cannot say that a value is null, or has a null in it. Each is made once, however many clients get it.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streaming.core.feed import version_of
from streaming.core.lru import LRU

VERSION_LENGTH = 8
"""Of the 40 digits of a version: enough to notice a mistake. They cannot be compressed, and would make up half of what is sent."""
OVERHEAD = 50
"""Bytes by which a message with a delta is longer, besides its content."""
MOST_BYTES = 1024 * 1024
"""Of both versions together, so that comparing them never takes the event loop more than some 5 ms."""
CACHED_BYTES = 4 * 1024 * 1024

_Members = dict[str, msgspec.Raw]
_Patch = dict[str, "msgspec.Raw | _Patch | None"]
_members = msgspec.json.Decoder(_Members).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class FeatureDelta(NamedTuple):
    """From one version of a feature to another; `patch` is None if the whole feature is shorter, or no patch can say it."""

    patch: bytes | None
    base_version: str
    version: str


_made: LRU[tuple[bytes, bytes], FeatureDelta] = LRU(CACHED_BYTES)


def short_version(shown: bytes) -> str:
    """Names a feature as it is shown. Without other coordinates or fewer properties that is how its `ETag` begins."""
    return version_of(shown)[:VERSION_LENGTH]


def delta_of(old: bytes, new: bytes) -> FeatureDelta:
    """The delta from one canonical text of a feature to another."""
    delta = _made.get((old, new))
    if delta is None:
        patch = merge_patch(old, new) if len(old) + len(new) <= MOST_BYTES else None
        if patch is not None and len(patch) + OVERHEAD >= len(new):
            patch = None
        delta = FeatureDelta(patch, short_version(old), short_version(new))
        _made.put((old, new), delta, len(old) + len(new) + len(patch or b""))
    return delta


def merge_patch(old: bytes, new: bytes) -> bytes | None:
    """The patch that makes one canonical JSON object another; None if no patch can."""
    patch = _difference(_members(old), _members(new))
    return None if patch is None else _encode(patch)


def _difference(old: _Members, new: _Members) -> _Patch | None:
    patch: _Patch = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        now = bytes(value)
        if before is not None and bytes(before) == now:
            continue
        if before is not None and bytes(before)[:1] == now[:1] == b"{":
            inner = _difference(_members(before), _members(value))
            if inner is None:
                return None
            patch[name] = inner
        elif now == b"null" or (now[:1] == b"{" and b"null" in now):
            return None
        else:
            patch[name] = value
    return patch
