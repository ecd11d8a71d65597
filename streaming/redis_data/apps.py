"""The app of what others keep in Redis: hashes and channels that clients may read, and layers that are fed from them."""

from __future__ import annotations

from streaming.engine.measures import Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class RedisDataConfig(EngineApp):
    """Data in Redis."""

    name = "streaming.redis_data"
    label = "streaming_redis_data"
    verbose_name = "Data in Redis"
    requires = ("streaming.features",)
    services = ("streaming.redis_data.service.FeedingService",)
    settings = (
        Setting("REDIS_COMMANDS_URL", "", "the Redis with these hashes and channels, if it is another one"),
        Setting("REDIS_VALUES", 10_000, "values of one hash that one `GET` is answered with"),
        Setting(
            "REDIS_LAYERS",
            "",
            "comma-separated `channel=layer`: what is published on these channels (or, with `*`, on those that begin so) feeds the layer",
        ),
        Setting("REDIS_LAYERS_SECONDS", 0.0, "how often the hashes of the same names are read, besides at the start (0: never)"),
    )
    measures = (
        Measure(
            "geostream_feeding_stored_total", "counter", (), "features of `GEOSTREAM_REDIS_LAYERS` that this process stored, changed or not"
        ),
        Measure("geostream_feeding_refused_total", "counter", (), "features that are not valid, have no id or no room"),
        Measure("geostream_feeding_bad_total", "counter", (), "values that are not GeoJSON"),
        Measure("geostream_feeding_dropped_total", "counter", (), "values that came faster than they could be stored"),
        Measure(
            "geostream_redis_gaps_total",
            "counter",
            (),
            "times that messages on channels of Redis may have been missed, by clients of the Redis commands or by what feeds layers",
        ),
    )
