"""The WebSocket endpoints: Phoenix's clients append `/websocket` to whatever address they were given."""

from __future__ import annotations

from django.urls import path

from .consumer import PhoenixConnection
from .prefixes import prefixes

websocket_urlpatterns = [path(f"{prefix}websocket", PhoenixConnection.as_asgi()) for prefix in prefixes()]
