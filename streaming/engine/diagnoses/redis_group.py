"""Several Redis servers: whether another one could take over if the primary failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis.exceptions import RedisError

from streaming.core.redis import redis_url, sync_redis
from streaming.core.redis_address import SentinelAddress, parse_address
from streaming.core.redis_pools import SentinelPool

from ..diagnosis import Finding, error, ok, warning

SENTINELS = 3
"""Fewer cannot tell a primary that has failed from a network that has."""
SUBJECT = "Redis failover"


def look_at_group() -> Iterator[Finding]:
    """Redis failover: Sentinels and replicas."""
    address = parse_address(redis_url())
    if isinstance(address, SentinelAddress):
        yield from sentinels(address.service, *_ask_sentinels(address.service))


def _ask_sentinels(service: str) -> tuple[list[dict[str, Any]], int]:
    """What each Sentinel says of the service, and how many do not answer."""
    pool = sync_redis().connection_pool
    assert isinstance(pool, SentinelPool)
    said, silent = list[dict[str, Any]](), 0
    for sentinel in pool.sentinel_manager.sentinels:
        try:
            said.append(sentinel.sentinel_master(service))
        except RedisError:
            silent += 1
    return said, silent


def sentinels(service: str, said: list[dict[str, Any]], silent: int) -> Iterator[Finding]:
    """`said`: the answers of the Sentinels that answer (`SENTINEL MASTER`)."""
    if not said:
        yield error(SUBJECT, f"No Sentinel knows {service}.", "See that those of REDIS_URL run, and `sentinel monitor` of their files.")
        return
    if silent:
        yield warning(SUBJECT, f"{silent} of the Sentinels of REDIS_URL do not answer.", "Start them, or correct REDIS_URL.")
    known, replicas, quorum = (max(int(each[name]) for each in said) for name in ("num-other-sentinels", "num-slaves", "quorum"))
    if known + 1 < SENTINELS:
        yield warning(SUBJECT, f"There are {known + 1} Sentinels.", f"Run {SENTINELS}, on machines that do not fail together.")
    if not replicas:
        yield warning(SUBJECT, f"The primary of {service} has no replica.", "Start a second Redis with `replicaof`.")
    elif len({(each["ip"], each["port"]) for each in said}) > 1:
        yield warning(SUBJECT, "The Sentinels do not agree which server is the primary.", "Wait a moment; then look at their logs.")
    else:
        primary = f"{said[0]['ip']}:{said[0]['port']}"
        yield ok(SUBJECT, f"{primary} is the primary of {service}; replicas: {replicas}, Sentinels: {known + 1}, of which {quorum} decide")
