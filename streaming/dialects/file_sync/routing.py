"""The WebSocket endpoint of file sync."""

from __future__ import annotations

from django.urls import path

from .consumer import FileSyncConnection

websocket_urlpatterns = [path("ws/files", FileSyncConnection.as_asgi())]
