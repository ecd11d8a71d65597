"""The cache of rendered tiles: each tile is rendered once, and kept while there is room.

A tile that was being rendered when its tileset was invalidated goes to those that wait for it, but is not kept.
"""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from streaming.core.errors import StreamError
from streaming.core.lru import LRU
from streaming.engine.conf import conf

from .change_feed import ChangedTiles
from .grid import Tile
from .images import sniff
from .single_flight import SingleFlightPool
from .sources.base import MIME, TileSource

GZIP_LEVEL = 6
ENTRY_BYTES = 400
"""What a kept tile costs beside its bytes; also an empty one."""

Key = tuple[str, int, int, int]


class RenderedTile(NamedTuple):
    """One version of one tile. `etag` is the hash of `data`: equal for equal bytes, in every process."""

    data: bytes
    mime: str
    etag: str


class TileCache:
    """LRU of the tiles of all tilesets of a process, bounded by bytes; also renders them.

    Safe from several threads and event loops.
    """

    def __init__(self, threads: int, cache_bytes: int) -> None:
        self.pool = SingleFlightPool(max(1, threads))
        self._tiles: LRU[Key, RenderedTile | None] = LRU(cache_bytes)
        self._lock = threading.Lock()
        self._invalidations: Counter[str] = Counter()

    @property
    def kept_bytes(self) -> int:
        """The bytes of all kept tiles, never more than the limit."""
        return self._tiles.cost

    def __len__(self) -> int:
        return len(self._tiles)

    async def get(self, tileset: str, source: Callable[[], TileSource], tile: Tile) -> RenderedTile | None:
        """One tile, None if it is empty. A rendering without a waiting caller is cancelled.

        `source` is called in the thread that renders, so that a kept tile is never older than the last invalidation.
        `StreamError("invalid_source")` if the tile cannot be rendered.
        """
        key = (tileset, *tile)
        with suppress(KeyError):
            return self._tiles[key]
        era = self._invalidations[tileset]
        try:
            async with asyncio.timeout(conf.TILE_SECONDS):
                return await self.pool.run((*key, era), lambda: self._render(key, source, era))
        except TimeoutError:
            raise StreamError("invalid_source", f"tile {tile.z}/{tile.x}/{tile.y} takes too long to be rendered") from None

    def kept(self, tileset: str, tile: Tile) -> RenderedTile | None:
        """The tile if it is kept (None: it is empty), else KeyError."""
        return self._tiles[(tileset, *tile)]

    async def gzipped(self, tile: RenderedTile) -> RenderedTile:
        """The tile as gzip, which is kept as tiles are; the tile itself if that is not smaller."""
        with suppress(KeyError):
            return self.kept_gzip(tile)
        return await self.pool.run(("gzip", tile.etag), lambda: self._compress(tile))

    def kept_gzip(self, tile: RenderedTile) -> RenderedTile:
        """The same if it is kept, else KeyError."""
        found = self._tiles[_gzip_key(tile)]
        return tile if found is None else found

    def peek(self, tileset: str, tile: Tile) -> RenderedTile | None:
        """The tile if it is kept and not empty."""
        return self._tiles.get((tileset, *tile))

    def invalidate(self, tileset: str, changed: ChangedTiles | None = None) -> list[Tile]:
        """Forget these tiles of a tileset, all if None. Returns those that were kept."""
        with self._lock:
            self._invalidations[tileset] += 1
            known = self._tiles.keys()
        kept = [Tile(*key[1:]) for key in known if key[0] == tileset]
        stale = kept if changed is None else changed.intersection(kept)  # without the lock: it takes long, and event loops wait
        return [tile for tile in stale if self._tiles.pop((tileset, *tile))]

    def close(self) -> None:
        """Render nothing more and forget everything."""
        self.pool.close()
        self._tiles.clear()

    def _compress(self, tile: RenderedTile) -> RenderedTile:
        data = gzip.compress(tile.data, GZIP_LEVEL, mtime=0)
        smaller = tile._replace(data=data) if len(data) < len(tile.data) else None
        self._tiles.put(_gzip_key(tile), smaller, ENTRY_BYTES + (len(data) if smaller else 0))
        return smaller or tile

    def _render(self, key: Key, source: Callable[[], TileSource], era: int) -> RenderedTile | None:
        tileset, z, x, y = key
        opened = source()
        data = opened.render(z, x, y)
        rendered = rendered_tile(data, _mime(data, opened.metadata.format)) if data else None
        with self._lock:  # or an invalidation could come between the two lines
            if self._invalidations[tileset] == era and opened.metadata.cacheable:
                self._tiles.put(key, rendered, ENTRY_BYTES + len(data or b""))
        return rendered


def _gzip_key(tile: RenderedTile) -> Key:
    return f"gzip {tile.etag}", 0, 0, 0  # no name of a tileset has a space


def _mime(data: bytes, format: str) -> str:
    """The media type of a tile. Some archives have images of several formats."""
    return MIME[format if format == "mvt" else sniff(data) or format]


def rendered_tile(data: bytes, mime: str) -> RenderedTile:
    """A tile of these bytes."""
    return RenderedTile(data, mime, blake2b(data, digest_size=16).hexdigest())
