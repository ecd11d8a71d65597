"""The app of the Redis commands."""

from __future__ import annotations

from streaming.engine.measures import Chart, Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class RedisCommandsConfig(EngineApp):
    """Redis commands."""

    name = "streaming.dialects.redis_commands"
    label = "streaming_redis_commands"
    verbose_name = "Redis commands"
    dialect = "redis"
    requires = ("streaming.features", "streaming.redis_data")
    websocket_urlconf = "streaming.dialects.redis_commands.routing"
    settings = (
        Setting(
            "REDIS_READABLE",
            "pub:*",
            "comma-separated names, and beginnings of names with `*`, of the hashes and channels of Redis that clients may read; "
            "`ops:*=fleet.view_ops` is for users with this permission (or `is_staff`, `is_authenticated`)",
        ),
        Setting("REDIS_COMMANDS", "", "the class with this project's own commands, such as `fleet.commands.FleetCommands`"),
        Setting("REDIS_COMMAND_BYTES", 8192, "size of one command", least=16),
        Setting("REDIS_SUBSCRIPTIONS", 256, "channels of Redis that one client may have subscribed to"),
        Setting("REDIS_PATTERNS", 16, "patterns of channels of Redis that one client may have subscribed to"),
        Setting("REDIS_GLOBS", 1000, "different patterns that all clients of one process may have subscribed to at once", least=1),
        Setting("REDIS_VALUE_BYTES", 16 * 1024 * 1024, "size of a message or a value of a hash; larger ones are skipped, and counted"),
        Setting(
            "REDIS_CRSS",
            100,
            "different CRSs, besides WGS 84 and EPSG:3857, that all clients of one process may have in use at once",
            least=1,
        ),
        Setting("REDIS_BOXES", 10_000, "different boxes that all clients of one process may have in use at once", least=1),
        Setting(
            "REDIS_SLOW",
            "",
            "comma-separated `channel=policy` (or, with `*`, for those that begin so) for what waits for a slow client: keep the `latest` "
            "of each feature, `close` the client before it misses one, or `drop` the oldest (as without a policy)",
        ),
    )
    measures = (
        Measure("geostream_redis_messages_total", "counter", (), "messages on channels of Redis with subscribers among these clients"),
        Measure(
            "geostream_redis_bad_total",
            "counter",
            (),
            "those of them that were no JSON, or too large, and were skipped; features with half a character, which were left out",
        ),
        Measure("geostream_redis_deliveries_total", "counter", (), "messages delivered to these clients"),
        Measure(
            "geostream_redis_dropped_total",
            "counter",
            (),
            "messages that slow clients among them missed",
            Chart("Conflated and dropped", line="of Redis commands", order=40),
        ),
        Measure("geostream_redis_overrun_total", "counter", (), "messages that came faster than they could be prepared, and were not sent"),
        Measure(
            "geostream_redis_conflated_total",
            "counter",
            (),
            "waiting messages that were replaced by a newer one of the same feature",
            Chart("Conflated and dropped", line="conflated, Redis commands", order=40),
        ),
        Measure("geostream_redis_capped_total", "counter", (), "answers to `GET` that leave out values beyond `GEOSTREAM_REDIS_VALUES`"),
    )
