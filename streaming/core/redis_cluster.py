"""A cluster of Redis: clients that find the node of each key, and where the node is that has what all processes share."""

from __future__ import annotations

import random
import threading
from functools import partial
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from .keys import COMMON
from .redis_address import ClusterAddress, Host
from .redis_primary import LOOKUP_OPTIONS, Told, ask_majority

MOST_CONNECTIONS = 500
"""To each node. They are made as needed, and who finds none is refused."""
TRIES = 3
"""How often a command is tried again, on the node that has its key by then."""
MOST_ASKED = 5
"""Nodes that are asked for the one with the keys of `COMMON`, drawn from those that are known."""
_COMMON_SLOT = key_slot(COMMON.encode())


def cluster_client(address: ClusterAddress, **options: Any) -> RedisCluster:
    """A client for threads. It connects at once: an error of Redis if no node answers."""
    node: Any = ClusterNode
    nodes = [node(host, port) for host, port in address.hosts]
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), TRIES)
    given: dict[str, Any] = {"retry": retry, **_tls(address), **address.options, **options}
    client: Any = _Cluster
    return client(startup_nodes=nodes, require_full_coverage=False, **given)  # type: ignore[no-any-return]


def async_cluster_client(address: ClusterAddress, **options: Any) -> aioredis.RedisCluster:
    """A client for the running event loop."""
    nodes = [AsyncClusterNode(host, port) for host, port in address.hosts]
    retry = AsyncRetry(ExponentialBackoff(cap=0.5, base=0.05), TRIES)
    given: dict[str, Any] = {"retry": retry, "max_connections": MOST_CONNECTIONS, **_tls(address), **address.options, **options}
    return _AsyncCluster(startup_nodes=nodes, require_full_coverage=False, **given)


class _Cluster(RedisCluster):
    """Does not ask a node that is cut off from the others who has its keys: it names itself, and is the first to be asked."""

    def _execute_command(self, target_node: Any, *command: Any, **options: Any) -> Any:
        try:
            return super()._execute_command(target_node, *command, **options)  # type: ignore[no-untyped-call]
        except ClusterDownError:
            _distrust(self, target_node)
            raise


class _AsyncCluster(aioredis.RedisCluster):
    """The same for an event loop."""

    async def _execute_command(self, target_node: AsyncClusterNode, *command: Any, **options: Any) -> Any:
        try:
            return await super()._execute_command(target_node, *command, **options)
        except ClusterDownError:
            if (forgotten := _distrust(self, target_node)) is not None:
                await forgotten.disconnect()
            raise


def _distrust(client: Any, node: Any) -> Any:
    """The node that is not asked any more, if nobody else knows of it. The last one is asked in any case."""
    manager = client.nodes_manager
    left_out = manager.startup_nodes.pop(node.name, None) if len(manager.startup_nodes) > 1 else None
    return None if left_out is manager.nodes_cache.get(node.name) else left_out


class CommonNode:
    """Says where the node with the keys of `COMMON` is, as a `redis.sentinel.Sentinel` says where a primary is. From any thread."""

    def __init__(self, address: ClusterAddress) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._clients: dict[Host, redis.Redis] = {}
        self._primaries: tuple[Host, ...] = ()

    @property
    def sentinels(self) -> tuple[CommonNode]:
        """What a pool closes with itself."""
        return (self,)

    def discover_master(self, service_name: str) -> Host:
        """Host and port at this moment; an error of Redis if nobody can say."""
        hosts = list(dict.fromkeys((*self._primaries, *self._address.hosts)))
        errors: list[RedisError] = []
        for asked in (random.sample(hosts, min(len(hosts), MOST_ASKED)), hosts):
            found, errors = ask_majority([partial(self._ask, host) for host in asked])
            if found is not None:
                self._primaries = found.others
                return found.primary
        raise RedisConnectionError(f"no node says who has the keys {COMMON}…: {', '.join(map(str, errors))}")

    def _ask(self, host: Host) -> Told | None:
        """What a node tells. A cut off one takes itself for a primary, but knows that the cluster is not whole."""
        client: Any = self._client(host)
        info: Any = client.execute_command("CLUSTER INFO")
        ranges: Any = client.execute_command("CLUSTER SLOTS")
        primaries = {int(first): _host(node, host) for first, _, node, *_ in ranges}
        owners = [primaries[int(first)] for first, last, *_ in ranges if int(first) <= _COMMON_SLOT <= int(last)]
        if not owners:
            return None
        others = tuple(dict.fromkeys(primaries.values()))
        return Told(info["cluster_state"] == "ok", int(info["cluster_current_epoch"]), owners[0], others)

    def _client(self, host: Host) -> redis.Redis:
        with self._lock:
            client = self._clients.get(host)
            if client is None:
                kind = redis.SSLConnection if self._address.tls else redis.Connection
                given: dict[str, Any] = {**self._address.options, **LOOKUP_OPTIONS, "retry": Retry(NoBackoff(), 0)}
                pool: Any = redis.ConnectionPool
                client = self._clients[host] = redis.Redis.from_pool(pool(kind, host=host[0], port=host[1], **given))
            return client

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def _tls(address: ClusterAddress) -> dict[str, Any]:
    return {"ssl": True} if address.tls else {}


def _host(node: list[Any], asked: Host) -> Host:
    """The address in a reply to `CLUSTER SLOTS`, where a node may leave out the name under which it was asked."""
    name, port = node[0] or b"", int(node[1])
    text = name.decode() if isinstance(name, bytes) else str(name)
    return (text if text not in ("", "?") else asked[0]), port
