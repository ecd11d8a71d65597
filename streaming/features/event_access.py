"""Who may read which events: everybody, or users with a permission, by type and, where a payload names its `source`, by that.

`GEOSTREAM_EVENT_ACCESS="error=is_staff, progress/backup=fleet.view_backups"`. It is a setting, not a table as layers have it: events have
no rows, and their types are few and known when a site is set up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from channels.db import database_sync_to_async
from django.core.exceptions import ImproperlyConfigured

from streaming.core.errors import StreamError
from streaming.core.pattern_map import split_list, split_pair
from streaming.engine.conf import conf

from .events import EVENT_TYPES

AUTHENTICATED, STAFF = "is_authenticated", "is_staff"
Rules = Mapping[tuple[str, str | None], str]
"""The permission that a type, or a type with a source, needs."""
Rights = frozenset[str]
"""The permissions that a user has, of those that events need."""


async def event_rights(user: Any) -> Rights:
    """What a user has, found out without the database where nothing needs it."""
    needed = frozenset(rules(conf.EVENT_ACCESS).values())
    if not needed or not user.is_authenticated:
        return frozenset()
    granted: Rights = await database_sync_to_async(_granted)(user, needed)
    return granted


def check_types(types: Collection[str], user: Any, rights: Rights) -> None:
    """`StreamError` forbidden, or unauthenticated without a login, if the user may read no event of any of these types."""
    known = rules(conf.EVENT_ACCESS)
    if types and not any(_readable_in_part(known, kind, rights) for kind in types):
        raise StreamError(
            "forbidden" if user.is_authenticated else "unauthenticated", f"events of {', '.join(sorted(types))} are not public"
        )


def is_readable(event: Mapping[str, Any], rights: Rights) -> bool:
    """Whether somebody with these rights may read an event: the rule of its type and source counts, or else that of its type."""
    known = rules(conf.EVENT_ACCESS)
    if not known:
        return True
    payload = event["payload"]
    source = payload.get("source") if isinstance(payload, dict) else None
    kind = event["event_type"]
    needed = known.get((kind, source)) if isinstance(source, str) else None
    if needed is None:
        needed = known.get((kind, None))
    return needed is None or needed in rights


@lru_cache(maxsize=16)
def rules(setting: str) -> Rules:
    """The rules of a setting. `ImproperlyConfigured` if it cannot be read."""
    found: dict[tuple[str, str | None], str] = {}
    for entry in split_list(setting):
        name, permission = split_pair(entry)
        kind, _, source = name.partition("/")
        if kind not in EVENT_TYPES or not permission:
            raise ImproperlyConfigured(
                f"GEOSTREAM_EVENT_ACCESS: {entry!r} must be one of {', '.join(EVENT_TYPES)}, perhaps '/' and a source, '=', a permission"
            )
        found[kind, source or None] = permission
    return found


def _readable_in_part(known: Rules, kind: str, rights: Rights) -> bool:
    by_source = [permission for (other, source), permission in known.items() if other == kind and source is not None]
    whole = known.get((kind, None))
    return whole is None or whole in rights or not rights.isdisjoint(by_source)


def _granted(user: Any, needed: Rights) -> Rights:
    return frozenset(permission for permission in needed if _has(user, permission))


def _has(user: Any, permission: str) -> bool:
    if permission == STAFF:
        return bool(user.is_staff)
    return permission == AUTHENTICATED or bool(user.has_perm(permission))
