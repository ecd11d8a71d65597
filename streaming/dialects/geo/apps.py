"""The geo protocol as an installed part."""

from __future__ import annotations

from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class GeoConfig(EngineApp):
    """Geo protocol."""

    name = "streaming.dialects.geo"
    label = "streaming_geo"
    verbose_name = "Geo protocol"
    dialect = "geo"
    requires = ("streaming.features", "streaming.tiles")
    websocket_urlconf = "streaming.dialects.geo.routing"
    messages = "streaming.dialects.geo.message_types.SOCKET"
    settings = (
        Setting("MAX_SUBSCRIPTIONS", 100, "subscriptions of one connection"),
        Setting("MAX_DECOMPRESSED_BYTES", 1024 * 1024, "size of one message from a client after decompression"),
        Setting("MAX_BAD_FRAMES", 20, "undecodable frames before a connection is closed"),
        Setting("MAX_TILES", 1024, "tiles of one subscription"),
        Setting("DEFAULT_TILESET", "", "the tileset of subscriptions that name none"),
    )
