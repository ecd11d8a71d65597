"""The WebSocket endpoints of the installed parts."""

from __future__ import annotations

from django.urls import re_path

from .engine.registry import all_websocket_urlpatterns
from .engine.websocket import UnknownEndpoint

websocket_urlpatterns = [*all_websocket_urlpatterns(), re_path(r"", UnknownEndpoint.as_asgi())]
