"""A cluster: three primaries, each with as many replicas as are asked for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from redis.crc import key_slot

from streaming.core.redis_address import REDIS_PORT
from streaming.server.redis_server import is_free

from .network import Machine
from .nodes import RedisNode, wait_for

SLOTS = 16384
_SERVER = 'save ""\ncluster-enabled yes\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 1\ncluster-replica-validity-factor 0\n'


class RedisCluster:
    """Runs when it is made, and all nodes know that all slots are served. `timeout_ms`: after which a silent node has failed.

    `machines`: one for each node, if they do not run on this one.
    """

    def __init__(self, folder: Path, stack: ExitStack, replicas: int = 0, timeout_ms: int = 500, machines: Sequence[Machine] = ()) -> None:
        config = f"{_SERVER}cluster-node-timeout {timeout_ms}\n"
        places: Sequence[Machine | None] = machines or [None] * (3 * (1 + replicas))
        ports = [REDIS_PORT if machine else _free_port() for machine in places]
        self.nodes = [
            RedisNode(folder / str(number), stack, config, port=port, machine=machine)
            for number, (port, machine) in enumerate(zip(ports, places, strict=True))
        ]
        self.primaries = self.nodes[:3]
        for number, node in enumerate(self.primaries):
            first, end = number * SLOTS // 3, (number + 1) * SLOTS // 3
            node.ask("CLUSTER ADDSLOTS", *range(first, end))
            node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER MEET", self.nodes[0].host, self.nodes[0].port)
        wait_for(
            lambda: all(node.client.cluster("info")["cluster_known_nodes"] == str(len(self.nodes)) for node in self.nodes), "a meeting"
        )
        for number, node in enumerate(self.nodes[3:]):
            wait_for(lambda node=node, number=number: self._follow(node, self.primaries[number % 3]), "a replica")
        wait_for(self.is_whole, "a whole cluster")

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(node.address for node in self.nodes)}"

    def is_whole(self) -> bool:
        return all(node.client.cluster("info")["cluster_state"] == "ok" for node in self.nodes)

    def owner(self, key: str) -> RedisNode:
        """The primary with a key."""
        found = self._find_owner(key)
        assert found is not None
        return found

    def _find_owner(self, key: str) -> RedisNode | None:
        ranges = self.primaries[0].ask("CLUSTER SLOTS")
        found = [f"{host}:{port}" for first, last, (host, port, *_), *_ in ranges if first <= key_slot(key.encode()) <= last]
        return next((node for node in self.nodes if [node.address] == found), None)

    def move(self, key: str) -> None:
        """Move the slot of a key to another primary, key by key, as `redis-cli --cluster reshard` does."""
        slot, source = key_slot(key.encode()), self.owner(key)
        target = next(node for node in self.primaries if node is not source)
        theirs, ours = target.ask("CLUSTER MYID"), source.ask("CLUSTER MYID")
        target.ask("CLUSTER SETSLOT", slot, "IMPORTING", ours)
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", theirs)
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, 10):
            source.ask("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source, *self.primaries):
            node.ask("CLUSTER SETSLOT", slot, "NODE", theirs)

    def fail_over(self, key: str, frozen: bool = False) -> None:
        """Kill (or freeze) the primary with a key; done when its replica has taken over."""
        gone = self.owner(key)
        (gone.freeze if frozen else gone.kill)()
        self.replace(gone, key)

    def replace(self, gone: RedisNode, key: str) -> None:
        """Wait until another node has taken over for one that has failed, which had a key."""
        self.nodes.remove(gone)
        self.primaries.remove(gone)
        wait_for(lambda: self._find_owner(key) is not None and self.is_whole(), "a new primary")
        self.primaries.append(self.owner(key))

    @staticmethod
    def _follow(node: RedisNode, primary: RedisNode) -> bool:
        node.ask("CLUSTER REPLICATE", primary.ask("CLUSTER MYID"))  # an error if it has not heard of the primary yet
        return True


def _free_port() -> int:
    """A port for clients, 10,000 above which one for the other nodes is free. Neither is one that systems give to clients."""
    for port in random.sample(range(20_000, 22_700), 100):
        if is_free(port) and is_free(port + 10_000):
            return port
    raise AssertionError("no port is free")
