"""The settings of the streaming engine: one table of names, defaults and meanings.
Each is read from the Django setting `GEOSTREAM_<NAME>` or, without one, from the environment variable of that name.
`docs/settings.md` is checked against this table by a test.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


class Follows(NamedTuple):
    """A default that is what a switch of Django is, as 0 or 1."""

    switch: str

    def __str__(self) -> str:
        return f"as {self.switch}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; its default decides its type."""

    name: str
    default: Any
    meaning: str


TABLE = (
    Setting(
        "ALLOWED_ORIGINS",
        "",
        "comma-separated origins (`https://maps.example.org`, or `*`) whose pages may connect, besides the server's own",
    ),
    Setting("MAX_CONNECTIONS", 20_000, "WebSocket connections of one server process"),
    Setting("MAX_CONNECTIONS_PER_ADDRESS", 20_000, "WebSocket connections of one process from one network address"),
    Setting("MAX_CONNECTIONS_PER_USER", 1000, "connections of one process by one logged-in user"),
    Setting("MAX_SUBSCRIPTIONS", 100, "subscriptions of one connection"),
    Setting("MAX_MESSAGE_BYTES", 512 * 1024, "size of one message from a client"),
    Setting("MAX_DECOMPRESSED_BYTES", 1024 * 1024, "size of one message from a client after decompression"),
    Setting("MAX_BAD_FRAMES", 20, "undecodable frames before a connection is closed"),
    Setting(
        "MESSAGES_PER_SECOND",
        100.0,
        "messages of one client handled a second (16 KiB of a long one count as one more); the rest is read later, slowing it down",
    ),
    Setting("MESSAGES_BURST", 500, "messages of one client handled at once before that"),
    Setting("PING_SECONDS", 20.0, "quiet time after which the server pings a client (0: never); peers that cannot bear pings are spared"),
    Setting("PING_TIMEOUT_SECONDS", 90.0, "silence after which a pinged client is given up"),
    Setting("IDLE_SECONDS", 600.0, "silence of a client without subscriptions after which it is closed (0: never)"),
    Setting("OUTBOX_MESSAGES", 20_000, "messages waiting for one client before it counts as slow"),
    Setting("OUTBOX_BYTES", 16 * 1024 * 1024, "bytes waiting for one client before it counts as slow"),
    Setting("SLOW_SECONDS", 30.0, "time a client may be slow before it is closed (at four times a bound: at once)"),
    Setting("STALLED_SECONDS", 120.0, "time a client may take nothing at all before it is closed"),
    Setting("EVENTS_WAITING", 1000, "events waiting per subscription; older ones are dropped and counted"),
    Setting("EVENTS_LOG", 10_000, "events kept for replay"),
    Setting(
        "MAX_BODY_BYTES",
        64 * 1024 * 1024,
        "size of one GeoJSON document over REST (lines and text sequences that come with a token are read as a stream, without limit)",
    ),
    Setting("MAX_FEATURE_BYTES", 1024 * 1024, "size of one feature"),
    Setting("MAX_POLYGON_VERTICES", 10_000, "vertices of a polygon used as a filter"),
    Setting(
        "AUTH_CACHE_SECONDS",
        5.0,
        "how long a token's user and permissions, and a layer's settings, are believed before the database is asked again",
    ),
    Setting("TICKET_SECONDS", 30, "life of a one-time WebSocket ticket"),
    Setting("CHANNEL_TOKEN_SECONDS", 12 * 3600, "life of a channel token of `POST /token`"),
    Setting("PUBLIC_TOPICS", "", "comma-separated topics, or patterns of topics (`room:*`), for which anybody is given a channel token"),
    Setting("OPEN_TOKENS", Follows("DEBUG"), "give anybody a channel token for any topic but `admin` (0 or 1)"),
    Setting("CHECK_CHANNEL_CLAIM", 1, "a channel token opens only what its claim `channel` names (0: any topic but `admin`)"),
    Setting("TILE_ROOTS", "", "comma-separated folders whose files may be sources of tilesets, besides the data folder"),
    Setting("TILE_THREADS", 4, "threads that render tiles"),
    Setting("TILE_SECONDS", 60.0, "how long a tile may take to be rendered before whoever asked is refused"),
    Setting("TILE_CACHE_BYTES", 256 * 1024 * 1024, "rendered tiles kept by one server process"),
    Setting("TILE_HISTORY_BYTES", 128 * 1024 * 1024, "replaced versions of tiles kept by one server process, for deltas"),
    Setting("TILE_CHANGES_LOG", 1000, "changes kept in the log of one tileset"),
    Setting("TILE_REFRESH_SECONDS", 0.25, "least time between two refreshes of one tileset; changes in between come together"),
    Setting("MAX_TILES", 1024, "tiles of one subscription"),
    Setting("DEFAULT_TILESET", "", "the tileset of subscriptions that name none"),
    Setting("TILE_WATCH", 1, "notice changed source files of the tilesets that somebody looks at (0: only `manage.py watch` does)"),
    Setting("MAX_TILE_BYTES", 4 * 1024 * 1024, "size of one tile that is pushed or sent over a WebSocket"),
    Setting("MAX_PUSHED_TILES", 100_000, "tiles that one tileset of pushed tiles holds"),
    Setting("MAX_IMAGERY_BYTES", 256 * 1024 * 1024, "size of one image that is painted over a raster tileset"),
    Setting("MAX_IMAGERY", 100, "images painted over one raster tileset"),
    Setting("TILE_CHECK_SECONDS", 1.0, "how often a tileset that is asked for is checked for a changed source"),
    Setting("TOPICS", "", "the module with this project's `topicpatterns`, such as `myproject.topics`"),
    Setting(
        "OPEN_TOPICS", 1, "topics without a channel of their own are open to holders of a token, and bridged to Redis (0: there are none)"
    ),
    Setting("PHOENIX_PREFIXES", "", "comma-separated paths under which Phoenix clients connect, besides `/`, `/socket` and `/websocket`"),
    Setting("PHOENIX_IDLE_SECONDS", 60.0, "silence of a Phoenix client after which it is closed (0: never); it sends heartbeats"),
    Setting("MAX_CHANNELS", 1000, "topics that one Phoenix client may have joined"),
    Setting("JOINS_PER_SECOND", 50.0, "joins of one Phoenix client a second, beyond as many at once as it may have joined"),
    Setting("TOKEN_WARNING_SECONDS", 60.0, "how long before the end of its channel token a member is warned"),
    Setting("BRIDGE_JOINS", 0, "publish who joins and leaves a bridged topic as `from:<topic>:phx_join` and `phx_leave` (never a token)"),
    Setting("PUSH_ENVELOPES", "", "comma-separated topics and patterns whose pushes backends may answer one by one"),
    Setting("PUSH_REPLY_SECONDS", 9.0, "how long a backend may take to answer a push"),
    Setting("PRESENCE_BATCH_SECONDS", 0.05, "for how long who comes and goes is gathered before the members of a topic are told"),
    Setting("PRESENCE_LIST", 1000, "members of a topic that are listed to each other; of larger ones only the number is told"),
    Setting("TOPIC_HISTORY", "", "comma-separated open topics, and patterns of topics, whose messages are kept for clients that come back"),
    Setting("TOPIC_HISTORY_LENGTH", 1000, "messages kept of each of these topics"),
    Setting("TOPIC_HISTORY_SECONDS", 3600, "silence after which the messages of such a topic go"),
    Setting(
        "REDIS_READABLE",
        "pub:*",
        "comma-separated names, and beginnings of names with `*`, of the hashes and channels of Redis that clients may read; "
        "`ops:*=fleet.view_ops` is for users with this permission (or `is_staff`, `is_authenticated`)",
    ),
    Setting("REDIS_COMMANDS", "", "the class with this project's own commands, such as `fleet.commands.FleetCommands`"),
    Setting("REDIS_COMMAND_BYTES", 8192, "size of one command"),
    Setting("REDIS_COMMANDS_URL", "", "the Redis that they are read from, if it is another one"),
    Setting("REDIS_VALUES", 10_000, "values of one hash that one `GET` is answered with"),
    Setting("REDIS_SUBSCRIPTIONS", 256, "channels of Redis that one client may have subscribed to"),
    Setting("REDIS_PATTERNS", 16, "patterns of channels of Redis that one client may have subscribed to"),
    Setting(
        "REDIS_SLOW",
        "",
        "comma-separated `channel=policy` (or, with `*`, for those that begin so) for what waits for a slow client: keep the `latest` of "
        "each feature, `close` the client before it misses one, or `drop` the oldest (as without a policy)",
    ),
    Setting(
        "REDIS_LAYERS",
        "",
        "comma-separated `channel=layer`: what is published on these channels (or, with `*`, on those that begin so) feeds the layer",
    ),
    Setting("REDIS_LAYERS_SECONDS", 0.0, "how often the hashes of the same names are read, besides at the start (0: never)"),
    Setting("METRICS_TOKEN", "", "the bearer token that opens `/metrics`; without one it is for staff and for this machine"),
    Setting("RECORD_SECONDS", 1.0, "how often connections and subscriptions are written to the database for the admin (0: never)"),
    Setting("NODE_TTL_SECONDS", 10, "silence after which a server process counts as dead and its rows are swept"),
)

_BY_NAME = {setting.name: setting for setting in TABLE}


class _Conf:
    """Reads settings as attributes: `conf.MAX_CONNECTIONS`. Each is looked up once, for that takes longer than what most are needed for."""

    def __getattr__(self, name: str) -> Any:
        setting = _BY_NAME.get(name)
        if setting is None:
            raise AttributeError(name)
        value = self.__dict__[name] = self._look_up(setting)
        return value

    def forget(self, **kwargs: Any) -> None:
        """A setting was changed (in a test)."""
        self.__dict__.clear()

    @staticmethod
    def _look_up(setting: Setting) -> Any:
        key = f"GEOSTREAM_{setting.name}"
        if hasattr(settings, key):
            return getattr(settings, key)
        default = setting.default
        if isinstance(default, Follows):
            default = int(getattr(settings, default.switch))
        text = os.environ.get(key)
        return default if text is None else _read(key, text, type(default))


def _read(key: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{key} must be a {kind.__name__}, not {text!r}") from error


conf = _Conf()
setting_changed.connect(conf.forget)
