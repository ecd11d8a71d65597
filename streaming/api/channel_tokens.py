"""/token: tokens to join topics, requested and answered as Tangram does.

`streaming.topics.tokens` decides who may have one. Pages of any origin may request one, but never with the cookies of
this site: a session without its CSRF token counts as anonymous.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpResponse
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.responses import answer, refusal
from streaming.topics.tokens import issue

from . import token_schemas
from .authentication import session_key_of
from .base import AsyncApiView
from .openapi import extend_schema
from .request_body import LimitedJsonParser
from .throttling import atake, channel_token_limits

PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "86400",
}


class ChannelTokenRequest(msgspec.Struct):
    """The body of a request. Further fields are ignored."""

    channel: str
    id: str | None = None


class SmallJsonParser(LimitedJsonParser):
    """A JSON body that anonymous clients may send."""

    limit = 16 * 1024


class ChannelTokenView(AsyncApiView):
    """Channel tokens."""

    parser_classes = [SmallJsonParser]
    session_refused: PermissionDenied | None = None

    def perform_authentication(self, request: Request) -> None:
        """Authenticate the request; a session without its CSRF token counts as anonymous.

        A Tangram front end on this site may have such a session.
        """
        try:
            super().perform_authentication(request)
        except PermissionDenied as refused:
            self.session_refused = refused

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Headers of every answer: pages of any origin may read it, and it is not cached."""
        return {**super().default_response_headers, "Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer a CORS preflight: what pages of other origins may send."""
        return HttpResponse(status=204, headers=PREFLIGHT)

    @extend_schema(**token_schemas.POST_CHANNEL_TOKEN)
    async def post(self, request: Request) -> HttpResponse:
        """A token for one channel."""
        await atake(channel_token_limits(request.user, request.META.get("REMOTE_ADDR", "")))
        body = request.data
        try:
            parsed = msgspec.convert(body, ChannelTokenRequest)
            issued = await issue(request.user, parsed.channel, parsed.id, session_key_of(request))
        except msgspec.ValidationError as error:
            return refusal(StreamError("bad_request", str(error)), 422)
        except StreamError as error:
            if error.code == "unauthenticated" and self.session_refused is not None:
                raise self.session_refused from None
            return refusal(error, 422 if error.code == "bad_request" else None)
        return answer(issued._asdict())
