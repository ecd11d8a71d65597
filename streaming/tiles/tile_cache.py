"""Rendered tiles: each made once, kept while there is room, known by the hash of its bytes.

What was being rendered when its tileset was invalidated is handed to those who waited, but never kept.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .change_feed import ChangedTiles
from .grid import Tile
from .single_flight import SingleFlightPool
from .sources.base import MIME, TileSource

ENTRY_BYTES = 400
"""What a kept tile costs beside its bytes, also an empty one."""

Key = tuple[str, int, int, int]


class RenderedTile(NamedTuple):
    """One version of one tile. `etag` is the hash of `data`: equal for equal bytes, in every process."""

    data: bytes
    mime: str
    etag: str


class TileCache:
    """The tiles of all tilesets of a process. Safe from several threads and event loops."""

    def __init__(self, threads: int, cache_bytes: int) -> None:
        self.flights = SingleFlightPool(max(1, threads))
        self._limit = cache_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, RenderedTile | None] = OrderedDict()
        self._bytes = 0
        self._invalidations: Counter[str] = Counter()

    @property
    def kept_bytes(self) -> int:
        """What the kept tiles cost, never more than the limit."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, tileset: str, source: Callable[[], TileSource], tile: Tile) -> RenderedTile | None:
        """One tile, None if it is empty. Cancelling the wait cancels a rendering that nobody else waits for.

        `source` is asked in the rendering thread, so that what is kept is never older than the last invalidation.
        `StreamError("invalid_source")` if it cannot be rendered.
        """
        key = (tileset, *tile)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            era = self._invalidations[tileset]
        try:
            async with asyncio.timeout(conf.TILE_SECONDS):
                return await self.flights.join((*key, era), lambda: self._render(key, source, era))
        except TimeoutError:
            raise StreamError("invalid_source", f"tile {tile.z}/{tile.x}/{tile.y} takes too long to be rendered") from None

    def kept(self, tileset: str, tile: Tile) -> RenderedTile | None:
        """The tile if it is there already and not empty."""
        return self._kept.get((tileset, *tile))

    def invalidate(self, tileset: str, touched: ChangedTiles | None = None) -> list[Tile]:
        """Forget these tiles of a tileset; without them, all. Returns those that were kept."""
        with self._lock:
            self._invalidations[tileset] += 1
            known = list(self._kept)
        kept = [Tile(*key[1:]) for key in known if key[0] == tileset]
        touched_now = kept if touched is None else touched.intersection(kept)  # takes long, and event loops wait for the lock
        gone = []
        for tile in touched_now:
            with self._lock:
                if (key := (tileset, *tile)) in self._kept:
                    self._bytes -= _cost(self._kept.pop(key))
                    gone.append(tile)
        return gone

    def close(self) -> None:
        """Render nothing more and forget everything."""
        self.flights.close()
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _render(self, key: Key, source: Callable[[], TileSource], era: int) -> RenderedTile | None:
        _, z, x, y = key
        opened = source()
        data = opened.render(z, x, y)
        rendered = None if not data else rendered_tile(data, MIME[opened.metadata.format])
        with self._lock:
            if self._invalidations[key[0]] == era and opened.metadata.keep:
                self._keep(key, rendered)
        return rendered

    def _keep(self, key: Key, rendered: RenderedTile | None) -> None:
        cost = _cost(rendered)
        if cost > self._limit or key in self._kept:
            return
        self._kept[key] = rendered
        self._bytes += cost
        while self._bytes > self._limit:
            self._bytes -= _cost(self._kept.popitem(last=False)[1])


def rendered_tile(data: bytes, mime: str) -> RenderedTile:
    """Bytes with their hash."""
    return RenderedTile(data, mime, blake2b(data, digest_size=16).hexdigest())


def _cost(rendered: RenderedTile | None) -> int:
    return ENTRY_BYTES + (len(rendered.data) if rendered else 0)
