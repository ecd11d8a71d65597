"""WebSocket endpoints."""

from __future__ import annotations

from django.urls import path, re_path

from .connection import NotFound
from .dialects.geo.consumer import GeoConnection

websocket_urlpatterns = [
    path("ws", GeoConnection.as_asgi()),
    re_path(r"", NotFound.as_asgi()),
]
