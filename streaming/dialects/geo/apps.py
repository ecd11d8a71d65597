"""The geo protocol as an installed part."""

from __future__ import annotations

from streaming.engine.measures import Measure
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
    measures = (
        Measure("geostream_dictionaries", "gauge", (), "dictionaries that the process compresses messages with"),
        Measure("geostream_dictionaries_trained_total", "counter", (), "dictionaries that it has trained"),
        Measure("geostream_dictionary_plain_bytes_total", "counter", (), "messages that were to be compressed with one, before"),
        Measure("geostream_dictionary_sent_bytes_total", "counter", (), "the same, after"),
    )
    messages = "streaming.dialects.geo.message_types.SOCKET"
    settings = (
        Setting("MAX_SUBSCRIPTIONS", 100, "subscriptions of one connection"),
        Setting("MAX_DECOMPRESSED_BYTES", 1024 * 1024, "size of one message from a client after decompression"),
        Setting("MAX_BAD_FRAMES", 20, "undecodable frames before a connection is closed"),
        Setting("MAX_TILES", 1024, "tiles of one subscription"),
        Setting("DICTIONARIES", True, "messages of features are compressed with dictionaries, for clients that ask for that"),
        Setting("DICTIONARY_FEATURES", 100, "features that a layer must have for a dictionary", least=10),
        Setting("DICTIONARY_BYTES", 8192, "size of a dictionary", least=1024),
        Setting("DICTIONARY_SECONDS", 86_400, "life of a dictionary; after half of that there is another one", least=60),
        Setting("DICTIONARY_PAUSE_SECONDS", 600, "between two trainings of a layer's dictionaries at least", least=1),
        Setting("DEFAULT_TILESET", "", "the tileset of subscriptions that name none"),
    )
