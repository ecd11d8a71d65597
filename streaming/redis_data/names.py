"""Which names of Redis (hashes and channels) clients may read, and with which permission.

What GeoStream, Django's sessions and the channel layer keep in Redis is never readable, whatever the operator allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from django.core.exceptions import ImproperlyConfigured

from streaming.core.pattern_map import PatternMap, split_list, split_pair

_PRIVATE = ("asgi", "geostream:")
_SESSIONS = "django.contrib.sessions"
STAFF, AUTHENTICATED = "is_staff", "is_authenticated"
_PERMISSION = re.compile(rf"{STAFF}|{AUTHENTICATED}|[^\W\d]\w*\.\S+")
_SPECIAL = re.compile(r"[*?\[\]^\\]")


Needed = frozenset[str]
"""The permission needed to read a name; empty if anybody may."""
ANYBODY: Needed = frozenset()


class ReadableNames:
    """The names that may be read: some as they are, and all that begin in some ways."""

    def __init__(self, needed: Mapping[str, Needed]) -> None:
        """What is needed for each name, or for all that begin like a name with `*` at its end; the longest that matches counts."""
        self._needed = PatternMap(needed)
        prefixes = sorted(prefix for prefix, _ in self._needed.prefixes)
        shortest = tuple(prefix for prefix in prefixes if not any(prefix.startswith(other) for other in prefixes if other != prefix))
        self.patterns = tuple(_SPECIAL.sub(r"\\\g<0>", prefix) + "*" for prefix in shortest)
        """Patterns of Redis for the readable beginnings, none of which is in another ..."""
        self.exact = frozenset(name for name in self._needed.exact if not name.startswith(shortest))
        """... and the names that none of them matches."""

    def needed(self, name: str) -> Needed | None:
        """The permission needed to read this name; None if nobody may."""
        if name.startswith(_PRIVATE) or _SESSIONS in name:
            return None
        return self._needed.get(name)

    def allows(self, name: str, permissions: frozenset[str] = ANYBODY) -> bool:
        """Whether clients with these permissions may read this name."""
        needed = self.needed(name)
        return needed is not None and needed <= permissions

    @property
    def permissions(self) -> frozenset[str]:
        """All permissions that some name needs."""
        return frozenset().union(*self._needed.values())


@lru_cache(maxsize=16)
def readable_names(setting: str) -> ReadableNames:
    """The names that a setting lists, and what they need: `stations, pub:*, ops:*=fleet.view_ops`. `ImproperlyConfigured`."""
    needed = dict[str, Needed]()
    for entry in split_list(setting):
        name, permission = _parsed(entry)
        if needed.setdefault(name, permission) != permission:
            raise ImproperlyConfigured(f"GEOSTREAM_REDIS_READABLE: {name!r} is there twice, and needs different things")
    return ReadableNames(needed)


def _parsed(entry: str) -> tuple[str, Needed]:
    """A mistake never opens a name: whatever stands after `=` must look like a permission."""
    if "=" not in entry:
        return entry, ANYBODY
    name, permission = split_pair(entry)
    if not name or not _PERMISSION.fullmatch(permission):
        raise ImproperlyConfigured(
            f"GEOSTREAM_REDIS_READABLE: {entry!r} must be a name, '=', and app.permission, {STAFF} or {AUTHENTICATED}"
        )
    return name, frozenset([permission])
