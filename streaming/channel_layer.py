"""The Channels Redis layer, on the Redis GeoStream uses and with the timeouts it needs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import redis.asyncio as aioredis
from channels_redis.pubsub import RedisPubSubChannelLayer, RedisSingleShardConnection
from channels_redis.utils import create_pool
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from .core.redis import redis_url
from .core.redis_pools import FOLLOW_SECONDS, AsyncPrimaryPool, async_blocking_pool

WAIT_SECONDS = 10.0
"""How long a message is waited for before it is looked whether the connection needs a sign of life."""


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

    def _get_layer(self) -> Any:
        known = asyncio.get_running_loop() in self._layers
        layer = super()._get_layer()
        if not known:
            layer._shards = [_Shard(shard.host, layer) for shard in layer._shards]
        return layer


class _Shard(RedisSingleShardConnection):  # type: ignore[misc]
    """The connections to one Redis, of which the subscribing one waits patiently."""

    _redis: aioredis.Redis | None

    def _ensure_redis(self) -> None:
        if self._redis is None:
            host = dict(self.host)
            pool = async_blocking_pool(host.pop("address"), **host) if "address" in host else create_pool(host)
            self._redis = aioredis.Redis(connection_pool=pool)
            self._pubsub = _PatientPubSub(pool)


class _PatientPubSub(PubSub):
    """Waits for messages. Upstream's layer asks ten times a second whether there is one, which wakes a process that has nothing to do."""

    async def get_message(self, ignore_subscribe_messages: bool = False, timeout: float | None = 0.0) -> Any:
        """The next message; None after a while without one."""
        follows = isinstance(self.connection_pool, AsyncPrimaryPool)
        message = await super().get_message(ignore_subscribe_messages, FOLLOW_SECONDS if follows else WAIT_SECONDS)
        if message is None and follows:
            await self._follow_primary()
        return message

    async def _follow_primary(self) -> None:
        """Be on the server that is the primary now, also if the old one hangs or is cut off."""
        connection: Any = self.connection
        pool: Any = self.connection_pool
        with suppress(RedisError, OSError):
            if connection is not None and await pool.get_master_address() != (connection.host, connection.port):
                await connection.disconnect()  # it is opened again, with what is subscribed to
