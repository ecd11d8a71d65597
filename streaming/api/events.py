"""/api/events: publishing an event to all subscribers of its type."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.responses import answer
from streaming.features.events import CLIENT_EVENT_TYPES, publish_event

from . import schemas
from .base import ApiView
from .openapi import extend_schema
from .permissions import CHANGE_LAYER
from .tracing import traced

MAX_KEY = 255
"""Characters of an idempotency key."""


class EventsView(ApiView):
    """Events."""

    publishes = True
    needs = {"POST": CHANGE_LAYER}

    @extend_schema(**schemas.POST_EVENT)
    @traced("events")
    def post(self, request: Request) -> HttpResponse:
        """Publish an event that happens now."""
        event = request.data
        if not isinstance(event, dict) or not event.keys() >= {"event_type", "payload"}:
            raise StreamError("bad_request", "an event is an object with event_type and payload")
        if unknown := event.keys() - {"event_type", "payload"}:
            raise StreamError("bad_request", f"an event has event_type and payload, not {', '.join(sorted(unknown))[:100]}")
        if event["event_type"] not in CLIENT_EVENT_TYPES:
            raise StreamError("bad_request", f"event_type must be one of {', '.join(CLIENT_EVENT_TYPES)}")
        return answer({"cursor": publish_event(event["event_type"], event["payload"], _idempotency_key(request))}, 201)


def _idempotency_key(request: Request) -> str | None:
    """The header `Idempotency-Key`, with or without quotes. Users do not share keys. `StreamError("bad_request")`."""
    given = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if given is None:
        return None
    key = given.strip().strip('"')
    if not 0 < len(key) <= MAX_KEY:
        raise StreamError("bad_request", f"an Idempotency-Key has 1 to {MAX_KEY} characters")
    return f"{request.user.pk}:{key}"
