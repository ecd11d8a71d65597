"""The tile renderer of a process: opens sources when a tile is first requested, and again when they have changed.

While tiles are requested, a source is checked for changes every `GEOSTREAM_TILE_CHECK_SECONDS` at most. What learns of
a change earlier calls `refresh`, `replace` or `reopen`. All that blocks runs in threads.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from hashlib import blake2b
from threading import Lock

from streaming.core.errors import StreamError
from streaming.core.lru import LRU
from streaming.engine.conf import conf

from .change_feed import ChangedTiles
from .grid import Tile, tile_exists, touches
from .single_flight import SingleFlightPool
from .source_kinds import open_source, version_of
from .sources.base import SourceClosed, TileMetadata, TileSource
from .tile_cache import RenderedTile, TileCache
from .tileset_events import reading
from .tilesets import TilesetSettings

KEPT_VERSIONS = 1000
"""Versions of sources that are remembered."""
OPENING_THREADS = 2
"""Sources are opened in threads of their own: a change must not wait behind all the tiles that are to be rendered."""


@dataclass(slots=True)
class OpenTileset:
    """A tileset and its open source. `metadata` is the source's, with what the settings override."""

    settings: TilesetSettings
    source: TileSource
    metadata: TileMetadata
    version: Hashable
    checked: float
    """When the source was last checked for changes."""
    kept_others: bool = False
    """Whether tiles of the source before were kept when it was opened: those that the changes known then do not touch.

    The file may have changed elsewhere too, which is only announced later.
    """
    followed_since: int = 0
    """How often followers had come and gone when it was last checked: whoever follows since receives those announcements."""

    @property
    def version_name(self) -> str | None:
        """A name for what is shown, the same in every process; None where tiles may change and the version does not."""
        if not self.metadata.cacheable:
            return None
        shown = self.version, replace(self.settings, variant="", permissions=())
        return blake2b(repr(shown).encode(), digest_size=8).hexdigest()


class TileRenderer:
    """Renders the tiles of all tilesets of a process."""

    def __init__(self) -> None:
        self.cache = TileCache(conf.TILE_THREADS, conf.TILE_CACHE_BYTES)
        self._open: dict[str, OpenTileset] = {}
        self._lock = Lock()
        self._opening: defaultdict[str, Lock] = defaultdict(Lock)
        self._followers: Counter[str] = Counter()
        self._followings: Counter[str] = Counter()
        self._openings = SingleFlightPool(OPENING_THREADS)
        self._versions: LRU[tuple[str, str], bool] = LRU(KEPT_VERSIONS)

    async def tile(self, tileset: TilesetSettings, tile: Tile) -> RenderedTile | None:
        """One tile, None if it is empty. `StreamError`: unknown_tile where the tileset has none, or invalid_source."""
        if not tile_exists(*tile):
            raise StreamError("unknown_tile", f"there is no tile {tile.z}/{tile.x}/{tile.y} in the grid")
        try:
            return await self._tile(tileset, tile)
        except SourceClosed:  # it changed between opening and rendering
            self.reopen(tileset.name)
            return await self._tile(tileset, tile)

    async def opened(self, tileset: TilesetSettings) -> OpenTileset:
        """The tileset, opened if it is not open yet or its source has changed. `StreamError("invalid_source")`."""
        opened = self.checked(tileset)
        if opened is not None:
            return opened
        following = self._followings[tileset.key]
        return await self._openings.run(("open", tileset, following), lambda: self._current(tileset))

    def checked(self, tileset: TilesetSettings) -> OpenTileset | None:
        """The tileset if it is open and its source need not be looked at."""
        opened = self._open.get(key := tileset.key)
        if opened is None or time.monotonic() - opened.checked >= conf.TILE_CHECK_SECONDS:
            return None
        if opened.settings is not tileset and opened.settings != tileset:
            return None
        return opened if not opened.kept_others or opened.followed_since == self._followings[key] else None

    def has_shown(self, tileset: TilesetSettings, version: str) -> bool:
        """Whether a source of this version, or one that is as new, has been open."""
        return self._versions.get((tileset.key, version)) is not None

    def note_shown(self, tileset: TilesetSettings, version: str) -> None:
        """The source that is open is as new as this version."""
        self._versions.put((tileset.key, version), True)

    async def refresh(self, tileset: TilesetSettings, changed: ChangedTiles) -> OpenTileset:
        """Open the source again if it has changed, and forget these tiles in any case.

        `StreamError("invalid_source")`.
        """
        return await self._openings.run(("refresh", tileset, object()), lambda: self._current(tileset, changed))

    async def replace(self, tileset: TilesetSettings, source: TileSource, changed: ChangedTiles, version: Hashable) -> OpenTileset:
        """Show another source from now on, which is of this version and differs in these tiles.

        It is not checked until the next `replace` or `reopen`.
        """

        def swap() -> OpenTileset:
            with self._opening[tileset.key]:
                return self._swap(tileset, source, version, changed, float("inf"), self._followings[tileset.key])

        return await self._openings.run(("replace", tileset, object()), swap)

    def follow(self, tileset: TilesetSettings) -> None:
        """All changes are announced to the caller from now on, and it has them shown by `refresh`.

        What was announced before, it does not know; nor does anybody know what is announced after `unfollow`. So tiles
        that were kept because of a later announcement are forgotten then.
        """
        self._followers[tileset.key] += 1
        self._followings[tileset.key] += 1
        self.reopen(tileset.name)

    def unfollow(self, tileset: TilesetSettings) -> None:
        """End of `follow`."""
        self._followers[tileset.key] -= 1
        if self._followers[tileset.key] <= 0:
            del self._followers[tileset.key]
        self._followings[tileset.key] += 1
        self.reopen(tileset.name)

    def version_name(self, tileset: TilesetSettings) -> str | None:
        """The name of the version that is open."""
        opened = self._open.get(tileset.key)
        return None if opened is None else opened.version_name

    def reopen(self, name: str) -> None:
        """Check the source of a tileset before the next tile."""
        for opened in list(self._open.values()):  # threads add to it meanwhile
            if opened.settings.name == name:
                opened.checked = float("-inf")

    def close(self) -> None:
        """Close all sources."""
        self._openings.close()
        self.cache.close()
        for opened in self._open.values():
            opened.source.close()
        self._open.clear()

    async def _tile(self, tileset: TilesetSettings, tile: Tile) -> RenderedTile | None:
        has = (await self.opened(tileset)).metadata
        if not has.min_zoom <= tile.z <= has.max_zoom:
            raise StreamError("unknown_tile", f"tileset {tileset.name!r} has the zooms {has.min_zoom} to {has.max_zoom}, not {tile.z}")
        if tileset.source_kind.fixed_bounds and not touches(has.bounds, *tile):
            raise StreamError("unknown_tile", f"tile {tile.z}/{tile.x}/{tile.y} is outside the bounds of tileset {tileset.name!r}")
        return await self.cache.get(tileset.key, lambda: self._open[tileset.key].source, tile)

    def _current(self, tileset: TilesetSettings, changed: ChangedTiles | None = None) -> OpenTileset:
        with self._opening[tileset.key]:  # or an older source could take the place of a newer one
            opened, following = self._open.get(tileset.key), self._followings[tileset.key]  # before others come and go while it is read
            now, version = time.monotonic(), version_of(tileset)
            same = opened is not None and opened.settings == tileset
            sure = opened is not None and opened.followed_since == following
            if opened and same and opened.version == version and (sure or not opened.kept_others):
                opened.checked, opened.followed_since = now, following
                if changed is not None:
                    self.cache.invalidate(tileset.key, changed)
                return opened
            followed = same and sure and tileset.key in self._followers
            return self._swap(tileset, _open(tileset), version, changed if followed else None, now, following)

    def _swap(
        self,
        tileset: TilesetSettings,
        source: TileSource,
        version: Hashable,
        changed: ChangedTiles | None,
        checked: float,
        following: int,
    ) -> OpenTileset:
        metadata = tileset.override(source.metadata)
        opened = OpenTileset(tileset, source, metadata, version, checked, changed is not None, following)
        with self._lock:
            replaced = self._open.get(tileset.key)
            self._open[tileset.key] = opened
            self.cache.invalidate(tileset.key, changed)
        if (name := opened.version_name) is not None:
            self.note_shown(tileset, name)
        if replaced is not None:
            replaced.source.close()
        return opened


def _open(tileset: TilesetSettings) -> TileSource:
    if not tileset.source_kind.has_files:
        return open_source(tileset)
    with reading(tileset):
        return open_source(tileset)


_renderer: TileRenderer | None = None


def tile_renderer() -> TileRenderer:
    """The renderer of this process, made when it is first needed."""
    global _renderer
    if _renderer is None:
        _renderer = TileRenderer()
    return _renderer


def running_tile_renderer() -> TileRenderer | None:
    """The renderer of this process, if it has been needed."""
    return _renderer


def close_tile_renderer() -> None:
    """Close the renderer of this process; the next `tile_renderer()` makes another one."""
    global _renderer
    if _renderer is not None:
        _renderer.close()
        _renderer = None
