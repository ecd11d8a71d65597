"""Logins: what the access of a connection or of a channel token rests on, and whether it still holds.

A login ends when its user is deactivated or deleted, when the password changes, and with its session. It is compared with the database for
many logins at once, with a handful of queries.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from itertools import islice
from typing import Any, NamedTuple

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone

AT_ONCE = 500
"""Users or sessions that one query asks for."""


class Login(NamedTuple):
    """A user, by primary key as text; a digest of the password, if a change of it ends this login; the key of its session, if any."""

    user_id: str
    password: str | None = None
    session_key: str | None = None


@dataclass(frozen=True, slots=True)
class UserState:
    """An active user as the database has it: the digest of the password, and what the permissions depend on."""

    user: Any
    password: str
    rights: tuple[Any, ...]


def login_of(user: Any, session_key: str | None = None) -> Login:
    """The login of somebody whose password, or session, has just been accepted."""
    return Login(str(user.pk), password_digest(user), session_key if _sessions_end() else None)


def password_digest(user: Any) -> str:
    """Another one after a change of the password, from which neither can be found out."""
    session_hash = getattr(user, "get_session_auth_hash", None)  # not every model of users has it
    return digest(session_hash()) if session_hash is not None else ""


def digest(secret: str) -> str:
    """What a secret is compared by, where it must not be."""
    return sha256(secret.encode()).hexdigest()[:22]


def sealed(session_key: str) -> str:
    """The key of a session in a form that only this site can read."""
    return _cipher(settings.SECRET_KEY).encrypt(session_key.encode()).decode()


def unsealed(text: str) -> str | None:
    """The key of a session; None for what this site has not sealed."""
    try:
        return _cipher(settings.SECRET_KEY).decrypt(text).decode()
    except (InvalidToken, ValueError):
        return None


def is_user_id(text: str) -> bool:
    """Whether it can be the primary key of a user."""
    try:
        get_user_model()._meta.pk.to_python(text)
    except ValidationError:
        return False
    return True


def user_states(ids: Iterable[str]) -> dict[str, UserState]:
    """The active ones of these users, by primary key as text. For threads."""
    states: dict[str, UserState] = {}
    for some in _slices(ids):
        active = get_user_model()._default_manager.filter(pk__in=some, is_active=True)
        permissions, groups = _related(active, "user_permissions"), _related(active, "groups")
        shared = _related(Group.objects.filter(pk__in=set().union(*groups.values())), "permissions")
        for user in active:
            flags = (getattr(user, "is_staff", False), getattr(user, "is_superuser", False))
            granted = permissions[user.pk].union(*(shared[group] for group in groups[user.pk]))
            states[str(user.pk)] = UserState(user, password_digest(user), (*flags, frozenset(granted), frozenset(groups[user.pk])))
    return states


def current_user(login: Login) -> Any | None:
    """The user of a login as the database has it now; None if the login has ended. For threads."""
    state = user_states([login.user_id]).get(login.user_id)
    if state is None or login.password not in (None, state.password):
        return None
    return state.user if login.session_key is None or live_sessions([login.session_key]) else None


def live_sessions(keys: Iterable[str]) -> set[str]:
    """Those of these sessions that are there and have not expired. For threads."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if not hasattr(store, "get_model_class"):  # sessions that are not in the database are asked for one by one
        return {key for key in keys if store().exists(key)}
    rows = store.get_model_class().objects.filter(expire_date__gt=timezone.now())
    return {key for some in _slices(keys) for key in rows.filter(pk__in=some).values_list("pk", flat=True)}


def _related(rows: QuerySet[Any], relation: str) -> defaultdict[Any, set[Any]]:
    """The primary keys of what each row is related to; nothing if the model has no such relation."""
    found: defaultdict[Any, set[Any]] = defaultdict(set)
    if hasattr(rows.model, relation):
        for key, related in rows.values_list("pk", relation):
            if related is not None:
                found[key].add(related)
    return found


def _sessions_end() -> bool:
    """Whether the server knows of sessions, and so can find out that one has ended: not if they are in cookies."""
    return not str(settings.SESSION_ENGINE).endswith("signed_cookies")


@cache
def _cipher(secret: str) -> Fernet:
    return Fernet(urlsafe_b64encode(sha256(f"geostream.sessions:{secret}".encode()).digest()))


def _slices(values: Iterable[str]) -> Iterator[list[str]]:
    left = iter(values)
    while some := list(islice(left, AT_ONCE)):
        yield some
