"""The way to a tile: opens sources when they are first asked for, and again when they have changed.

A source is looked at again at most every `GEOSTREAM_TILE_CHECK_SECONDS`, while somebody asks; whoever learns of a change earlier calls
`store.invalidate` or `reopen`. All that blocks happens in the store's threads.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .change_feed import ChangedTiles
from .grid import Tile, tile_exists, touches
from .single_flight import SingleFlightPool
from .source_kinds import open_source, version_of
from .sources.base import SourceClosed, TileMetadata, TileSource
from .tile_cache import RenderedTile, TileCache
from .tilesets import TilesetSettings

OPENING_THREADS = 2
"""That sources are opened in, so that a change is not seen only after all that waits to be rendered."""
UNBOUNDED = ("layer", "directory")
"""Kinds whose tiles come and go; the bounds are those of what there was."""


@dataclass(slots=True)
class OpenTileset:
    """A tileset that is open. `metadata` is the source's, with what the settings say instead."""

    settings: TilesetSettings
    source: TileSource
    metadata: TileMetadata
    version: Hashable
    checked: float


class TileRenderer:
    """All tilesets of a process."""

    def __init__(self) -> None:
        self.store = TileCache(conf.TILE_THREADS, conf.TILE_CACHE_BYTES)
        self._opened: dict[str, OpenTileset] = {}
        self._lock = Lock()
        self._opening: defaultdict[str, Lock] = defaultdict(Lock)
        self._openings = SingleFlightPool(OPENING_THREADS)

    async def tile(self, tileset: TilesetSettings, tile: Tile) -> RenderedTile | None:
        """One tile, None if it is empty. `StreamError` unknown_tile where the tileset has none, or invalid_source."""
        if not tile_exists(*tile):
            raise StreamError("unknown_tile", f"there is no tile {tile.z}/{tile.x}/{tile.y} in the grid")
        try:
            return await self._rendered(tileset, tile)
        except SourceClosed:  # it changed between opening and rendering
            self.reopen(tileset.name)
            return await self._rendered(tileset, tile)

    async def opened(self, tileset: TilesetSettings) -> OpenTileset:
        """The tileset, opened. `StreamError("invalid_source")`."""
        opened = self._opened.get(tileset.key)
        if opened and opened.settings == tileset and time.monotonic() - opened.checked < conf.TILE_CHECK_SECONDS:
            return opened
        return await self._openings.join(("open", tileset), lambda: self._current(tileset))

    async def refresh(self, tileset: TilesetSettings, touched: ChangedTiles) -> OpenTileset:
        """Read the source again if it has changed, and forget these tiles, whether it has or not. `StreamError("invalid_source")`."""
        return await self._openings.join(("refresh", tileset, object()), lambda: self._current(tileset, touched))

    async def replace(self, tileset: TilesetSettings, source: TileSource, touched: ChangedTiles) -> OpenTileset:
        """Show another source from now on, in which these tiles are different. It is believed until the next `replace` or `reopen`."""

        def swap() -> OpenTileset:
            with self._opening[tileset.key]:
                return self._swap(tileset, source, None, touched, checked=float("inf"))

        return await self._openings.join(("replace", tileset, object()), swap)

    def reopen(self, name: str) -> None:
        """Look at the source again before the next tile."""
        for opened in list(self._opened.values()):  # threads add to them meanwhile
            if opened.settings.name == name:
                opened.checked = float("-inf")

    def close(self) -> None:
        """Close everything."""
        self._openings.close()
        self.store.close()
        for opened in self._opened.values():
            opened.source.close()
        self._opened.clear()

    async def _rendered(self, tileset: TilesetSettings, tile: Tile) -> RenderedTile | None:
        opened = await self.opened(tileset)
        has = opened.metadata
        if not has.min_zoom <= tile.z <= has.max_zoom:
            raise StreamError("unknown_tile", f"tileset {tileset.name!r} has the zooms {has.min_zoom} to {has.max_zoom}, not {tile.z}")
        if tileset.kind not in UNBOUNDED and not touches(has.bounds, *tile):
            raise StreamError("unknown_tile", f"tile {tile.z}/{tile.x}/{tile.y} is outside the bounds of tileset {tileset.name!r}")
        return await self.store.get(tileset.key, lambda: self._opened[tileset.key].source, tile)

    def _current(self, tileset: TilesetSettings, touched: ChangedTiles | None = None) -> OpenTileset:
        with self._opening[tileset.key]:  # or an older source could take the place of a newer one
            opened = self._opened.get(tileset.key)
            now, version = time.monotonic(), version_of(tileset)
            if opened and opened.settings == tileset and opened.version == version:
                opened.checked = now
                if touched is not None:
                    self.store.invalidate(tileset.key, touched)
                return opened
            known = touched if opened and opened.settings == tileset else None
            return self._swap(tileset, open_source(tileset), version, known, now)

    def _swap(
        self, tileset: TilesetSettings, source: TileSource, version: Hashable, touched: ChangedTiles | None, checked: float
    ) -> OpenTileset:
        found = OpenTileset(tileset, source, tileset.override(source.metadata), version, checked)
        with self._lock:
            replaced = self._opened.get(tileset.key)
            self._opened[tileset.key] = found
            self.store.invalidate(tileset.key, touched)
        if replaced is not None:
            replaced.source.close()
        return found


_service: TileRenderer | None = None


def tile_renderer() -> TileRenderer:
    """The one of this process."""
    global _service
    if _service is None:
        _service = TileRenderer()
    return _service


def running_tile_renderer() -> TileRenderer | None:
    """The one of this process, if somebody has asked for it."""
    return _service


def close_tile_renderer() -> None:
    """Close it; the next one asked for is new."""
    global _service
    if _service is not None:
        _service.close()
        _service = None
