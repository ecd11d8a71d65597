"""What one process runs for the Redis commands: the channels, the hashes, the layers, and the clients' CRSs. Started with the first client.

A name is a layer, if there is one that the user may read, or else a readable name of Redis. What may not be read is as what is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

from streaming.core.bus import Bus
from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service
from streaming.redis_data.hashes import Store, commands_url
from streaming.redis_data.names import readable

from .commands import RedisCommands
from .delivery.channels import Channels
from .delivery.layers import Layers
from .delivery.policies import policies
from .geojson.client_filters import Filters
from .geojson.crs import CrsCatalogue

if TYPE_CHECKING:
    from streaming.engine.client_connection import ClientConnection
    from streaming.engine.runtime import Runtime


CONFIRM_SECONDS = 1.0
"""How long a subscription waits for Redis. It is made once Redis is there, however long that takes."""


async def _confirmed(subscription: asyncio.Future[list[bool]]) -> None:
    await asyncio.wait([subscription], timeout=CONFIRM_SECONDS)


class RedisService(Service):
    """The Redis commands of one process. Made with the first client, for what it needs takes a moment to import."""

    def __init__(self, runtime: Runtime) -> None:
        """ImproperlyConfigured if a setting cannot be read."""
        super().__init__(runtime)
        policies(conf.REDIS_SLOW)
        self._bus = Bus(commands_url())
        self._store = Store()
        self.crs = CrsCatalogue()
        self.channels = Channels(self._bus, readable(conf.REDIS_READABLE))
        self.layers = Layers(runtime, self.channels)

    async def start(self) -> None:
        """Listen."""
        await self._bus.start()

    async def stop(self) -> None:
        """End the connections to Redis."""
        self.layers.stop()
        await self._bus.stop()
        await self._store.close()

    def collect(self) -> Iterable[Sample]:
        """Messages of channels, and what became of them."""
        channels = self.channels
        yield "geostream_redis_messages_total", (), channels.said
        yield "geostream_redis_bad_total", (), channels.bad
        yield "geostream_redis_deliveries_total", (), channels.delivered
        yield "geostream_redis_dropped_total", (), channels.dropped
        yield "geostream_redis_conflated_total", (), channels.conflated
        yield "geostream_redis_capped_total", (), self.capped

    @property
    def capped(self) -> int:
        """How often there was more than one `GET` is answered with."""
        return self._store.capped + self.layers.capped

    def commands(self, connection: ClientConnection) -> RedisCommands:
        """The commands of a new client, as the project has them."""
        kind = import_string(conf.REDIS_COMMANDS) if conf.REDIS_COMMANDS else RedisCommands
        commands: RedisCommands = kind(connection, self)
        return commands

    # -- reading -----------------------------------------------------------

    async def readable_by(self, name: str, commands: RedisCommands) -> bool:
        """Whether a client may read a name."""
        if await self.layers.has(name):
            return await self.layers.readable_by(name, commands.user)
        await commands.grants.found()
        return self.channels.allows(commands.listener, name)

    async def field(self, name: str, field: str) -> bytes | None:
        """One value of a hash, or one feature of a layer."""
        if await self.layers.has(name):
            return await self.layers.feature(name, field)
        return await self._store.field(name, field)

    async def values(self, name: str, filters: Filters | None = None) -> AsyncIterator[list[bytes]]:
        """The values of a hash, or the features of a layer, some at a time. Features that the filters keep out need not be among them."""
        pages = self.layers.features(name, filters) if await self.layers.has(name) else self._store.values(name)
        async for page in pages:
            yield page

    # -- listening ---------------------------------------------------------

    async def subscribe(self, commands: RedisCommands, name: str, reference: str | None) -> None:
        """Listen to a layer or a channel. `StreamError("forbidden")` without the right to, or another reason."""
        if not await self.readable_by(name, commands):
            raise StreamError("forbidden", "this name may not be read")
        if await self.layers.has(name):
            await self.layers.subscribe(commands.listener, name, reference)
        else:
            await _confirmed(self.channels.subscribe(commands.listener, name, reference))

    async def psubscribe(self, commands: RedisCommands, glob: str, reference: str | None) -> None:
        """Listen to the channels like a pattern that the client may read."""
        await commands.grants.found()
        await _confirmed(self.channels.psubscribe(commands.listener, glob, reference))

    def unsubscribe(self, commands: RedisCommands, name: str) -> None:
        """Listen no more."""
        self.layers.unsubscribe(commands.listener, name)
        self.channels.unsubscribe(commands.listener, name)

    def clear(self, commands: RedisCommands) -> None:
        """Listen to nothing."""
        self.layers.clear(commands.listener)
        self.channels.clear(commands.listener)

    def review(self, commands: RedisCommands) -> None:
        """Layers or the user have changed: who may not read something any more does not hear of it."""
        commands.grants.review()
        self.layers.review(commands.listener, commands.user)

    def remove(self, commands: RedisCommands) -> None:
        """The client is gone."""
        commands.grants.stop()
        self.layers.clear(commands.listener)
        self.channels.remove(commands.listener)
