"""Rights: what somebody may list, read, write and delete, by the beginning of the path.

Django's permissions say what a user may do in the whole folder. A limited token of theirs narrows that to some directories, and never
widens it. What anybody may do without a login is in a setting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from channels.db import database_sync_to_async
from django.core.exceptions import ImproperlyConfigured

from streaming.core.errors import StreamError
from streaming.engine.auth import Principal
from streaming.engine.conf import conf

from .paths import PathError, clean_path, is_below

PART = "files"
"""What limited tokens call this part."""
RIGHTS = ("list", "read", "write", "delete")
Grant = tuple[str, frozenset[str]]
"""A directory, or "" for the whole folder, and the rights in it."""


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of one client."""

    grants: tuple[Grant, ...]

    def allows(self, right: str, path: str) -> bool:
        """Whether this may be done to a path."""
        return any(right in rights and is_below(path, top) for top, rights in self.grants)

    def allows_some(self, right: str) -> bool:
        """Whether this may be done anywhere."""
        return any(right in rights for _, rights in self.grants)

    def tops(self, right: str) -> tuple[str, ...] | None:
        """The directories in which this may be done; None for all."""
        found = tuple(sorted(top for top, rights in self.grants if right in rights))
        return None if "" in found else found

    def narrowed(self, limits: Rights) -> Rights:
        """What these and the others allow."""
        both = [
            (inner if is_below(inner, outer) else outer, rights & others)
            for outer, rights in self.grants
            for inner, others in limits.grants
            if is_below(inner, outer) or is_below(outer, inner)
        ]
        return Rights(tuple(dict.fromkeys(grant for grant in both if grant[1])))

    def plus(self, others: Rights) -> Rights:
        """What these or the others allow."""
        return Rights(tuple(dict.fromkeys((*self.grants, *others.grants))))


NOTHING = Rights(())
READING = Rights((("", frozenset(("list", "read"))),))
"""What is left of anybody's rights where clients change nothing (`GEOSTREAM_FILES_UPLOAD`)."""


async def rights_of(principal: Principal) -> Rights:
    """What a principal may do: nobody what the setting says, users that too. A limited token only what it says."""
    rights = anonymous_rights()
    if principal.user.is_authenticated:
        permitted = frozenset(await database_sync_to_async(_permitted)(principal.user))
        rights = rights.plus(Rights((("", permitted),)) if permitted else NOTHING)
    if principal.limits is not None:
        rights = rights.narrowed(token_rights(principal.limits))
    return rights if conf.FILES_UPLOAD else rights.narrowed(READING)


def token_rights(limits: Any) -> Rights:
    """The rights in a token: `{"maps": "list read"}`. `StreamError("token_invalid")`."""
    try:
        return Rights(tuple((_top(top), _words(words)) for top, words in limits.items()))
    except (AttributeError, ValueError, PathError):
        raise StreamError("token_invalid", "the limits of the token are not directories with rights") from None


def anonymous_rights() -> Rights:
    """The rights of `GEOSTREAM_FILES_ANONYMOUS`. `ImproperlyConfigured`."""
    return _read(conf.FILES_ANONYMOUS)


@lru_cache(8)
def _read(setting: str) -> Rights:
    pairs = [part.partition("=") for part in filter(None, (part.strip() for part in setting.split(",")))]
    try:
        return Rights(tuple((_top(top.strip()), _words(words)) for top, _, words in pairs))
    except (ValueError, PathError) as error:
        raise ImproperlyConfigured(f"GEOSTREAM_FILES_ANONYMOUS is not directories with rights, as `maps=list read`: {error}") from None


def _top(top: str) -> str:
    return "" if top in ("", "*", "/") else clean_path(top.rstrip("/"))


def _words(words: str) -> frozenset[str]:
    found = frozenset(words.split())
    if not found or not found.issubset(RIGHTS):
        raise ValueError(f"rights are {', '.join(RIGHTS)}")
    return found


def _permitted(user: Any) -> Iterable[str]:
    return [right for right in RIGHTS if user.has_perm(f"streaming.{right}_files")]
