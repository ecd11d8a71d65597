"""Credentials in the OpenAPI document: the security schemes, and the operations that give tokens and tickets."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, inline_serializer
from rest_framework import serializers
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer

from .schemas import BAD_REQUEST, CAN_FAIL
from .serializers import ErrorSerializer


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped upstream
    """Bearer tokens."""

    target_class = "streaming.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """The security scheme object."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped upstream
    """The session cookie of a page."""

    target_class = "streaming.api.authentication.PageSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """The security scheme object."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


TOO_MANY = OpenApiResponse(ErrorSerializer, "Too many requests in a short time. Retry-After says when to try again.")

POST_TOKEN: dict[str, Any] = {
    "tags": ["access"],
    "operation_id": "token_create",
    "summary": "Log in: an access token and a refresh token",
    "request": TokenObtainPairSerializer,
    "responses": {
        200: inline_serializer("Tokens", {"access": serializers.CharField(), "refresh": serializers.CharField()}),
        **BAD_REQUEST,
        401: OpenApiResponse(ErrorSerializer, "Wrong username or password."),
        429: TOO_MANY,
    },
}
POST_REFRESH: dict[str, Any] = {
    "tags": ["access"],
    "operation_id": "token_refresh",
    "summary": "A new access token",
    "request": TokenRefreshSerializer,
    "responses": {200: inline_serializer("AccessToken", {"access": serializers.CharField()}), **BAD_REQUEST, 401: CAN_FAIL[401]},
}
POST_TICKET: dict[str, Any] = {
    "tags": ["access"],
    "operation_id": "ticket_create",
    "summary": "A one-time ticket for a WebSocket",
    "request": None,
    "responses": {
        200: inline_serializer(
            "Ticket",
            {
                "ticket": serializers.CharField(),
                "expires_in": serializers.IntegerField(help_text="Seconds."),
                "url": serializers.URLField(help_text="Where to open the WebSocket."),
            },
        ),
        401: CAN_FAIL[401],
        503: CAN_FAIL[503],
    },
}

_CHANNEL = serializers.CharField(help_text="A topic, or for who may have it a pattern of topics (`room:*`).")
_EXAMPLE = {"channel": "system", "id": "client1"}

POST_CHANNEL_TOKEN: dict[str, Any] = {
    "tags": ["access"],
    "operation_id": "channel_token_create",
    "summary": "A token to join a topic",
    "description": "A JSON web token (HS256) with the claims `id`, `channel` and `exp`, for the WebSockets of Phoenix channels. "
    "Anybody is given one for the topics of `GEOSTREAM_PUBLIC_TOPICS`, in development for any topic but `admin`; "
    "a user with `streaming.join_topics` for any topic but `admin`; staff for `admin`. "
    "Patterns, and ids other than one's username, need `streaming.issue_tokens`.",
    "request": inline_serializer(
        "ChannelTokenRequest",
        {
            "channel": _CHANNEL,
            "id": serializers.CharField(
                required=False,
                allow_null=True,
                allow_blank=True,
                max_length=255,
                help_text="Who the others see; without it your username or, for nobody, eight random characters.",
            ),
        },
    ),
    "responses": {
        200: inline_serializer(
            "ChannelToken", {"id": serializers.CharField(), "channel": serializers.CharField(), "token": serializers.CharField()}
        ),
        400: OpenApiResponse(ErrorSerializer, "The body is not JSON."),
        401: OpenApiResponse(ErrorSerializer, "The channel is not public, and nobody is logged in; or the access token is not valid."),
        403: OpenApiResponse(ErrorSerializer, "The user may not do this, or the page of a session did not send its CSRF token."),
        413: OpenApiResponse(ErrorSerializer, "The body is larger than 16 KiB."),
        415: OpenApiResponse(ErrorSerializer, "The Content-Type is not application/json."),
        422: OpenApiResponse(ErrorSerializer, "A field is missing, of the wrong type, or cannot be a channel or an id."),
        429: TOO_MANY,
    },
    "examples": [OpenApiExample("A client of the topic system", _EXAMPLE, request_only=True)],
}
