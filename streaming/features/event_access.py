"""Who may read which events: those of their audience (`event_audience`) and, by type and `source` of the payload, what a setting says.

`GEOSTREAM_EVENT_ACCESS="error=is_staff, progress/backup=fleet.view_backups"`. It is a setting, not a table as layers have it: events have
no rows, and their types are few and known when a site is set up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from streaming.core.errors import StreamError
from streaming.core.pattern_map import split_list, split_pair
from streaming.engine.conf import conf
from streaming.engine.login_review import DJANGO_BACKENDS
from streaming.models import Layer, Tileset

from .event_audience import AUTHENTICATED, NO_RIGHTS, STAFF, Rights, is_in
from .events import EVENT_TYPES

Rules = Mapping[tuple[str, str | None], str]
"""The permission that a type, or a type with a source, needs."""


async def event_rights(user: Any) -> Rights:
    """What a user has, found out without the database for somebody who is not logged in."""
    if not user.is_authenticated:
        return NO_RIGHTS
    granted: Rights = await database_sync_to_async(_rights)(user)
    return granted


def check_types(types: Collection[str], user: Any, rights: Rights) -> None:
    """`StreamError` forbidden, or unauthenticated without a login, if the user may read no event of any of these types."""
    known = rules(conf.EVENT_ACCESS)
    if types and not any(_readable_in_part(known, kind, rights) for kind in types):
        raise StreamError(
            "forbidden" if user.is_authenticated else "unauthenticated", f"events of {', '.join(sorted(types))} are not public"
        )


def is_readable(event: Mapping[str, Any], rights: Rights) -> bool:
    """Whether somebody with these rights may read an event.

    They must be in its audience, and of the setting the rule of its type and source counts, or else that of its type.
    """
    audience = event.get("audience")
    if audience is not None and not is_in(audience, rights):
        return False
    known = rules(conf.EVENT_ACCESS)
    payload = event["payload"]
    source = payload.get("source") if isinstance(payload, dict) else None
    kind = event["event_type"]
    needed = known.get((kind, source)) if isinstance(source, str) else None
    if needed is None:
        needed = known.get((kind, None))
    return needed is None or rights.include(needed)


@lru_cache(maxsize=16)
def rules(setting: str) -> Rules:
    """The rules of a setting. `ImproperlyConfigured` if it cannot be read."""
    found: dict[tuple[str, str | None], str] = {("alert", None): STAFF}  # unless the setting says otherwise
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
    return whole is None or rights.include(whole) or any(map(rights.include, by_source))


def _rights(user: Any) -> Rights:
    """All that the user has: an event may need any permission, also one that no layer needed until now."""
    asked = {*rules(conf.EVENT_ACCESS).values(), STAFF}
    if getattr(user, "is_superuser", False):
        return Rights(frozenset(permission for permission in asked if _has(user, permission)), everything=True, user=str(user.pk))
    if not DJANGO_BACKENDS.issuperset(settings.AUTHENTICATION_BACKENDS):  # others may not be able to list what a user has
        asked |= _needed_by_rows()
    listed: Iterable[str] = user.get_all_permissions() if hasattr(user, "get_all_permissions") else ()
    return Rights(frozenset(permission for permission in asked if _has(user, permission)).union(listed), user=str(user.pk))


def _needed_by_rows() -> set[str]:
    """The permissions that layers and tilesets need now."""
    named = [rows.objects.filter(public=False).values_list("permission", flat=True) for rows in (Layer, Tileset)]
    return {name for names in named for name in names if name} | {"streaming.view_layer", "streaming.view_tileset"}


def _has(user: Any, permission: str) -> bool:
    if permission == STAFF:
        return bool(user.is_staff)
    return permission == AUTHENTICATED or bool(user.has_perm(permission))
