"""Redis: whether it is new enough, keeps what it is given, is near, and has room. (How much may wait for subscribers is a system check.)"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any

from streaming.core.redis import cluster_address, sync_feed_redis, sync_redis

from ..conf import conf
from ..diagnosis import Finding, error, ok, warning
from ..redis import configured_url

OLDEST = (6, 2)
PINGS = 20
SLOW_SECONDS, TOO_SLOW_SECONDS = 0.005, 0.05
SKEW_SECONDS, MOST_SKEW_SECONDS = 1.0, 5.0
"""By how much clocks may differ."""
MIB = 1024**2
_ROOM = "Raise maxmemory, or let features expire sooner; the page Feeds says what is large."


def look_at_redis() -> Iterator[Finding]:
    """Redis: version, persistence."""
    if not configured_url():
        yield warning("Redis", "REDIS_URL is not set: a Redis of this project's own is used.", "In production, run one and set REDIS_URL.")
    for node, info in _infos():
        for finding in server(info):
            yield replace(finding, message=f"{node}: {finding.message}") if node else finding


def _infos() -> list[tuple[str, dict[str, Any]]]:
    """What each server says of itself, with its address where there are several."""
    client: Any = sync_feed_redis()
    if cluster_address() is None:
        return [("", client.info())]
    return sorted(client.info(target_nodes=client.PRIMARIES).items())


def server(info: dict[str, Any]) -> Iterator[Finding]:
    """One server, by its `INFO`."""
    version = str(info["redis_version"])
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        yield error("Redis", f"Redis {version} is too old.", "Use Redis 6.2 or newer, or Valkey.")
    else:
        yield ok("Redis", f"{info.get('server_name', 'redis')} {version}, up for {info['uptime_in_seconds'] / 3600:.1f} hours")
    yield from persistence(info)
    if info.get("rejected_connections"):
        yield warning(
            "Redis", f"It has refused {info['rejected_connections']} connections.", "Raise `maxclients`, or find out who has so many."
        )


def look_at_memory() -> Iterator[Finding]:
    """Redis memory: whether it has room, and throws nothing away."""
    yield from memory(sync_redis().info())


def memory(info: dict[str, Any]) -> Iterator[Finding]:
    """What of `INFO` is about memory."""
    most, used, policy = int(info.get("maxmemory", 0)), int(info["used_memory"]), info.get("maxmemory_policy", "noeviction")
    if info.get("evicted_keys"):
        hint = "CONFIG SET maxmemory-policy noeviction; then publish again what layers have lost."
        yield error("Redis memory", f"Redis has evicted {info['evicted_keys']} keys: features or logs are gone.", hint)
    if policy != "noeviction":
        hint = "In redis.conf: maxmemory-policy noeviction. Publishing is then refused when memory is full, and nothing is lost."
        yield (error if most else warning)("Redis memory", f"Its maxmemory-policy is {policy}: it may throw away features.", hint)
    elif most and used > conf.REDIS_FULL * most:
        yield warning("Redis memory", f"{used / most:.0%} of its maxmemory are used: when it is full, nothing is published.", _ROOM)
    else:
        yield ok(
            "Redis memory",
            f"{used / MIB:.0f} MiB used" + (f" of {most / MIB:.0f}" if most else ", without a limit") + ", nothing is evicted",
        )


def persistence(info: dict[str, Any]) -> Iterator[Finding]:
    """What of `INFO` is about keeping data on disk."""
    hint = "In redis.conf: appendonly yes"
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status") != "ok":
            yield error("Redis persistence", "The append-only file could not be written.", "See Redis' log; the disk may be full.")
        else:
            yield ok("Redis persistence", "an append-only file")
    else:
        yield warning("Redis persistence", "There is no append-only file: what was published since its last snapshot can be lost.", hint)


def look_at_latency() -> Iterator[Finding]:
    """Redis latency: and its clock."""
    client, took = sync_redis(), []
    client.ping()
    for _ in range(PINGS):
        began = time.perf_counter()
        client.ping()
        took.append(time.perf_counter() - began)
    usual = median(took)
    message = f"{usual * 1000:.2f} ms for an answer"
    if usual > SLOW_SECONDS:
        hint = "Every change takes two: have Redis in the same network, or find out what keeps it busy (SLOWLOG GET)."
        yield (error if usual > TOO_SLOW_SECONDS else warning)("Redis latency", f"{message} is long.", hint)
    else:
        yield ok("Redis latency", message)
    seconds, microseconds = client.time()
    yield clock("This machine's clock", time.time() - usual / 2 - (seconds + microseconds / 1e6))


def clock(whose: str, skew: float) -> Finding:
    """A clock that differs from Redis' by so many seconds."""
    if abs(skew) <= SKEW_SECONDS:
        return ok("Clocks", f"{whose} agrees with Redis' to {abs(skew) * 1000:.0f} ms")
    hint = "Let NTP set all clocks: tokens, leases and resumes compare times."
    message = f"{whose} is {abs(skew):.1f} seconds {'ahead of' if skew > 0 else 'behind'} Redis'."
    return (error if abs(skew) > MOST_SKEW_SECONDS else warning)("Clocks", message, hint)
