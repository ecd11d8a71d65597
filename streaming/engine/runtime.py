"""What one server process runs: the hub, the open connections, and the jobs that look after them.
Started by the server's lifespan or, where there is none (daphne), by the first connection. `running()` is how threads of the same
process find it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from channels.layers import get_channel_layer

from streaming.core.errors import CloseCode, StreamError
from streaming.core.hub import Hub
from streaming.core.leases import Leases
from streaming.features.layers import LayerSettings, catalogue
from streaming.tiles.tilesets import TilesetSettings, tilesets

from .conf import conf

if TYPE_CHECKING:
    from streaming.dialects.phoenix.polls import Polls
    from streaming.dialects.redis_commands.service import RedisService
    from streaming.feeding.service import Feeding
    from streaming.tiles.live_tilesets import LiveTilesets
    from streaming.topics.service import Topics

    from .auth import Principal
    from .connection import Peer

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
TICK_SLICE = 500


class Runtime:
    """One process's engine."""

    def __init__(self) -> None:
        self.hub = Hub(get_channel_layer)
        self.leases = Leases(self.hub.node, conf.NODE_TTL_SECONDS)
        self.topics: Topics
        self.polls: Polls
        self._redis_commands: RedisService | None = None
        self._feeding: Feeding | None = None
        self.connections: dict[str, Peer] = {}
        self.past_received: Counter[str] = Counter()  # messages of connections that are gone, by dialect
        self.past_sent: Counter[str] = Counter()
        self.endings: Counter[tuple[str, str]] = Counter()  # connections that ended, by dialect and name of the close code
        self.refused: Counter[str] = Counter()  # connections, by whose limit was reached
        self._per_address: Counter[str] = Counter()
        self._per_user: Counter[int] = Counter()
        self._opened = 0
        self._layers: tuple[dict[str, LayerSettings], dict[str, TilesetSettings]] | None = None
        self._tiles: LiveTilesets | None = None

    @property
    def tiles(self) -> LiveTilesets:
        """The tilesets that somebody here looks at."""
        if self._tiles is None:
            from streaming.tiles.live_tilesets import LiveTilesets  # what it needs takes a moment to import

            self._tiles = LiveTilesets(self.hub)
        return self._tiles

    @property
    def started_redis_commands(self) -> RedisService | None:
        """The Redis commands, if anybody has spoken them yet."""
        return self._redis_commands

    @property
    def redis_commands(self) -> RedisService:
        """The Redis commands, from their first client on."""
        if self._redis_commands is None:
            from streaming.dialects.redis_commands.service import RedisService  # what it needs takes a moment to import

            self._redis_commands = RedisService(self)
            self.topics.spawn(self._redis_commands.start())
        return self._redis_commands

    async def start(self) -> None:
        """Start the hub and the jobs."""
        from streaming.features.expiry import expire_layers
        from streaming.topics.tokens import announce_open_tokens

        from .exposition import SHARE_SECONDS, Exposition
        from .metrics import LOOK_SECONDS, EngineMetrics
        from .recorder import Recorder

        announce_open_tokens()
        from streaming.dialects.phoenix.polls import Polls
        from streaming.topics.service import Topics

        await self.hub.start()
        await self.leases.renew()
        for seconds, job in self.leases.jobs:
            self.hub.every(seconds, job)
        self.hub.on("connection.close", lambda message: self._disconnect(message["connection"]))
        self.hub.on("layers.changed", lambda message: self._layers_changed())
        self.hub.every(TICK_SECONDS, self._tick)
        self.hub.every(1.0, expire_layers)
        self.hub.every(max(conf.AUTH_CACHE_SECONDS, TICK_SECONDS), self.watch_layers)
        self.topics = Topics(self)
        self.polls = Polls(self, self.topics.bus)
        await self.topics.start()
        engine = EngineMetrics(self)
        self.exposition = Exposition(self.hub.node, engine.read)
        self.hub.every(LOOK_SECONDS, engine.lag.look)
        self.hub.every(SHARE_SECONDS, self.exposition.share)
        if conf.REDIS_LAYERS:
            from streaming.feeding.service import Feeding

            self._feeding = Feeding(self.hub.node)
            await self._feeding.start()
        self.recorder = Recorder(self)
        if conf.RECORD_SECONDS:
            self.hub.every(conf.RECORD_SECONDS, self.recorder.write)

    async def stop(self) -> None:
        """Stop; connections have been closed by the server."""
        from streaming.tiles.service import close_tile_service

        if self._tiles is not None:
            self._tiles.stop()
        self.polls.stop()
        if self._redis_commands is not None:
            await self._redis_commands.stop()
        if self._feeding is not None:
            await self._feeding.stop()
        await self.topics.stop()
        await self.leases.farewell()
        await self.hub.stop()
        close_tile_service()
        await self.recorder.farewell()

    def admit(self, address: str, principal: Principal | None = None) -> None:
        """`StreamError("too_many_connections")` if there is no room for one more."""
        if len(self.connections) >= conf.MAX_CONNECTIONS:
            raise self._full("process", "this server has as many connections as it may")
        if self._per_address[address] >= conf.MAX_CONNECTIONS_PER_ADDRESS:
            raise self._full("address", "your address has as many connections as it may")
        if principal is not None:
            self._admit_user(principal)

    def reassign(self, connection: Peer, principal: Principal) -> None:
        """An open connection acts for somebody else from now on. `StreamError("too_many_connections")`."""
        before, now = connection.principal.user_id, principal.user_id
        if before != now:
            self._admit_user(principal)
            _less(self._per_user, before)
            if now is not None:
                self._per_user[now] += 1
        connection.principal = principal

    def opened(self, connection: Peer) -> None:
        """A connection was accepted."""
        self._opened += 1
        connection.id = f"{self.hub.node}.{self._opened}"
        self.connections[connection.id] = connection
        self._per_address[connection.address] += 1
        if connection.principal.user_id is not None:
            self._per_user[connection.principal.user_id] += 1

    def closed(self, connection: Peer) -> None:
        """A connection is gone."""
        del self.connections[connection.id]
        self.past_received[connection.session.dialect] += connection.received
        self.past_sent[connection.session.dialect] += connection.outbox.sent
        _less(self._per_address, connection.address)
        _less(self._per_user, connection.principal.user_id)

    def _admit_user(self, principal: Principal) -> None:
        if principal.user_id is not None and self._per_user[principal.user_id] >= conf.MAX_CONNECTIONS_PER_USER:
            raise self._full("user", "you have as many connections as you may")

    def _full(self, limit: str, message: str) -> StreamError:
        self.refused[limit] += 1
        return StreamError("too_many_connections", message)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        for count, connection in enumerate(list(self.connections.values())):
            if count % TICK_SLICE == TICK_SLICE - 1:
                await asyncio.sleep(0)
            connection.tick(time.monotonic(), loop.time())

    def _disconnect(self, connection_id: str) -> None:
        connection = self.connections.get(connection_id)
        if connection is not None:
            connection.close(CloseCode.DISCONNECTED, "disconnected by an operator")

    def _layers_changed(self) -> None:
        catalogue.clear()
        tilesets.clear()
        for connection in list(self.connections.values()):
            connection.session.layers_changed()

    async def watch_layers(self) -> None:
        """Notice changed layers and tilesets also where the notice was lost: nobody goes on reading one that is not public any more."""
        layers = await catalogue.all(), await tilesets.all()
        if self._layers is not None and layers != self._layers:
            self._layers_changed()
        self._layers = layers


def _less(counts: Counter[Any], key: Hashable) -> None:
    """One fewer; what is down to none is forgotten."""
    if counts[key] > 1:
        counts[key] -= 1
    else:
        del counts[key]


_current: Runtime | None = None
_starting: asyncio.Task[Runtime] | None = None


def running() -> Runtime | None:
    """The runtime of this process, if it has one."""
    return _current


async def get_runtime() -> Runtime:
    """The runtime of this process and event loop, started if need be."""
    global _starting
    loop = asyncio.get_running_loop()
    if _current is not None and _current.hub.loop is loop:
        return _current
    if _starting is None or _starting.get_loop() is not loop:
        _starting = asyncio.create_task(_start())
    try:
        return await asyncio.shield(_starting)
    finally:
        if _starting is not None and _starting.done():
            _starting = None


async def _start() -> Runtime:
    global _current
    runtime = Runtime()
    await runtime.start()
    _current = runtime
    return runtime


async def stop_runtime() -> None:
    """Stop this process's runtime."""
    global _current
    runtime, _current = _current, None
    if runtime is not None:
        await runtime.stop()


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI lifespan: start before the first request, stop after the last."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await get_runtime()
            except StreamError as error:
                await send({"type": "lifespan.startup.failed", "message": error.message})
                return
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await stop_runtime()
            await send({"type": "lifespan.shutdown.complete"})
            return
