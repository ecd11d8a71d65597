"""The WebSocket endpoint of the geo protocol."""

from __future__ import annotations

from django.urls import path

from .consumer import GeoConnection

websocket_urlpatterns = [path("ws", GeoConnection.as_asgi())]
