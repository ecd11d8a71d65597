"""A cluster of Redis: clients that find the node of each key, and where the node is that has what all processes share."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from .keys import COMMON
from .redis_address import ClusterAddress, Host

MOST_CONNECTIONS = 500
"""To each node. They are made as needed, and who finds none is refused."""
TRIES = 3
"""How often a command is tried again, on the node that has its key by then."""
_LOOKUP_OPTIONS: dict[str, Any] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "protocol": 2}


def cluster_client(address: ClusterAddress, **options: Any) -> RedisCluster:
    """A client for threads. It connects at once: an error of Redis if no node answers."""
    node: Any = ClusterNode
    nodes = [node(host, port) for host, port in address.hosts]
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), TRIES)
    given: dict[str, Any] = {"retry": retry, **_tls(address), **address.options, **options}
    client: Any = RedisCluster
    return client(startup_nodes=nodes, require_full_coverage=False, **given)  # type: ignore[no-any-return]


def async_cluster_client(address: ClusterAddress, **options: Any) -> aioredis.RedisCluster:
    """A client for the running event loop."""
    nodes = [AsyncClusterNode(host, port) for host, port in address.hosts]
    retry = AsyncRetry(ExponentialBackoff(cap=0.5, base=0.05), TRIES)
    given: dict[str, Any] = {"retry": retry, "max_connections": MOST_CONNECTIONS, **_tls(address), **address.options, **options}
    return aioredis.RedisCluster(startup_nodes=nodes, require_full_coverage=False, **given)


class CommonNode:
    """Says where the node with the keys of `COMMON` is, as a `redis.sentinel.Sentinel` says where a primary is. From any thread."""

    def __init__(self, address: ClusterAddress) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._client: Any = None

    @property
    def sentinels(self) -> tuple[CommonNode]:
        """What a pool closes with itself."""
        return (self,)

    def discover_master(self, service_name: str) -> Host:
        """Host and port at this moment; an error of Redis if nobody can say."""
        try:
            with self._lock:
                if self._client is None:
                    self._client = cluster_client(self._address, **_LOOKUP_OPTIONS, retry=Retry(NoBackoff(), 0))
                else:
                    self._client.nodes_manager.initialize()
                node = self._client.nodes_manager.get_node_from_slot(self._client.keyslot(COMMON))
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error
        return node.host, node.port

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


class AsyncCommonNode:
    """The same for an event loop."""

    def __init__(self, address: ClusterAddress) -> None:
        self._node = CommonNode(address)

    @property
    def sentinels(self) -> tuple[AsyncCommonNode]:
        """What a pool closes with itself."""
        return (self,)

    async def discover_master(self, service_name: str) -> Host:
        """Host and port at this moment; an error of Redis if nobody can say."""
        return await asyncio.to_thread(self._node.discover_master, service_name)

    async def aclose(self) -> None:
        """Close the connections."""
        self._node.close()


def _tls(address: ClusterAddress) -> dict[str, Any]:
    return {"ssl": True} if address.tls else {}
