"""The WebSocket endpoints of the Redis commands."""

from __future__ import annotations

from django.urls import path

from .consumer import RedisConnection

websocket_urlpatterns = [
    path("ws/redis", RedisConnection.as_asgi()),
    path("redis/", RedisConnection.as_asgi()),
]
