"""A primary with a replica, and three Sentinels that watch over them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from .network import Machine
from .nodes import RedisNode, wait_for

SERVICE = "maps"
_SERVER = 'save ""\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 1\n'


class SentinelGroup:
    """Runs when it is made: the replica has all data, and the Sentinels know each other and it.

    `machines`: one for each Sentinel, if they do not run on this one; the primary is on the first, the replica on the second.
    """

    def __init__(self, folder: Path, stack: ExitStack, down_after_ms: int = 500, machines: Sequence[Machine] = ()) -> None:
        self.folder = folder
        places: Sequence[Machine | None] = machines or [None] * 3
        self.primary = RedisNode(folder / "1", stack, _SERVER, machine=places[0])
        follow = f"replicaof {self.primary.host} {self.primary.port}\n"
        self.replica = RedisNode(folder / "2", stack, f"{_SERVER}{follow}", machine=places[1])
        watch = (
            f"sentinel monitor {SERVICE} {self.primary.host} {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
        )
        self.sentinels = [
            RedisNode(folder / f"s{number}", stack, watch, "--sentinel", machine=machine) for number, machine in enumerate(places)
        ]
        wait_for(lambda: self.replica.client.info("replication")["master_link_status"] == "up", "the replica")
        wait_for(self._know_each_other, "Sentinels that know each other")

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(sentinel.address for sentinel in self.sentinels)}/{SERVICE}"

    def fail_over(self, frozen: bool = False) -> None:
        """Kill (or freeze) the primary; done when the replica is the primary."""
        (self.primary.freeze if frozen else self.primary.kill)()
        self.replace()

    def replace(self) -> None:
        """Wait until the replica has taken over for the primary."""
        self.primary, self.replica = self.replica, self.primary
        wait_for(self._is_promoted, "a new primary")

    def _is_promoted(self) -> bool:
        return self.primary.ask("ROLE")[0] == "master"

    def _know_each_other(self) -> bool:
        states = [sentinel.client.sentinel_master(SERVICE) for sentinel in self.sentinels]
        return all((state["num-other-sentinels"], state["num-slaves"]) == (2, 1) for state in states)
