"""Settings: what a part of GeoStream declares, and those of the engine itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class SameAs(NamedTuple):
    """A default that is the value of a boolean setting of Django."""

    switch: str

    def __str__(self) -> str:
        return f"as {self.switch}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, read from `GEOSTREAM_<name>`; its default decides its type. A number is at least `least`."""

    name: str
    default: Any
    meaning: str
    least: float = 0


SETTINGS = (
    Setting("DATA_DIR", "var", "folder of the embedded Redis, of copied tiles (`tiles/`) and of painted images (`imagery/`)"),
    Setting(
        "ALLOWED_ORIGINS",
        "",
        "comma-separated origins (`https://maps.example.org`, or `*`) whose pages may connect and read the API, besides the server's own",
    ),
    Setting(
        "PAGE_ORIGINS", "", "comma-separated origins that pages of this site may load images, styles, fonts and data from, besides its own"
    ),
    Setting(
        "BASEMAP",
        "",
        "what maps have under the features, instead of the base map that ships: the address of raster tiles "
        "(`https://tiles.example.org/{z}/{x}/{y}.png`), or `none`",
    ),
    Setting("BASEMAP_ATTRIBUTION", "", "whose base map that is: what its owner asks to be shown"),
    Setting("FRAME_ANCESTORS", "", "comma-separated origins whose pages may show pages of this site in a frame"),
    Setting("MAX_CONNECTIONS", 10_000, "connections of one server process"),
    Setting(
        "MAX_CONNECTIONS_PER_ADDRESS",
        10_000,
        "connections of one process from one network address (of IPv6: from one network of 64 bits)",
    ),
    Setting("MAX_CONNECTIONS_PER_USER", 1000, "connections of one process by one logged-in user"),
    Setting("MAX_MESSAGE_BYTES", 512 * 1024, "size of one message from a client", least=1),
    Setting(
        "MESSAGES_PER_SECOND",
        100.0,
        "messages of one client handled a second; the rest is read later, slowing it down",
        least=0.1,
    ),
    Setting("BYTES_PER_SECOND", 1_638_400, "bytes of messages of one client handled a second, likewise", least=1),
    Setting("MESSAGES_BURST", 500, "messages of one client handled at once before that, and bytes of as many seconds", least=1),
    Setting(
        "HANDSHAKE_SECONDS",
        60.0,
        "time to find out who connects, and time without any message after which a client without a login is closed (0: any)",
    ),
    Setting("PING_SECONDS", 20.0, "quiet time after which the server pings a client (0: never); peers that cannot bear pings are spared"),
    Setting("PING_TIMEOUT_SECONDS", 90.0, "silence after which a pinged client is given up", least=0.1),
    Setting("IDLE_SECONDS", 600.0, "silence of a client without subscriptions after which it is closed (0: never)"),
    Setting("OUTBOX_MESSAGES", 20_000, "messages waiting for one client before it counts as slow", least=1),
    Setting("OUTBOX_BYTES", 16 * 1024 * 1024, "bytes waiting for one client before it counts as slow", least=1024),
    Setting("SLOW_SECONDS", 30.0, "time a client may be slow before it is closed (at four times a bound: at once)"),
    Setting("STALLED_SECONDS", 120.0, "time a client may take nothing at all before it is closed", least=0.1),
    Setting("EVENTS_WAITING", 1000, "events waiting per subscription; older ones are dropped and counted", least=1),
    Setting(
        "AUTH_CACHE_SECONDS",
        5.0,
        "how long a token's user and permissions, and a layer's settings, are believed before the database is asked again",
    ),
    Setting(
        "TOKEN_MOST_SECONDS",
        366 * 24 * 3600,
        "the longest life of an access or channel token that another program has made; one that ends later is refused",
        least=1,
    ),
    Setting("TICKET_SECONDS", 30, "life of a one-time WebSocket ticket", least=1),
    Setting(
        "BUS_WAITING_BYTES",
        256 * 1024 * 1024,
        "bytes of messages of Redis' pub/sub that may wait for a busy process; what comes beyond is dropped, and clients are notified",
        least=1024,
    ),
    Setting("WORK_THREADS", 2, "threads for costly work of clients and publishers: large projections, filters and answers", least=1),
    Setting("WORK_WAITING", 64, "pieces of such work that may wait for one client or publisher", least=1),
    Setting("METRICS_TOKEN", "", "the bearer token that opens `/metrics`; without one it is for staff and for this machine"),
    Setting("RECORD_SECONDS", 1.0, "how often connections and subscriptions are written to the database for the admin (0: never)"),
    Setting(
        "DRAIN_SECONDS",
        10.0,
        "over how long a server process that ends spreads closing its WebSockets; each 100 of them take a second at the most",
    ),
    Setting("WORKER_SILENT_SECONDS", 60.0, "time without a sign of life after which `serve` kills and replaces a worker (0: never)"),
    Setting("REDIS_FULL", 0.85, "of Redis' `maxmemory`; beyond it the dashboard and `doctor` warn", least=0.01),
    Setting("NODE_TTL_SECONDS", 10, "silence after which a server process counts as dead and its rows are swept", least=1),
)
"""The engine's own settings."""
