"""The service of the Redis commands in one process: channels, hashes, layers, and the clients' CRSs. It starts with the first client.

A name is a layer, if there is one of that name, or else a name of Redis. Without the right to read it, a client gets the same answer as if
it were not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from streaming.core.bus import Bus
from streaming.core.errors import StreamError
from streaming.core.runs import PIECE_SECONDS
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service
from streaming.engine.work import WorkQueue
from streaming.redis_data.hashes import HashReader, commands_url
from streaming.redis_data.names import readable_names

from .answers import Answers
from .delivery.channels import ChannelSubscriptions
from .delivery.dispatcher import Dispatcher
from .delivery.layers import LayerSubscriptions
from .delivery.policies import slow_client_policies
from .delivery.subscribers import Subscriber
from .envelopes import error
from .geojson.client_filters import ClientFilters, Sight
from .geojson.crs import CrsCatalogue
from .layer_reader import LayerReader
from .permissions import UserPermissions
from .sights_in_use import SightsInUse

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

CONFIRM_SECONDS = 1.0
"""How long a subscription waits for Redis. It is made once Redis is there, however long that takes."""


class Client(Protocol):
    """One client, as the service sees it."""

    subscriber: Subscriber
    permissions: UserPermissions

    def __hash__(self) -> int: ...

    @property
    def user(self) -> Any:
        """The Django user, or `AnonymousUser`."""


class RedisCommandsService(Service):
    """What all clients of the Redis commands share."""

    def __init__(self, runtime: Runtime) -> None:
        """ImproperlyConfigured if a setting cannot be read."""
        super().__init__(runtime)
        slow_client_policies(conf.REDIS_SLOW)
        self.crs = CrsCatalogue()
        self.in_use = SightsInUse()
        self._bus = Bus(commands_url(), most_waiting_bytes=conf.BUS_WAITING_BYTES)
        self._hash_reader = HashReader()
        self._layer_reader = LayerReader(runtime.hub)
        self._answers = Answers(runtime.service(WorkQueue))
        self.dispatcher = Dispatcher(runtime.service(WorkQueue))
        self.channels = ChannelSubscriptions(self._bus, readable_names(conf.REDIS_READABLE), self.dispatcher)
        self.layers = LayerSubscriptions(runtime.hub, self.channels)
        self._bus.on_gap(self._notify_of_gap)

    async def start(self) -> None:
        """Connect to Redis."""
        await self._bus.start()

    async def stop(self) -> None:
        """End the connections to Redis."""
        self.layers.stop()
        self.dispatcher.stop()
        await self._bus.stop()
        await self._hash_reader.close()

    def collect(self) -> Iterable[Sample]:
        """Messages of channels, and what became of them."""
        channels = self.channels
        yield "geostream_redis_messages_total", (), channels.received
        yield "geostream_redis_bad_total", (), self.dispatcher.bad
        yield "geostream_redis_deliveries_total", (), channels.total("delivered")
        yield "geostream_redis_dropped_total", (), channels.total("dropped")
        yield "geostream_redis_overrun_total", (), self.dispatcher.lanes.dropped
        yield "geostream_redis_conflated_total", (), channels.total("conflated") + self.dispatcher.lanes.replaced
        yield "geostream_redis_capped_total", (), self._hash_reader.truncated + self._answers.capped
        yield "geostream_redis_gaps_total", (), self._bus.gaps

    def _notify_of_gap(self, count: int | None) -> Iterator[None]:
        """Messages of channels may be missing here: the clients that want errors are sent one."""
        notice = [error("gap", "messages of channels may be missing before this one")]
        until = perf_counter() + PIECE_SECONDS
        for subscriber in list(self.channels.subscribers):
            if subscriber.wants_gaps and (subscriber.channels or subscriber.patterns):
                subscriber.deliver(notice, {})
            if perf_counter() > until:
                yield
                until = perf_counter() + PIECE_SECONDS

    # -- reading -----------------------------------------------------------

    async def readable_by(self, name: str, client: Client) -> bool:
        """Whether a client may read a name."""
        if await self._is_layer(name, client):
            return True
        await client.permissions.load()
        return self.channels.allows(client.subscriber, name)

    async def field(self, name: str, field: str, filters: ClientFilters | None = None, client: Client | None = None) -> bytes | None:
        """One value of a hash, or one feature of a layer, in the projection of these filters; None if it is not there."""
        reader = self._layer_reader.feature if await self._is_layer(name, client) else self._hash_reader.field
        return await self._answers.one(await reader(name, field), Sight() if filters is None else filters.sight, client)

    async def values(self, name: str, filters: ClientFilters | None = None, client: Client | None = None) -> AsyncIterator[list[bytes]]:
        """The values of a hash, or the features of a layer, as these filters show them, some at a time."""
        sight = Sight() if filters is None else filters.sight
        layer = await self._is_layer(name, client)
        pages = self._layer_reader.features(name, sight.area) if layer else self._hash_reader.values(name)
        async for contents in self._answers.all(pages, sight, client):
            yield contents

    async def _is_layer(self, name: str, client: Client | None) -> bool:
        """Whether this is a layer that the client may read. To others it is as if it were not there: its name is one of Redis."""
        if client is None:
            return await self._layer_reader.has(name)
        return await self._layer_reader.readable_by(name, client.user)

    # -- subscriptions -----------------------------------------------------

    async def subscribe(self, client: Client, name: str, reference: str | None) -> None:
        """Subscribe to a layer or a channel. `StreamError("forbidden")` without the right to, or another reason."""
        if not await self.readable_by(name, client):
            raise StreamError("forbidden", "this name may not be read")
        if await self._is_layer(name, client):
            await self.layers.subscribe(client.subscriber, name, reference)
        else:
            await asyncio.wait([self.channels.subscribe(client.subscriber, name, reference)], timeout=CONFIRM_SECONDS)

    async def psubscribe(self, client: Client, glob: str, reference: str | None) -> None:
        """Subscribe to the channels that a pattern matches and that the client may read."""
        await client.permissions.load()
        await asyncio.wait([self.channels.psubscribe(client.subscriber, glob, reference)], timeout=CONFIRM_SECONDS)

    def unsubscribe(self, client: Client, name: str) -> None:
        """End a subscription to a layer or a channel."""
        self.layers.unsubscribe(client.subscriber, name)
        self.channels.unsubscribe(client.subscriber, name)

    def clear(self, client: Client) -> None:
        """End all subscriptions of a client."""
        self.layers.clear(client.subscriber)
        self.channels.clear(client.subscriber)

    def review(self, client: Client) -> None:
        """Layers or the user have changed: end the subscriptions to what the client may not read any more."""
        client.permissions.review()
        self.layers.review(client.subscriber, client.user)

    def remove(self, client: Client) -> None:
        """Forget a client that is gone."""
        client.permissions.stop()
        self.in_use.change(client.subscriber.filters.sight, Sight())
        self.layers.clear(client.subscriber)
        self.channels.remove(client.subscriber)
