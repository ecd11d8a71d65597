"""The settings of the streaming engine: one table of names, defaults and meanings.
Each is read from the Django setting `GEOSTREAM_<NAME>` or, without one, from the environment variable of that name.
`docs/settings.md` is checked against this table by a test.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


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
    Setting("RECORD_SECONDS", 1.0, "how often connections and subscriptions are written to the database for the admin (0: never)"),
    Setting("NODE_TTL_SECONDS", 10, "silence after which a server process counts as dead and its rows are swept"),
)

_BY_NAME = {setting.name: setting for setting in TABLE}


class _Conf:
    """Reads settings as attributes: `conf.MAX_CONNECTIONS`."""

    def __getattr__(self, name: str) -> Any:
        setting = _BY_NAME.get(name)
        if setting is None:
            raise AttributeError(name)
        key = f"GEOSTREAM_{name}"
        if hasattr(settings, key):
            return getattr(settings, key)
        text = os.environ.get(key)
        return setting.default if text is None else _read(key, text, type(setting.default))


def _read(key: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{key} must be a {kind.__name__}, not {text!r}") from error


conf = _Conf()
