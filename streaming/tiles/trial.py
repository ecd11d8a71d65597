"""The trial of a tileset before it is saved: its source is opened and drawn once.

So nothing is accepted that cannot be drawn, and a picture on which nothing can be seen is noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .grid import MAX_ZOOM, Tile, count_tiles, tile_ranges
from .source_kinds import open_source
from .sources.base import TileMetadata, TileSource

if TYPE_CHECKING:
    from .tilesets import TilesetSettings

MAX_TRIAL_TILES = 4
NOTHING_VISIBLE = "nothing can be seen of it: all of it is transparent or nodata"


def try_tileset(tileset: TilesetSettings) -> list[str]:
    """What people should be warned of. `StreamError("invalid_source")` if it cannot be read or drawn."""
    source = open_source(tileset)
    try:
        return try_source(tileset, source)
    finally:
        source.close()


def try_source(tileset: TilesetSettings, source: TileSource) -> list[str]:
    """The same of a source that is open."""
    if not tileset.source_kind.has_files:
        return []
    drawn = [source.render(*tile) for tile in trial_tiles(source.metadata)]
    return [NOTHING_VISIBLE] if tileset.source_kind.any_image and not any(drawn) else []


def trial_tiles(has: TileMetadata) -> list[Tile]:
    """The few tiles of a low zoom that show all of the source, as large as may be."""
    zooms = [z for z in range(has.min_zoom, min(has.max_zoom, MAX_ZOOM) + 1) if count_tiles(has.bounds, range(z, z + 1)) <= MAX_TRIAL_TILES]
    zoom = max(zooms, default=has.min_zoom)
    tiles = [tile for part in tile_ranges(has.bounds, zoom) for tile, _ in zip(part.tiles(), range(MAX_TRIAL_TILES), strict=False)]
    return tiles[:MAX_TRIAL_TILES]
