"""The WebSocket endpoint of workers."""

from __future__ import annotations

from django.urls import path

from .consumer import WorkerConnection

websocket_urlpatterns = [path("ws/processes", WorkerConnection.as_asgi())]
