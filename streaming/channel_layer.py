"""The Channels Redis layer, on the Redis GeoStream uses and with the timeouts it needs."""

from __future__ import annotations

from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

from .core.redis import redis_url


class ChannelLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # untyped upstream
    """`hosts` defaults to GeoStream's own Redis, asked for when the layer is first used."""

    def __init__(self, hosts: list[Any] | None = None, **config: Any) -> None:
        host = {
            "address": redis_url(),
            "socket_timeout": None,  # redis-py 8 would cut idle subscribers after 5 seconds
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 30,
            "max_connections": 50,
        }
        super().__init__(hosts=hosts or [host], **config)
