"""The service of tilesets, which runs in every server process.

`LiveTilesets` (live_tilesets.py) comes with the first client that subscribes to tiles.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from streaming.engine.measures import Sample
from streaming.engine.service import Service

from .tilesets import tilesets

if TYPE_CHECKING:
    from .tile_renderer import TileRenderer


class TilesetService(Service):
    """Follows changes of tilesets' settings, measures the tile cache, and closes the renderer at the end."""

    async def start(self) -> None:
        """Follow changes of settings."""
        self.runtime.watch(tilesets)

    async def stop(self) -> None:
        """Close all sources."""
        if _running_tile_renderer() is not None:
            from .tile_renderer import close_tile_renderer

            close_tile_renderer()

    def collect(self) -> Iterable[Sample]:
        """The size of the tile cache."""
        renderer = _running_tile_renderer()
        if renderer is not None:
            yield "geostream_tile_cache_tiles", (), len(renderer.cache)
            yield "geostream_tile_cache_bytes", (), renderer.cache.kept_bytes


def _running_tile_renderer() -> TileRenderer | None:
    """The renderer of this process, if there is one.

    Its module takes a moment to import, so that is not done to find out.
    """
    if f"{__package__}.tile_renderer" not in sys.modules:
        return None
    from .tile_renderer import running_tile_renderer

    return running_tile_renderer()
