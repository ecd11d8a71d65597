"""Several Redis servers: whether another one could take over if the primary failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis.exceptions import RedisError

from streaming.core.redis import redis_url, sync_feed_redis, sync_redis
from streaming.core.redis_address import ClusterAddress, SentinelAddress, parse_address
from streaming.core.redis_pools import PrimaryPool

from ..diagnosis import Finding, error, ok, warning

SENTINELS = 3
"""Fewer cannot tell a primary that has failed from a network that has."""
SLOTS = 16384
SUBJECT = "Redis failover"


def look_at_group() -> Iterator[Finding]:
    """Redis failover: Sentinels, nodes of a cluster, and replicas."""
    address = parse_address(redis_url())
    if isinstance(address, SentinelAddress):
        yield from sentinels(address.service, *_ask_sentinels(address.service))
    elif isinstance(address, ClusterAddress):
        client: Any = sync_feed_redis()
        yield from cluster(client.cluster_info(), client.cluster_nodes())


def _ask_sentinels(service: str) -> tuple[list[dict[str, Any]], int]:
    """What each Sentinel says of the service, and how many do not answer."""
    pool = sync_redis().connection_pool
    assert isinstance(pool, PrimaryPool)
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


def cluster(info: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """A cluster, as one node sees it (`CLUSTER INFO`, and `CLUSTER NODES` by address)."""
    living = {address: node for address, node in nodes.items() if "fail" not in node["flags"]}
    if info["cluster_state"] != "ok" or int(info["cluster_slots_ok"]) != SLOTS:
        missing = SLOTS - int(info["cluster_slots_ok"])
        yield error(SUBJECT, f"The cluster is not whole: {missing} slots have no node.", "See `redis-cli --cluster check`, and the logs.")
    if failed := sorted(nodes.keys() - living.keys()):
        yield warning(SUBJECT, f"Nodes of the cluster have failed: {', '.join(failed)}.", "Start them, or remove them (CLUSTER FORGET).")
    followed = {node["master_id"] for node in living.values()}
    primaries = {address: node for address, node in living.items() if node["slots"]}
    if alone := sorted(address for address, node in primaries.items() if node["node_id"] not in followed):
        yield warning(SUBJECT, f"Primaries without a replica: {', '.join(alone)}.", "`redis-cli --cluster add-node … --cluster-slave`")
    else:
        yield ok(SUBJECT, f"a cluster of {len(primaries)} primaries, each with a replica")
