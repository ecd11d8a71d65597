"""The kind `layer`: vector tiles that are cut from a feature layer."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.redis import refusing, sync_feed_redis

from .base import TileSource
from .kind import SourceKind

if TYPE_CHECKING:
    from streaming.core.hub import Hub
    from streaming.tiles.change_tracker import ChangeTracker
    from streaming.tiles.tile_renderer import TileRenderer
    from streaming.tiles.tilesets import TilesetSettings


DEFAULT_MAX_ZOOM = 14


def layer_version(epoch: str, seq: int) -> Hashable:
    """The version of a layer whose feed is there."""
    return epoch, seq


def max_zoom(tileset: TilesetSettings) -> int:
    """The highest zoom of a tileset of a layer."""
    return DEFAULT_MAX_ZOOM if tileset.max_zoom is None else tileset.max_zoom


class LayerKind(SourceKind):
    """A feature layer."""

    has_files = False
    any_zoom = True
    fixed_bounds = False  # features come and go
    follows = True
    is_vector = True

    def open(self, tileset: TilesetSettings) -> TileSource:
        """The layer's features of this moment."""
        from streaming.features.layers import catalogue, layer_feed

        from .layer import LayerSource

        if len(tileset.sources) != 1:
            raise StreamError("invalid_source", f"vector tiles are cut from one layer, not {len(tileset.sources)}")
        layer = catalogue.get_sync(tileset.sources[0])
        return LayerSource(layer.name, layer_feed(layer).read_sync().items.values(), max_zoom(tileset))

    def version(self, tileset: TilesetSettings) -> Hashable:
        """Where the layer's feed is."""
        with refusing():
            found: Any = sync_feed_redis().hmget(Feed(f"layer:{self._sources(tileset)[0]}").meta_key, "epoch", "seq")
        epoch, seq = found
        return layer_version((epoch or b"").decode(), int(seq or 0))

    def matches(self, sources: Sequence[str]) -> bool:
        """One name that cannot be a path."""
        return len(sources) == 1 and os.sep not in sources[0] and not Path(sources[0]).exists()

    def layer_name(self, source: str) -> str | None:
        """The source itself."""
        return source.strip()

    def change_tracker(self, hub: Hub, renderer: TileRenderer) -> ChangeTracker:
        """A tracker that follows the layer's feed."""
        from streaming.tiles.change_tracker import LayerChangeTracker

        return LayerChangeTracker(hub, renderer)
