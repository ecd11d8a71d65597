"""WebSocket endpoints."""

from __future__ import annotations

from django.urls import path, re_path

from streaming.engine.connection import NotFound

from .dialects.geo.consumer import GeoConnection
from .dialects.phoenix.routing import phoenix_urlpatterns
from .dialects.redis_commands.consumer import RedisConnection

websocket_urlpatterns = [
    path("ws", GeoConnection.as_asgi()),
    path("ws/redis", RedisConnection.as_asgi()),
    path("redis/", RedisConnection.as_asgi()),
    *phoenix_urlpatterns(),
    re_path(r"", NotFound.as_asgi()),
]
