"""Authentication of WebSockets: the principal of a connection, and whether its page's origin is allowed.
In this order: a bearer token in the `Authorization` header, a one-time ticket in the query, the session cookie of a page with a
matching Origin; else nobody, which public layers accept. Long-lived tokens are never taken from a URL: URLs end up in logs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

import msgspec
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing, sync_redis

from .conf import conf
from .logins import Login, is_user_id, login_of
from .origins import allowed_origins
from .token_times import InvalidClaim, check_times, refusal

TICKET_KEY = COMMON + "ticket:"
LIMITS = "limits"
"""The claim of a token that opens certain parts only: to what extent, by part."""
FindUser = Callable[[Any], Awaitable[Any]]
LOCAL_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
"""What Django takes an empty ALLOWED_HOSTS for while DEBUG is on: a new project has that."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a connection acts for. `expires` is seconds since 1970, None for as long as the login holds."""

    user: Any
    expires: float | None = None
    login: Login | None = None
    """What that rests on; None for nobody."""
    limits: Any = None
    """What a limited token says of the part that asked for the principal."""

    @property
    def user_id(self) -> int | None:
        """The user's primary key, None for nobody."""
        key: int | None = self.user.pk
        return key

    @property
    def username(self) -> str:
        """The user's name, empty for nobody."""
        return str(self.user.get_username())

    @property
    def expired(self) -> bool:
        """Whether the token's time is over."""
        return self.expires is not None and self.expires <= time.time()


ANONYMOUS = Principal(AnonymousUser())


async def authenticate(scope: dict[str, Any], part: str = "") -> Principal:
    """The principal of a WebSocket's opening request; `StreamError` if its origin, token or ticket is refused.

    `part` is the one that asks (see `verify_token`).
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    if origin:
        check_origin(origin, headers.get(b"host", b"").decode("latin-1"))
    if authorization:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise StreamError("token_invalid", "the Authorization header must be 'Bearer <token>'")
        return await from_token(token, part)
    tickets = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("ticket")
    if tickets:
        return await from_ticket(tickets[0])
    if origin and b"cookie" in headers:
        return await from_session(headers[b"cookie"].decode("latin-1"))
    return ANONYMOUS


def check_origin(origin: str, host: str) -> None:
    """Refuse pages of other sites, unless `GEOSTREAM_ALLOWED_ORIGINS` names them."""
    allowed = allowed_origins()
    if origin.lower().partition("://")[2] == host.lower() != "":
        _check_host(host)
        return
    if origin in allowed or "*" in allowed:
        return
    raise StreamError("forbidden", f"pages of {origin} may not connect here (GEOSTREAM_ALLOWED_ORIGINS)")


def _check_host(host: str) -> None:
    """Refuse names that are not ours: a page whose own name was made to point here has an Origin that matches it."""
    allowed = settings.ALLOWED_HOSTS or (LOCAL_HOSTS if settings.DEBUG else [])
    if not validate_host(split_domain_port(host)[0], allowed):
        raise StreamError("forbidden", f"{host} is not a name of this server (ALLOWED_HOSTS)")


def bearer_token(request: HttpRequest) -> str | None:
    """The token of the `Authorization` header."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def from_token(token: str, part: str = "", find: FindUser | None = None) -> Principal:
    """The principal of a JSON web token. `part`: see `verify_token`. `find` does what `find_user` does in a way of its own."""
    claims = verify_token(token, part)
    user = await _active_user(claims[api_settings.USER_ID_CLAIM], find or _find_user)
    return Principal(user, float(claims["exp"]), Login(str(user.pk)), (claims.get(LIMITS) or {}).get(part))


class CheckedAccessToken(AccessToken):
    """An access token of whoever has the key: its claims are those of one."""

    def verify(self) -> None:
        """`TokenError` or `InvalidClaim`; its signature has been checked."""
        kind, number = api_settings.TOKEN_TYPE_CLAIM, api_settings.JTI_CLAIM
        if kind is not None and self.payload.get(kind) != self.token_type:
            raise InvalidClaim(f"the claim {kind} must be {self.token_type!r}")
        if number is not None and number not in self.payload:
            raise InvalidClaim(f"the claim {number} is missing: a text, another one for each token")
        check_times(self.payload, max(conf.TOKEN_MOST_SECONDS, api_settings.ACCESS_TOKEN_LIFETIME.total_seconds()))
        super().verify()
        if not isinstance(self.payload.get(api_settings.USER_ID_CLAIM), str | int):
            raise InvalidClaim(f"the claim {api_settings.USER_ID_CLAIM} must be the id of a user")


def verify_token(token: str, part: str = "") -> Any:
    """The claims of a token; `StreamError` with different codes for forged and expired ones. `InvalidClaim` names what is wrong in it.

    A token with limits opens nothing but the parts that they name: `part` is the one that asks, and that heeds them.
    """
    try:
        claims = CheckedAccessToken(token)  # type: ignore[arg-type]
    except TokenError as error:
        raise refusal(error) from error
    limits = claims.get(LIMITS)
    if limits is not None and not (isinstance(limits, dict) and part in limits):
        raise StreamError("forbidden", "this token is limited, and not for this")
    return claims


async def from_ticket(ticket: str) -> Principal:
    """The principal a ticket was made for. It works once."""
    with refusing():
        owner: Any = await async_redis().getdel(TICKET_KEY + ticket)
    if owner is None:
        raise StreamError("token_invalid", "the ticket is unknown, used up or too old; ask for a new one")
    login = msgspec.json.decode(owner, type=Login)
    return Principal(await _active_user(login.user_id, _find_user), login=login)


def make_ticket(user: Any, session_key: str | None = None) -> str:
    """A one-time ticket for the next WebSocket of a user, who may have shown a session: it ends the WebSocket as it ends."""
    ticket = secrets.token_urlsafe(24)
    with refusing():
        sync_redis().set(TICKET_KEY + ticket, msgspec.json.encode(login_of(user, session_key)), ex=conf.TICKET_SECONDS)
    return ticket


async def _active_user(user_id: Any, find: FindUser) -> Any:
    user = await find(user_id) if is_user_id(str(user_id)) else None
    if user is None:
        raise StreamError("token_invalid", "the token's user does not exist or is not active")
    return user


def find_user(user_id: Any) -> Any:
    """The active user of an id, None if there is none: for threads."""
    return get_user_model()._default_manager.filter(pk=user_id, is_active=True).first()


async def _find_user(user_id: Any) -> Any:
    return await get_user_model()._default_manager.filter(pk=user_id, is_active=True).afirst()


async def from_session(cookies: str) -> Principal:
    """The principal of the session in a `Cookie` header. Where it has come from has to be checked before."""
    try:
        morsel = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ANONYMOUS
    return ANONYMOUS if morsel is None else await _session_principal(morsel.value)


@database_sync_to_async
def _session_principal(session_key: str) -> Principal:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    return Principal(user, login=login_of(user, session_key)) if user.is_authenticated else ANONYMOUS
