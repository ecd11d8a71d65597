"""/api/token/ and /api/ticket/: credentials for programs, and for the WebSockets of pages."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from streaming.engine.auth import make_ticket
from streaming.engine.conf import conf
from streaming.engine.responses import answer

from . import token_schemas
from .authentication import session_key_of
from .base import ApiView
from .links import websocket_url
from .openapi import extend_schema
from .throttling import give_back, login_limits, take


class TokenView(ApiView, TokenObtainPairView):  # type: ignore[misc]  # empty tuples upstream
    """A pair of tokens for a username and a password."""

    authentication_classes = ()

    @extend_schema(**token_schemas.POST_TOKEN)
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Log in."""
        name = request.data.get("username") if isinstance(request.data, dict) else None
        limits = login_limits(name, request.META.get("REMOTE_ADDR", ""))
        take(limits)
        response = super().post(request, *args, **kwargs)
        give_back(limits)  # only failures count
        return response


class RefreshView(ApiView, TokenRefreshView):  # type: ignore[misc]  # empty tuples upstream
    """A new access token for a refresh token."""

    authentication_classes = ()

    @extend_schema(**token_schemas.POST_REFRESH)
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Renew the access token."""
        return super().post(request, *args, **kwargs)


class TicketView(ApiView):
    """One-time tickets, which may be in a URL; a token may not."""

    needs = {"POST": ""}

    @extend_schema(**token_schemas.POST_TICKET)
    def post(self, request: Request) -> HttpResponse:
        """A ticket for this user's next WebSocket."""
        ticket = make_ticket(request.user, session_key_of(request))
        url = f"{websocket_url(request)}?{urlencode({'ticket': ticket})}"
        return answer({"ticket": ticket, "expires_in": conf.TICKET_SECONDS, "url": url})
