"""Feeds layers from Redis: GeoJSON that others publish there is on the map, and in every dialect.

All processes receive what is published, but only the leader stores it: a second process that lags would put old places back over new
ones. Every process holds what it has received for a few seconds, so that when the leader dies the next one goes on where it stopped.
Hashes of the same names are read when a process becomes the leader, and again every `GEOSTREAM_REDIS_LAYERS_SECONDS`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection, Sequence

from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.leader import LEASE_SECONDS, RENEW_SECONDS, Leader
from streaming.core.worker import Worker
from streaming.engine.conf import conf

from .hashes import HashReader, commands_url
from .layer_writer import LayerWriter, ReceivedValue
from .sources import LayerSources

logger = logging.getLogger(__name__)

FEEDER = COMMON + "redis:feeder"
"""The key with the node that feeds."""
HOLD_SECONDS = LEASE_SECONDS + RENEW_SECONDS
"""What is older was stored by a leader that is alive."""
BATCH = 500
MAX_WAITING, MAX_WAITING_BYTES = 20_000, 64 * 1024 * 1024
"""Values that wait to be stored, and their bytes; beyond, the oldest are dropped."""
STOP_SECONDS = 2.0


class LayerFeeder:
    """One process's part in feeding layers. `ImproperlyConfigured` if the setting cannot be read."""

    def __init__(self, node: str) -> None:
        self.writer = LayerWriter()
        self.dropped = 0
        """Values that came faster than this process could store them, while it fed."""
        self._sources = LayerSources(conf.REDIS_LAYERS)
        self._bus = Bus(commands_url(), most_waiting_bytes=conf.BUS_WAITING_BYTES)
        self._hashes = HashReader()
        self._received: deque[ReceivedValue] = deque()
        self._received_bytes = 0
        self._batch: list[ReceivedValue] = []
        self._begins = self._latest_only = False
        self._pages: AsyncGenerator[list[ReceivedValue], None] | None = None
        self._read_at = 0.0
        self._gaps = 0
        self._worker = Worker(self._step, self._waiting, "what feeds layers")
        self._settled = asyncio.Event()
        self._leader = Leader(FEEDER, node, "feeds layers", able=lambda: self._bus.connected, on_lead=self._lead, on_follow=self._follow)

    @property
    def feeding(self) -> bool:
        """Whether this is the process that stores."""
        return self._leader.leading

    @property
    def stored(self) -> int:
        """Features that this process has put into layers, changed or not, those of a hash each time it is read ..."""
        return self.writer.stored

    @property
    def refused(self) -> int:
        """... those that were not valid, had no id or found no room ..."""
        return self.writer.refused

    @property
    def bad(self) -> int:
        """... and values that were no GeoJSON at all."""
        return self.writer.bad

    @property
    def gaps(self) -> int:
        """How often messages may have been missed. Hashes of the same names are read again then, if this process feeds."""
        return self._bus.gaps

    async def start(self) -> None:
        """Subscribe, and feed if no other process does."""
        for pattern in self._sources.names.patterns:
            self._bus.on_pattern(pattern, self._receive)
        for name in self._sources.names.exact:
            self._bus.on_channel(name, self._receive)
        await self._bus.start()
        self._leader.start()

    async def stop(self) -> None:
        """Store what was received, and let another process go on."""
        await self._bus.stop()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                while self.feeding and (self._batch or self._received):
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            logger.info("another process goes on feeding layers in a few seconds")
        await self._leader.stop()
        await self._worker.stop()
        if self._pages is not None:
            await self._pages.aclose()
        await self._hashes.close()
        await self._leader.resign()

    # -- leading -----------------------------------------------------------

    def _lead(self, began: bool) -> None:
        now = time.monotonic()
        self._begins = self._begins or began
        if began or self._is_due(now):
            self._pages, self._read_at, self._gaps = self._stored(), now, self._bus.gaps
        self._worker.wake()

    def _follow(self, tried_at: float) -> None:
        self._forget(tried_at - HOLD_SECONDS)

    def _is_due(self, now: float) -> bool:
        """Whether hashes have to be read again: it is time, or messages were missed."""
        every = conf.REDIS_LAYERS_SECONDS
        return self._gaps != self._bus.gaps or bool(every and self._pages is None and now - self._read_at >= every)

    # -- receiving ---------------------------------------------------------

    def _receive(self, arrivals: Sequence[Arrival]) -> None:
        now = time.monotonic()
        for arrival in arrivals:
            name = arrival.channel.decode(errors="replace")
            layer = self._sources.layer_of(name)
            if layer is not None:
                self._received.append(ReceivedValue(now, name, layer, arrival.payload))
                self._received_bytes += len(arrival.payload)
        while len(self._received) > MAX_WAITING or self._received_bytes > MAX_WAITING_BYTES:
            self._pop()
            self.dropped += self.feeding
        if self.feeding:
            self._worker.wake()

    def _forget(self, before: float) -> None:
        self._batch = [value for value in self._batch if value.received_at >= before]
        while self._received and self._received[0].received_at < before:
            self._pop()

    def _pop(self) -> ReceivedValue:
        oldest = self._received.popleft()
        self._received_bytes -= len(oldest.value)
        return oldest

    # -- storing -----------------------------------------------------------

    def _waiting(self) -> Collection[object]:
        if not self.feeding:
            return ()
        return self._batch or self._received or ([] if self._pages is None else [self._pages])

    async def _step(self) -> None:
        """Store a batch of what was received, then a page of the hashes.

        A process that begins to lead stores all that it has held at once, and of each feature nothing but the last.
        """
        if not self._batch:
            self._latest_only, self._begins = self._begins, False
            count = len(self._received)
            self._batch = [self._pop() for _ in range(count if self._latest_only else min(BATCH, count))]
        await self.writer.write(self._batch, self._latest_only)
        self._batch = []
        if self._pages is not None:
            await self._read()
        if not self._received:
            self._settled.set()

    async def _read(self) -> None:
        pages = self._pages
        assert pages is not None
        try:
            page = await anext(pages, None)
            if page is not None:
                await self.writer.write(page)
        except StreamError:
            self._pages = self._stored()  # from the beginning: what is stored already costs little
            raise
        if page is None and self._pages is pages:
            self._pages = None

    async def _stored(self) -> AsyncGenerator[list[ReceivedValue], None]:
        """The values in the hashes, page by page."""
        for name in self._sources.names.exact:
            async for page in self._hash(name):
                yield page
        for pattern in self._sources.names.patterns:
            async for names in self._hashes.names(pattern):
                for name in names:
                    async for page in self._hash(name):
                        yield page

    async def _hash(self, name: str) -> AsyncGenerator[list[ReceivedValue], None]:
        layer = self._sources.layer_of(name)
        if layer is not None:
            async for values in self._hashes.values(name, most=sys.maxsize):
                yield [ReceivedValue(0.0, name, layer, value) for value in values]
