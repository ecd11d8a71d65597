"""The kind `pushed`: tiles that programs push, one at a time.

They are in Redis, so that every process of the site has them.

Each tile is stored with its format. Tiles of another format than the tileset has now are not shown.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from streaming.core.feed import Feed
from streaming.core.redis import refusing, sync_feed_redis
from streaming.tiles.grid import WORLD

from .base import TileMetadata, TileSource
from .finished_tiles import VECTOR_TILE_SIZE
from .kind import SourceKind

if TYPE_CHECKING:
    from streaming.tiles.tilesets import TilesetSettings

MAX_ZOOM = 22
"""The highest zoom of a tileset whose settings do not have one."""


class PushedKind(SourceKind):
    """Pushed tiles."""

    has_files = False

    def open(self, tileset: TilesetSettings) -> TileSource:
        """The tiles in Redis."""
        return PushedSource(tileset.name, tileset.format, tileset.min_zoom, tileset.max_zoom)

    def version(self, tileset: TilesetSettings) -> Hashable:
        """A token that every push replaces."""
        with refusing():
            return bytes(sync_feed_redis().get(pushed_keys(tileset.name)[1]) or b"")  # type: ignore[arg-type]  # of both clients in the stubs


class PushedSource:
    """The pushed tiles of one tileset."""

    def __init__(self, tileset: str, format: str = "", min_zoom: int | None = None, max_zoom: int | None = None) -> None:
        self._key = pushed_keys(tileset)[0]
        highest = max(MAX_ZOOM, min_zoom or 0) if max_zoom is None else max_zoom
        size = VECTOR_TILE_SIZE if format == "mvt" else 256
        self._metadata = TileMetadata(WORLD, min_zoom or 0, highest, format or "png", size)

    @property
    def metadata(self) -> TileMetadata:
        """Tiles anywhere in the world."""
        return self._metadata

    def close(self) -> None:
        """Nothing is open."""

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The tile as it was pushed. `StreamError("redis_unavailable")`."""
        with refusing():
            stored: Any = sync_feed_redis().hget(self._key, f"{z}/{x}/{y}")
        format, _, data = (stored or b"").partition(b"\n")
        return data if format.decode() == self._metadata.format else None


def pushed_keys(tileset: str) -> tuple[str, str]:
    """The Redis keys of a tileset's tiles (hash: `z/x/y` → format, line feed, bytes) and of their version."""
    first = Feed(f"tiles:{tileset}").keys[0].removesuffix(":state")
    return f"{first}:pushed", f"{first}:pushed-state"
