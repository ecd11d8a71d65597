"""Bearer tokens over HTTP, believed for a few seconds, so that a publisher's requests do not wait for the database.

Only tokens are cached (`GEOSTREAM_AUTH_CACHE_SECONDS`), never sessions: that a user was deactivated or lost a permission takes effect
within that time. No token is believed beyond its own expiry.
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
from streaming.engine.responses import CHALLENGE

MAX_REMEMBERED = 4096


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>` of `/api/token/`."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        """The token's user; None without such a header. `StreamError("token_invalid")` or `token_expired`."""
        token = bearer_token(request)
        if token is None:
            return None
        return known_users.get(token) or known_users.look_up(token), token

    def authenticate_header(self, request: Request) -> str:
        """What `WWW-Authenticate` says."""
        return CHALLENGE


class PageSession(SessionAuthentication):
    """The session cookie of a page of this site, with its CSRF token in the header `X-CSRFToken`."""

    def enforce_csrf(self, request: Request) -> None:
        """Check the token without looking for it in the body, which is not a form and has to be left for the view to read."""
        super().enforce_csrf(request._request)  # type: ignore[arg-type]  # a plain request will do


class KnownUsers:
    """The users of the tokens that were seen lately, with their permissions loaded."""

    def __init__(self) -> None:
        self._users: dict[str, tuple[float, float, Any]] = {}

    def get(self, token: str) -> Any | None:
        """The user of a token that was looked up a moment ago."""
        known = self._users.get(token)
        if known is None or time.monotonic() >= known[0] or time.time() >= known[1]:
            return None
        return known[2]

    def look_up(self, token: str) -> Any:
        """Verify a token and ask the database for its user and permissions."""
        claims = verify_token(token)
        user = get_user_model()._default_manager.filter(pk=claims.get("user_id"), is_active=True).first()
        if user is None:
            raise StreamError("token_invalid", "the token's user does not exist or is not active")
        if conf.AUTH_CACHE_SECONDS > 0:
            if not user.is_superuser:
                user.get_all_permissions()  # kept on the user from now on
            if len(self._users) >= MAX_REMEMBERED:
                self._users.clear()
            self._users[token] = (time.monotonic() + conf.AUTH_CACHE_SECONDS, float(claims["exp"]), user)
        return user

    def clear(self) -> None:
        """Ask the database next time."""
        self._users.clear()


known_users = KnownUsers()
