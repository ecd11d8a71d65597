"""Who sends a request: the user of a bearer token, of a page's session, or nobody; and how often somebody may."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import CSRFCheck

from streaming.core.errors import StreamError
from streaming.core.lru import LRU
from streaming.engine.auth import ANONYMOUS, Principal, from_session, from_token
from streaming.engine.conf import conf
from streaming.engine.http_bans import refuse_banned

from ..changes import Actor
from ..clients import CLIENT_ID, check
from ..rights import PART, Rights, rights_of
from .request import Request

SAFE = ("GET", "HEAD", "OPTIONS")
TOKENS, CALLERS = 4096, 20_000


class Access:
    """What one process knows of those who send requests. Tokens are believed for `GEOSTREAM_AUTH_CACHE_SECONDS`."""

    def __init__(self) -> None:
        self._tokens: LRU[str, tuple[float, Principal, Rights]] = LRU(TOKENS)
        self._next_at: LRU[str, float] = LRU(CALLERS)
        self._uploads: dict[str, int] = {}

    def clear(self) -> None:
        """Ask the database again."""
        self._tokens.clear()

    async def admit(self, request: Request) -> None:
        """Find out who it is, and what they may do. `StreamError`: token_invalid, forbidden, banned, rate_limited."""
        _check_host(request)
        principal, rights = await self._principal(request)
        refuse_banned(request.address, principal.user_id)
        client = request.headers.get("x-client-id")
        request.rights = rights
        request.user_id = str(principal.user_id or "")
        request.caller = f"user:{request.user_id}" if request.user_id else request.address
        request.actor = Actor(principal.username, client, request.address)
        self._pace(request.caller)
        if client is not None:
            if not CLIENT_ID.fullmatch(client):
                raise StreamError("bad_request", "X-Client-Id must be 1 to 128 visible ASCII characters")
            await check(client, request.user_id)

    def begin_upload(self, caller: str) -> None:
        """`StreamError("rate_limited")` if the caller has too many uploads going on."""
        count = self._uploads.get(caller, 0)
        if count >= conf.FILES_UPLOADS_AT_ONCE:
            raise StreamError("rate_limited", f"you may have {conf.FILES_UPLOADS_AT_ONCE} uploads at once")
        self._uploads[caller] = count + 1

    def end_upload(self, caller: str) -> None:
        """One has ended."""
        count = self._uploads.pop(caller)
        if count > 1:
            self._uploads[caller] = count - 1

    async def _principal(self, request: Request) -> tuple[Principal, Rights]:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._of_token(token.strip())
        if scheme:
            raise StreamError("token_invalid", "the Authorization header must be 'Bearer <token>'")
        principal = ANONYMOUS
        if settings.SESSION_COOKIE_NAME in request.headers.get("cookie", ""):
            principal = await from_session(request.headers["cookie"])
        if principal is not ANONYMOUS and request.method not in SAFE:
            _check_csrf(request)
        return principal, await rights_of(principal)

    async def _of_token(self, token: str) -> tuple[Principal, Rights]:
        known = self._tokens.get(token)
        if known is not None and time.monotonic() < known[0] and not known[1].expired:
            return known[1], known[2]
        principal = await from_token(token, PART)
        rights = await rights_of(principal)
        self._tokens.put(token, (time.monotonic() + conf.AUTH_CACHE_SECONDS, principal, rights))
        return principal, rights

    def _pace(self, caller: str) -> None:
        now, rate = time.monotonic(), conf.FILES_REQUESTS_PER_SECOND
        next_at = max(self._next_at.get(caller) or 0.0, now - conf.FILES_REQUESTS_BURST / rate) + 1 / rate
        if next_at > now:
            raise StreamError("rate_limited", "too many requests; wait a moment")
        self._next_at.put(caller, next_at)


def _as_django(request: Request) -> Any:
    """The request without its body, as Django's own checks take it."""
    return ASGIRequest(dict(request.scope), BytesIO())


def _check_host(request: Request) -> None:
    """Refuse names that are not this server's, and plain HTTP where the site takes none."""
    django = _as_django(request)
    try:
        django.get_host()
    except DisallowedHost:
        raise StreamError("bad_request", "this is not a name of this server (ALLOWED_HOSTS)") from None
    if settings.SECURE_SSL_REDIRECT and not django.is_secure():
        raise StreamError("forbidden", "this site takes HTTPS only")


def _never_called(request: HttpRequest) -> HttpResponse:
    """What the check would pass a request on to."""
    raise AssertionError


def _check_csrf(request: Request) -> None:
    """Only a page of this site may do something with the cookie of its visitor."""
    django = _as_django(request)
    checking = CSRFCheck(_never_called)
    checking.process_request(django)
    reason = checking.process_view(django, _never_called, (), {})
    if reason:
        raise StreamError("forbidden", f"CSRF: {reason}")
