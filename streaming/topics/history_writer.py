"""Writes what backends publish to the histories of topics. All processes receive it, and one of them, the writer, stores it: otherwise
there would be doubles.

Every process holds a message until it receives the notice that it was written. When the writer dies another process takes over within a
few seconds and goes on where it stopped: messages come late, not never. Unlike a `Leader`, a writer that Redis did not answer for a while
remains the writer until another one is announced: what it holds must not be lost with its lease. A writer that may have missed messages
lets another process write, which may have received them; if there is none, it says that they are missing, and goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import islice
from typing import Any

from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError
from streaming.core.leader import claim, resign
from streaming.core.worker import Worker

from .bridge import is_json
from .history_store import WRITER, WRITTEN, keep
from .messages import TopicMessage

logger = logging.getLogger(__name__)

RENEW_SECONDS = 1.0
LEASE_SECONDS = 3.0
"""How long messages wait, at most, when the writer was killed, besides the second until another process looks."""
BATCH, BATCH_BYTES = 200, 4 * 1024 * 1024
MOST_WAITING = 20_000
"""Messages that are held until they are written."""
STOP_SECONDS = 2.0
MISSED = "geostream:history:missed"
"""The channel on which a writer announces that messages may be missing."""
MISSED_SECONDS = 0.5
"""How long a process that may have missed messages leaves it to others to become the writer."""

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class HistoryWriter:
    """One process's side of writing histories."""

    def __init__(self, bus: Bus, node: str, spawn: Spawn) -> None:
        self.keeping = False
        self._bus = bus
        self._node = node
        self._spawn = spawn
        self._pending: deque[TopicMessage] = deque()
        self._writing = 0
        self._dropped_early = 0
        self._gaps = 0
        self._missed = False
        self._claims_at = 0.0
        self._ended = False
        self._settled = asyncio.Event()
        self._settled.set()
        self._worker = Worker(self._write_some, lambda: self._pending if self.keeping else (), "the history of topics")
        bus.on_channel(WRITER, self._announced)
        bus.on_channel(WRITTEN, self._kept)
        bus.on_gap(self._gap)

    def add(self, message: TopicMessage) -> None:
        """A backend has published a message. All of them must come here, in order."""
        self._check_gaps()
        self._pending.append(message)
        self._settled.clear()
        if len(self._pending) > MOST_WAITING and not self._writing:
            self._pending.popleft()
            self._dropped_early += not self.keeping
        if self.keeping:
            self._worker.wake()

    async def renew(self) -> None:
        """Become the writer, or remain it, if no other process is. A process that does not receive messages leaves it to others."""
        if not self._bus.connected or self._ended or time.monotonic() < self._claims_at:
            return
        if not await claim(WRITER, self._node, LEASE_SECONDS, self.keeping):
            self.keeping = False

    async def stop(self) -> None:
        """Write what was received, and let another process go on."""
        self._ended = True
        try:
            async with asyncio.timeout(STOP_SECONDS):
                if self.keeping:
                    await self._settled.wait()
                await resign(WRITER, self._node)
        except (StreamError, TimeoutError) as error:
            logger.info("another process goes on writing the history of topics in a few seconds: %s", error)
        self.keeping = False
        await self._worker.stop()

    # -- what all processes receive -------------------------------------------

    def _announced(self, arrivals: Sequence[Arrival]) -> None:
        """Whatever an earlier writer has written was received before this."""
        node = arrivals[-1].payload.decode(errors="replace")
        self.keeping = node == self._node
        if self.keeping:
            self._dropped_early = 0  # no other process will write them
            if self._missed:
                self._bus.publish(MISSED, b"")
            self._worker.wake()
        elif not node:
            self._spawn(self._take_over())
            return
        self._missed = False

    def _gap(self, count: int | None) -> None:
        """Messages may be missing here. Another process may have them."""
        self._check_gaps()
        self._missed = True
        self._claims_at = time.monotonic() + MISSED_SECONDS
        asyncio.get_running_loop().call_later(MISSED_SECONDS, lambda: self._spawn(self._take_over()))
        if self.keeping:
            self.keeping = False
            self._spawn(self._let_others_write())

    async def _let_others_write(self) -> None:
        try:
            await resign(WRITER, self._node)
        except StreamError as error:
            logger.warning("no process writes the history of topics for a moment: %s", error)

    async def _take_over(self) -> None:
        try:
            await self.renew()
        except StreamError as error:
            logger.warning("no process writes the history of topics for a moment: %s", error)

    def _kept(self, arrivals: Sequence[Arrival]) -> None:
        self._check_gaps()
        if not self.keeping:
            self._drop_written(sum(int(arrival.payload) for arrival in arrivals if arrival.payload.isdigit()))

    def _drop_written(self, count: int) -> None:
        forgotten = min(count, self._dropped_early)
        self._dropped_early -= forgotten
        for _ in range(min(count - forgotten, len(self._pending))):
            self._pending.popleft()
        if not self._pending:
            self._settled.set()

    def _check_gaps(self) -> None:
        """What was written during a gap is not known: what waited for it is taken as written."""
        if self._gaps != self._bus.gaps and not self.keeping:
            self._pending.clear()
            self._dropped_early = 0
        self._gaps = self._bus.gaps

    # -- writing -----------------------------------------------------------

    async def _write_some(self) -> None:
        batch = _batch(self._pending)
        self._writing = len(batch)
        try:
            written = await keep(batch, self._node)
        finally:
            self._writing = 0
        if written:
            self._drop_written(len(batch))
        else:
            self.keeping = False
            self._spawn(self._take_over())


def _batch(pending: deque[TopicMessage]) -> list[TopicMessage]:
    batch: list[TopicMessage] = []
    room = BATCH_BYTES
    for message in islice(pending, BATCH):
        message.binary = not is_json(message.payload)
        batch.append(message)
        room -= len(message.payload)
        if room <= 0:
            break
    return batch
