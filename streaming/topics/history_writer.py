"""Who writes down what backends publish. All processes hear it, one of them keeps it: otherwise there would be doubles.

Every process holds what it has heard until it hears that it was kept. When the keeper dies another process takes over within a few
seconds and goes on where it stopped: messages come late, not never.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import islice
from typing import Any

from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError
from streaming.core.leader import claim, resign
from streaming.core.worker import Worker

from .bridge import is_json
from .history_store import KEEPER, KEPT, keep
from .messages import Message

logger = logging.getLogger(__name__)

RENEW_SECONDS = 1.0
LEASE_SECONDS = 3.0
"""How long messages wait, at most, when the keeper was killed, besides the second until somebody looks."""
BATCH, BATCH_BYTES = 200, 4 * 1024 * 1024
MOST_WAITING = 20_000
"""Messages that are held until they are kept."""
STOP_SECONDS = 2.0

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Keeper:
    """One process's part in this."""

    def __init__(self, bus: Bus, node: str, spawn: Spawn) -> None:
        self.keeping = False
        self._bus = bus
        self._node = node
        self._spawn = spawn
        self._heard: deque[Message] = deque()
        self._writing = 0
        self._forgotten = 0
        self._gaps = 0
        self._ended = False
        self._settled = asyncio.Event()
        self._settled.set()
        self._worker = Worker(self._write_some, lambda: self._heard if self.keeping else (), "the history of topics")
        bus.on_channel(KEEPER, self._announced)
        bus.on_channel(KEPT, self._kept)

    def hear(self, message: Message) -> None:
        """A backend has said something. Everything it says must come here, in order."""
        self._mind_gaps()
        self._heard.append(message)
        self._settled.clear()
        if len(self._heard) > MOST_WAITING and not self._writing:
            self._heard.popleft()
            self._forgotten += not self.keeping
        if self.keeping:
            self._worker.wake()

    async def renew(self) -> None:
        """Be the keeper, or remain it, if nobody else is. Whoever does not hear backends leaves it to others."""
        if self._bus.connected and not self._ended and not await claim(KEEPER, self._node, LEASE_SECONDS, self.keeping):
            self.keeping = False

    async def stop(self) -> None:
        """Keep what was heard, and let another process go on."""
        self._ended = True
        try:
            async with asyncio.timeout(STOP_SECONDS):
                if self.keeping:
                    await self._settled.wait()
                await resign(KEEPER, self._node)
        except (StreamError, TimeoutError) as error:
            logger.info("another process goes on keeping the history of topics in a few seconds: %s", error)
        self.keeping = False
        await self._worker.stop()

    # -- what all processes hear -------------------------------------------

    def _announced(self, arrivals: Sequence[Arrival]) -> None:
        """Whatever an earlier keeper has kept was heard before this."""
        node = arrivals[-1].payload.decode(errors="replace")
        self.keeping = node == self._node
        if self.keeping:
            self._forgotten = 0  # nobody else will keep them
            self._worker.wake()
        elif not node:
            self._spawn(self._step_in())

    async def _step_in(self) -> None:
        try:
            await self.renew()
        except StreamError as error:
            logger.warning("nobody keeps the history of topics for a moment: %s", error)

    def _kept(self, arrivals: Sequence[Arrival]) -> None:
        self._mind_gaps()
        if not self.keeping:
            self._let_go(sum(int(arrival.payload) for arrival in arrivals if arrival.payload.isdigit()))

    def _let_go(self, count: int) -> None:
        forgotten = min(count, self._forgotten)
        self._forgotten -= forgotten
        for _ in range(min(count - forgotten, len(self._heard))):
            self._heard.popleft()
        if not self._heard:
            self._settled.set()

    def _mind_gaps(self) -> None:
        """What was kept while nothing was heard is not known: what waited for it is taken as kept."""
        if self._gaps != self._bus.gaps and not self.keeping:
            self._heard.clear()
            self._forgotten = 0
        self._gaps = self._bus.gaps

    # -- keeping -----------------------------------------------------------

    async def _write_some(self) -> None:
        batch = _batch(self._heard)
        self._writing = len(batch)
        try:
            written = await keep(batch, self._node)
        finally:
            self._writing = 0
        if written:
            self._let_go(len(batch))
        else:
            self.keeping = False
            self._spawn(self._step_in())


def _batch(heard: deque[Message]) -> list[Message]:
    batch: list[Message] = []
    room = BATCH_BYTES
    for message in islice(heard, BATCH):
        message.binary = not is_json(message.payload)
        batch.append(message)
        room -= len(message.payload)
        if room <= 0:
            break
    return batch
