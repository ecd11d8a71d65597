"""Signal receivers: changed users, groups and permissions, and logouts, are announced to every server process."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save

from .access import announce_session_ended, announce_users_changed

UNCHANGED = frozenset({"last_login"})
"""What a login changes of its user."""


def connect() -> None:
    """Receive the signals of the models of users and groups that the project has."""
    user = get_user_model()
    post_save.connect(_user_saved, sender=user, dispatch_uid="streaming.users")
    post_delete.connect(_changed, sender=user, dispatch_uid="streaming.users")
    post_delete.connect(_changed, sender=Group, dispatch_uid="streaming.users")
    for model, relation in ((user, "groups"), (user, "user_permissions"), (Group, "permissions")):
        if hasattr(model, relation):
            m2m_changed.connect(_related_changed, sender=getattr(model, relation).through, dispatch_uid="streaming.users")
    user_logged_out.connect(_logged_out, dispatch_uid="streaming.users")


def _user_saved(created: bool, update_fields: frozenset[str] | None, **kwargs: Any) -> None:
    if not created and update_fields != UNCHANGED:
        _changed()


def _related_changed(action: str, **kwargs: Any) -> None:
    if action.startswith("post_"):
        _changed()


def _changed(**kwargs: Any) -> None:
    transaction.on_commit(announce_users_changed)


def _logged_out(request: Any, **kwargs: Any) -> None:
    session_key = getattr(getattr(request, "session", None), "session_key", None)
    if session_key:
        transaction.on_commit(partial(announce_session_ended, session_key))
