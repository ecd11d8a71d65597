"""What one process runs for tilesets, besides those that somebody looks at (`live_tilesets.py`)."""

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
    """Notices changed tilesets, and closes their sources in the end."""

    async def start(self) -> None:
        """Watch."""
        self.runtime.watch(tilesets)

    async def stop(self) -> None:
        """Close all sources."""
        if _running_tile_service() is not None:
            from .tile_renderer import close_tile_renderer

            close_tile_renderer()

    def collect(self) -> Iterable[Sample]:
        """The cache of rendered tiles."""
        service = _running_tile_service()
        if service is not None:
            yield "geostream_tile_cache_tiles", (), len(service.store)
            yield "geostream_tile_cache_bytes", (), service.store.kept_bytes


def _running_tile_service() -> TileRenderer | None:
    """The tile service, if anybody has asked for a tile: importing it takes a moment."""
    if f"{__package__}.tile_service" not in sys.modules:
        return None
    from .tile_renderer import running_tile_renderer

    return running_tile_renderer()
