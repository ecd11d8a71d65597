"""Authentication over HTTP: bearer tokens, whose users are cached for a few seconds, and the sessions of pages.

The cache spares a publisher's requests the database and the verification of the token. It holds only users of tokens,
never of sessions, and for `GEOSTREAM_AUTH_CACHE_SECONDS`: a user who is deactivated or loses a permission is refused
after that time. No token is accepted after its own expiry.
"""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.auth import bearer_token, verify_token
from streaming.engine.conf import conf
from streaming.engine.log_context import is_from
from streaming.engine.responses import CHALLENGE

MAX_TOKENS = 4096


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>` of `/api/token/`."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        """The token's user; None without such a header. `StreamError("token_invalid")` or `token_expired`."""
        token = bearer_token(request)
        if token is None:
            return None
        user = user_cache.get(token) or user_cache.look_up(token)
        is_from(user)
        return user, token

    def authenticate_header(self, request: Request) -> str:
        """The value of `WWW-Authenticate`."""
        return CHALLENGE


class PageSessionAuthentication(SessionAuthentication):
    """The session cookie of a page of this site, with its CSRF token in the header `X-CSRFToken`."""

    def enforce_csrf(self, request: Request) -> None:
        """Check the CSRF token of the header only, because the body is not a form and the view has to read it."""
        super().enforce_csrf(request._request)  # type: ignore[arg-type]  # only its headers are read


def session_key_of(request: Request) -> str | None:
    """The key of the session that the request has shown; None for a token, or nobody."""
    if not isinstance(request.successful_authenticator, PageSessionAuthentication):
        return None
    key: str | None = request.session.session_key
    return key


class UserCache:
    """Users by token, with their permissions loaded, kept for a few seconds."""

    def __init__(self) -> None:
        self._users: dict[str, tuple[float, float, Any]] = {}

    def get(self, token: str) -> Any | None:
        """The user of a token that was looked up a moment ago and has not expired since."""
        entry = self._users.get(token)
        if entry is None or time.monotonic() >= entry[0] or time.time() >= entry[1]:
            return None
        return entry[2]

    def look_up(self, token: str) -> Any:
        """Verify a token and ask the database for its user and permissions."""
        claims = verify_token(token)
        user = get_user_model()._default_manager.filter(pk=claims.get("user_id"), is_active=True).first()
        if user is None:
            raise StreamError("token_invalid", "the token's user does not exist or is not active")
        if conf.AUTH_CACHE_SECONDS > 0:
            if not user.is_superuser:
                user.get_all_permissions()  # the user object keeps them
            if len(self._users) >= MAX_TOKENS:
                self._users.clear()
            self._users[token] = (time.monotonic() + conf.AUTH_CACHE_SECONDS, float(claims["exp"]), user)
        return user

    def clear(self) -> None:
        """Drop every user, so that the database is asked again."""
        self._users.clear()


user_cache = UserCache()


def is_valid_token(token: str) -> bool:
    """Whether this server has signed a token that has not expired. Whether its user is active is not checked.

    A token whose user is cached was verified when it was cached, and is not verified again.
    """
    if user_cache.get(token) is not None:
        return True
    try:
        verify_token(token)
    except StreamError:
        return False
    return True
