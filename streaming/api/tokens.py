"""/api/token/ and /api/ticket/: credentials for programs, and for the WebSockets of pages."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from streaming.engine.auth import make_ticket
from streaming.engine.conf import conf
from streaming.engine.responses import answer

from . import schemas
from .base import AlwaysJson, ApiView
from .request_body import LimitedJsonParser


class TokenView(TokenObtainPairView):
    """A pair of tokens for a username and a password."""

    renderer_classes = ApiView.renderer_classes
    parser_classes = [LimitedJsonParser]
    content_negotiation_class = AlwaysJson

    @extend_schema(**schemas.POST_TOKEN)
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Log in."""
        return super().post(request, *args, **kwargs)


class RefreshView(TokenRefreshView):
    """A new access token for a refresh token."""

    renderer_classes = ApiView.renderer_classes
    parser_classes = [LimitedJsonParser]
    content_negotiation_class = AlwaysJson

    @extend_schema(**schemas.POST_REFRESH)
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Renew the access token."""
        return super().post(request, *args, **kwargs)


class TicketView(ApiView):
    """One-time tickets: they may be in a URL, which a token may not."""

    needs = {"POST": ""}

    @extend_schema(**schemas.POST_TICKET)
    def post(self, request: Request) -> HttpResponse:
        """A ticket for this user's next WebSocket."""
        ticket = make_ticket(request.user)
        address = request.build_absolute_uri("/ws").replace("http", "ws", 1)
        return answer({"ticket": ticket, "expires_in": conf.TICKET_SECONDS, "url": f"{address}?{urlencode({'ticket': ticket})}"})
