"""A live layer as continuous processes follow it: every change once and in order, from a cursor on."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice

from channels.layers import get_channel_layer

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.hub import Hub
from streaming.core.items import Change, Item
from streaming.core.replica import Replica
from streaming.features.layers import LayerSettings, layer_feed

MOST_WAITING = 100_000
"""Changes that wait for a process that is slow. Were there more, it compares the whole layer with what it knows."""
MOST_TAKEN = 500
"""Changes that are taken at once: what is done with them holds nobody up."""


class _SharedHub:
    """The hub of one event loop. It runs while somebody uses it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._hub: Hub | None = None
        self._users = 0

    async def enter(self) -> Hub:
        async with self._lock:
            if self._hub is None:
                hub = Hub(get_channel_layer)
                await hub.start()
                self._hub = hub
            self._users += 1
            return self._hub

    async def leave(self) -> None:
        async with self._lock:
            self._users -= 1
            if not self._users and self._hub is not None:
                hub, self._hub = self._hub, None
                await hub.stop()


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _SharedHub] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def worker_hub() -> AsyncIterator[Hub]:
    """The hub of this worker, which all its continuous jobs share."""
    shared = _hubs.setdefault(asyncio.get_running_loop(), _SharedHub())
    hub = await shared.enter()
    try:
        yield hub
    finally:
        await asyncio.shield(shared.leave())  # whole, also if the job is cancelled meanwhile: the next one waits for it


class LiveLayer:
    """The changes of one layer for one reader. `items` are the features as of the `cursor`, which goes on as changes are taken."""

    def __init__(self, replica: Replica, since: Cursor | None = None) -> None:
        self._replica = replica
        self._waiting: deque[Change] = deque()
        self._replaced = False
        self._stirred = asyncio.Event()
        self.items: dict[str, Item] = {}
        self.cursor = replica.cursor
        self._load()
        if since is not None:
            self._go_back_to(since)
        replica.observe(self)

    @classmethod
    async def follow(cls, hub: Hub, layer: LayerSettings, since: str | None = None) -> LiveLayer:
        """Follow a layer from now on, or from a cursor: if the log does not reach that any more, `cursor` is another one."""
        replica = await hub.replica(layer_feed(layer))
        cursor = _parsed(since)
        reached = cursor is not None and await hub.reach(replica, cursor)
        return cls(replica, cursor if reached else None)  # nothing awaits in between

    async def take(self, seconds: float) -> Sequence[Change] | None:
        """The next changes; none if none came for so many seconds. None: they are not known, and `items` is the whole new state."""
        if not self._waiting and not self._replaced:
            self._stirred.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._stirred.wait()
            except TimeoutError:
                return ()
        if self._replaced:
            self._load()
            return None
        taken = [self._waiting.popleft() for _ in range(min(MOST_TAKEN, len(self._waiting)))]
        for change in taken:
            if change.new is None:
                self.items.pop(change.key, None)
            else:
                self.items[change.key] = change.new
        self.cursor = Cursor(self.cursor.epoch, taken[-1].seq)
        return taken

    def close(self) -> None:
        """Follow it no more."""
        self._replica.unobserve(self)

    def changed(self, changes: Sequence[Change]) -> None:
        """What happened in one turn."""
        self._waiting.extend(changes)
        if len(self._waiting) > MOST_WAITING:
            self.replaced()
        self._stirred.set()

    def replaced(self, different: object = None) -> None:
        """Changes may be missing."""
        self._waiting.clear()
        self._replaced = True
        self._stirred.set()

    def _load(self) -> None:
        self._waiting.clear()
        self._replaced = False
        self.items = dict(self._replica.items)
        self.cursor = self._replica.cursor

    def _go_back_to(self, since: Cursor) -> None:
        recent = self._replica.recent
        missed = list(islice(recent, max(0, since.seq + 1 - recent[0].seq), None)) if recent else []
        for change in reversed(missed):
            if change.old is None:
                self.items.pop(change.key, None)
            else:
                self.items[change.key] = change.old
        self._waiting.extend(missed)
        self.cursor = since


def _parsed(cursor: str | None) -> Cursor | None:
    try:
        return None if cursor is None else Cursor.parse(cursor)
    except StreamError:
        return None
