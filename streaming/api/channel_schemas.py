"""What the OpenAPI document says of channel tokens."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, inline_serializer
from rest_framework import serializers

from .schemas import ErrorSerializer

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
    },
    "examples": [OpenApiExample("A client of the topic system", _EXAMPLE, request_only=True)],
}
