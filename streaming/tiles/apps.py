"""Tilesets as an installed part."""

from __future__ import annotations

from streaming.engine.measures import Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class TilesConfig(EngineApp):
    """Tilesets."""

    name = "streaming.tiles"
    label = "streaming_tiles"
    verbose_name = "Tilesets"
    requires = ("streaming.features",)
    services = ("streaming.tiles.service.TilesetService",)
    settings = (
        Setting("TILE_ROOTS", "", "comma-separated folders whose files may be sources of tilesets, besides the data folder"),
        Setting("TILE_THREADS", 4, "threads that render tiles", least=1),
        Setting("TILE_SECONDS", 60.0, "how long a tile may take to be rendered before the request is refused", least=0.1),
        Setting("TILE_WHOLE_ZOOM", 12, "from this zoom on, vector tiles of a layer have all features; lower ones are thinned", least=0),
        Setting("TILE_UNTHINNED_FEATURES", 1000, "points up to which a vector tile is not thinned; of more, one of each pixel is in it"),
        Setting("TILE_FEATURES", 10_000, "points, and lines and areas, that a thinned vector tile has at most", least=1),
        Setting("TILE_CACHE_BYTES", 256 * 1024 * 1024, "rendered tiles kept by one server process"),
        Setting("TILE_HISTORY_BYTES", 128 * 1024 * 1024, "replaced versions of tiles kept by one server process, for deltas"),
        Setting("TILE_CHANGES_LOG", 1000, "changes kept in the log of one tileset", least=1),
        Setting("TILE_REFRESH_SECONDS", 0.25, "least time between two refreshes of one tileset; changes in between come together"),
        Setting("TILE_FOLLOW_SECONDS", 60.0, "how long a layer is followed after one of its vector tiles was last fetched over HTTP"),
        Setting("TILE_NOTICE_SECONDS", 0.25, "least time between two notices of changed tiles of one tileset to one subscription"),
        Setting("TILE_NOTICE_TILES", 1000, "tiles that one notice lists; of more it says that any in view may have changed", least=1),
        Setting(
            "TILE_WATCH", True, "notice changed source files of the tilesets that somebody looks at (off: only `manage.py watch` does)"
        ),
        Setting("TILE_CHECK_SECONDS", 1.0, "how often a tileset that is asked for is checked for a changed source"),
        Setting("MAX_TILE_BYTES", 4 * 1024 * 1024, "size of one tile that is pushed or sent over a WebSocket"),
        Setting("MAX_PUSHED_TILES", 100_000, "tiles that one tileset of pushed tiles holds"),
        Setting("MAX_IMAGERY_BYTES", 256 * 1024 * 1024, "size of one image that is painted over a raster tileset"),
        Setting("MAX_IMAGERY", 100, "images painted over one raster tileset"),
    )
    measures = (
        Measure("geostream_tile_cache_tiles", "gauge", (), "rendered tiles that are kept"),
        Measure("geostream_tile_cache_bytes", "gauge", (), "what the kept tiles take"),
    )
