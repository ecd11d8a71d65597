"""/api/events: publishing an event to all subscribers of its type."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.responses import answer
from streaming.features.events import publish_event

from . import schemas
from .base import ApiView
from .openapi import extend_schema
from .permissions import CHANGE_LAYER


class EventsView(ApiView):
    """Events."""

    needs = {"POST": CHANGE_LAYER}

    @extend_schema(**schemas.POST_EVENT)
    def post(self, request: Request) -> HttpResponse:
        """Publish an event that happens now."""
        event = request.data
        if not isinstance(event, dict) or not event.keys() >= {"event_type", "payload"}:
            raise StreamError("bad_request", "an event is an object with event_type and payload")
        if unknown := event.keys() - {"event_type", "payload"}:
            raise StreamError("bad_request", f"an event has event_type and payload, not {', '.join(sorted(unknown))[:100]}")
        return answer({"cursor": publish_event(event["event_type"], event["payload"])}, 201)
