"""Which names of Redis clients may read, and the patterns in which they may ask for several.

What a client calls a pattern is compared here, with names that Redis was asked for anyway; it never becomes a pattern of Redis. What
GeoStream, Django's sessions and the channel layer keep in Redis is never readable, whatever the operator allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from django.core.exceptions import ImproperlyConfigured

from streaming.core.errors import StreamError

MAX_GLOB = 256
"""Characters of a pattern: each name is compared with all of them."""
_PRIVATE = ("asgi", "geostream:")
_SESSIONS = "django.contrib.sessions"
STAFF, AUTHENTICATED = "is_staff", "is_authenticated"
_NEED = re.compile(rf"{STAFF}|{AUTHENTICATED}|[^\W\d]\w*\.\S+")
_SPECIAL = re.compile(r"[*?\[\]^\\]")


Need = frozenset[str]
"""What who reads a name must have: nothing, or one permission."""
ANYBODY: Need = frozenset()


@dataclass(frozen=True, slots=True)
class Readable:
    """The names that may be read: some as they are, and all that begin in some ways."""

    exact: frozenset[str]
    """Names to ask Redis for ..."""
    prefixes: tuple[str, ...]
    """... and beginnings of names, none of which is in another."""
    names: Mapping[str, Need]
    """What each listed name needs ..."""
    beginnings: tuple[tuple[str, Need], ...]
    """... and each beginning, the longest first."""

    def need(self, name: str) -> Need | None:
        """What one must have to read this name, as the longest entry says; None if nobody may."""
        if name.startswith(_PRIVATE) or _SESSIONS in name:
            return None
        need = self.names.get(name)
        return next((need for prefix, need in self.beginnings if name.startswith(prefix)), None) if need is None else need

    def allows(self, name: str, granted: frozenset[str] = ANYBODY) -> bool:
        """Whether clients to whom this is granted may read this name."""
        need = self.need(name)
        return need is not None and need <= granted

    @property
    def needs(self) -> frozenset[str]:
        """All that names need."""
        return frozenset().union(*self.names.values(), *(need for _, need in self.beginnings))

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of Redis for the readable beginnings."""
        return tuple(_SPECIAL.sub(r"\\\g<0>", prefix) + "*" for prefix in self.prefixes)


@lru_cache(maxsize=16)
def readable(setting: str) -> Readable:
    """The names that a setting lists, and what they need: `stations, pub:*, ops:*=fleet.view_ops`. `ImproperlyConfigured`."""
    needs = dict[str, Need]()
    for part in filter(None, map(str.strip, setting.split(","))):
        name, need = _entry(part)
        if needs.setdefault(name, need) != need:
            raise ImproperlyConfigured(f"GEOSTREAM_REDIS_READABLE: {name!r} is there twice, and needs different things")
    return readable_names(needs)


def readable_names(needs: Mapping[str, Need]) -> Readable:
    """Names, or their beginnings with `*`, and what each needs."""
    prefixes = sorted(name[:-1] for name in needs if name.endswith("*"))
    shortest = tuple(prefix for prefix in prefixes if not any(prefix.startswith(other) for other in prefixes if other != prefix))
    names = {name: need for name, need in needs.items() if not name.endswith("*")}
    beginnings = tuple((prefix, needs[prefix + "*"]) for prefix in sorted(prefixes, key=len, reverse=True))
    return Readable(frozenset(name for name in names if not name.startswith(shortest)), shortest, names, beginnings)


def _entry(part: str) -> tuple[str, Need]:
    """A mistake never opens a name: whatever stands after `=` must look like something one can have."""
    if "=" not in part:
        return part, ANYBODY
    name, _, need = (piece.strip() for piece in part.rpartition("="))
    if not name or not _NEED.fullmatch(need):
        raise ImproperlyConfigured(
            f"GEOSTREAM_REDIS_READABLE: {part!r} must be a name, '=', and app.permission, {STAFF} or {AUTHENTICATED}"
        )
    return name, frozenset([need])


class Glob:
    r"""A pattern of names as Redis has them: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before what is meant so. Of characters, not bytes."""

    __slots__ = ("_matches", "text")

    def __init__(self, text: str) -> None:
        if not 0 < len(text) <= MAX_GLOB:
            raise StreamError("bad_request", f"a pattern has 1 to {MAX_GLOB} characters")
        self.text = text
        self._matches = re.compile(_regex(text), re.DOTALL).fullmatch

    def matches(self, name: str) -> bool:
        """Whether a name is like this."""
        return self._matches(name) is not None


def _regex(glob: str) -> str:
    """What lies between stars is looked for once, from the left, and kept: no pattern takes long."""
    first, *others = _pieces(glob)
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last


def _pieces(glob: str) -> list[str]:
    pieces, at = [""], 0
    while at < len(glob):
        character = glob[at]
        at += 1
        if character == "*":
            pieces.append("")
            continue
        if character == "[":
            piece, at = _class(glob, at)
        elif character == "?":
            piece = "."
        else:
            if character == "\\" and at < len(glob):
                character = glob[at]
                at += 1
            piece = re.escape(character)
        pieces[-1] += piece
    return pieces


def _class(glob: str, at: int) -> tuple[str, int]:
    """The expression for a class, and where it ends: at the first `]`, or with the pattern."""
    negated = glob[at : at + 1] == "^"
    at += negated
    members, at = _members(glob, at)
    inside = "".join(members)
    if not inside:
        return ("." if negated else "(?!)"), at
    return f"[{'^' if negated else ''}{inside}]", at


def _members(glob: str, at: int) -> tuple[list[str], int]:
    members = list[str]()
    while at < len(glob) and glob[at] != "]":
        if glob[at] == "\\" and at + 1 < len(glob):
            members.append(re.escape(glob[at + 1]))
            at += 2
        elif glob[at + 1 : at + 2] == "-" and at + 2 < len(glob):
            low, high = sorted((glob[at], glob[at + 2]))
            members.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            members.append(re.escape(glob[at]))
            at += 1
    return members, at + 1
