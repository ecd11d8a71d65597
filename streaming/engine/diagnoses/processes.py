"""The database, and the server processes as they have left word of themselves: leases, clocks, lag, and where clients seem to come from."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection

from streaming.core.leases import NODE_KEY, NODES, LeaseSign
from streaming.core.redis import sync_redis
from streaming.models import Connection

from ..database import why_not_migrated
from ..diagnosis import Finding, error, ok, warning
from ..exposition import METRICS_KEY, Families
from .redis_server import SKEW_SECONDS, clock

LAG_CHANGES = 5000
LATE_SECONDS = 0.5
FEW_CLIENTS = 10
"""Of fewer connections nothing follows from their having one address."""


def look_at_database() -> Iterator[Finding]:
    """Database: reachable, migrated, and one for several processes."""
    if (reason := why_not_migrated()) is not None:
        yield error("Database", reason)
        return
    vendor, nodes = connection.vendor, _nodes()
    if vendor == "sqlite" and len(nodes) > 1:
        hint = "Set DATABASE_URL to a PostgreSQL; processes of other machines cannot share a file at all."
        yield warning("Database", f"{len(nodes)} server processes share an SQLite file, and wait for each other.", hint)
    else:
        yield ok("Database", f"{connection.vendor}, all migrations applied")


def look_at_nodes() -> Iterator[Finding]:
    """Server processes: alive, their clocks, their lag."""
    nodes = _nodes()
    living = {node: sign for node, sign in nodes.items() if sign is not None}
    dead = len(nodes) - len(living)
    if dead:
        hint = (
            "A living one clears away what they left within seconds." if living else "The next server process clears away what they left."
        )
        yield warning("Server processes", f"{dead} ended without clearing away: killed, or cut off from Redis.", hint)
    if not living:
        yield warning("Server processes", "None is running.", "Start one: python manage.py serve")
        return
    skews = {node: sign.skew for node, sign in living.items() if sign is not None and abs(sign.skew) > SKEW_SECONDS}
    yield from (clock(f"The clock of server process {node}", skew) for node, skew in skews.items())
    lagging = False
    for node, values in _metrics(list(living)).items():
        for finding in _lag(node, values):
            lagging = True
            yield finding
    if not (dead or skews or lagging):
        yield ok("Server processes", f"{len(living)}, all well: clocks agree, none is late or lags behind")


def look_at_addresses() -> Iterator[Finding]:
    """Addresses of clients: those of clients, not of a proxy that is not believed."""
    if why_not_migrated() is not None:
        return
    addresses = list(Connection.objects.order_by().values_list("address", flat=True)[:1000])
    if len(addresses) < FEW_CLIENTS or len(set(addresses)) > 1 or settings.DEBUG or not _is_local(addresses[0]):
        return
    hint = "If that is a proxy, name it in `serve --forwarded-allow-ips`, and have it set X-Forwarded-For and X-Forwarded-Proto."
    yield warning("Proxy", f"All clients seem to come from {addresses[0]}: limits for each address hold for all together.", hint)


def _is_local(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False


def _nodes() -> dict[str, LeaseSign | None]:
    """The server processes that are known, and the signs of life of those that live."""
    client = sync_redis()
    names: list[str] = sorted(node.decode() for node in client.smembers(NODES))  # type: ignore[union-attr]
    seconds, microseconds = client.time()
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.get(NODE_KEY + name)
            pipe.pttl(NODE_KEY + name)
        found = pipe.execute()
    now = seconds + microseconds / 1e6
    return {name: LeaseSign.read(found[2 * number], found[2 * number + 1], now) for number, name in enumerate(names)}


def _metrics(nodes: list[str]) -> dict[str, dict[str, float]]:
    """The samples without further labels that processes have left in Redis."""
    texts: Any = sync_redis().mget([METRICS_KEY + node for node in nodes])
    families = {node: msgspec.msgpack.decode(text, type=Families) for node, text in zip(nodes, texts, strict=True) if text}
    return {
        node: {name: value for family in found for name, labels, value in family.samples if len(labels) == 1}
        for node, found in families.items()
    }


def _lag(node: str, values: dict[str, float]) -> Iterator[Finding]:
    if (lag := values.get("geostream_feed_lag", 0)) > LAG_CHANGES:
        yield warning("Server processes", f"{node} is {lag:,.0f} changes behind a feed.", "Start more processes: serve --workers")
    if (late := values.get("geostream_loop_lag_seconds", 0)) > LATE_SECONDS:
        hint = "geostream_loop_blocked_total and the log name what keeps it."
        yield warning("Server processes", f"The event loop of {node} is {late:.1f} seconds late.", hint)
    if values.get("geostream_bus_connected", 1) == 0:
        yield error("Server processes", f"{node} does not hear the others.", "See its log; it connects again by itself when Redis lets it.")
