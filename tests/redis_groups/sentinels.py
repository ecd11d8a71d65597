"""A primary with a replica, and three Sentinels that watch over them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from .nodes import RedisNode, wait_for

SERVICE = "maps"
_SERVER = 'save ""\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 1\n'


class SentinelGroup:
    """Runs when it is made: the replica has all data, and the Sentinels know each other and it."""

    def __init__(self, folder: Path, stack: ExitStack, down_after_ms: int = 500) -> None:
        self.folder = folder
        self.primary = RedisNode(folder / "1", stack, _SERVER)
        self.replica = RedisNode(folder / "2", stack, f"{_SERVER}replicaof 127.0.0.1 {self.primary.port}\n")
        watch = (
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
        )
        self.sentinels = [RedisNode(folder / f"s{number}", stack, watch, "--sentinel") for number in range(3)]
        wait_for(lambda: self.replica.client.info("replication")["master_link_status"] == "up", "the replica")
        wait_for(self._know_each_other, "Sentinels that know each other")

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(sentinel.address for sentinel in self.sentinels)}/{SERVICE}"

    def fail_over(self, frozen: bool = False) -> None:
        """Kill (or freeze) the primary; done when the replica is the primary."""
        (self.primary.freeze if frozen else self.primary.kill)()
        self.primary = self.replica
        wait_for(self._is_promoted, "a new primary")

    def _is_promoted(self) -> bool:
        return self.primary.ask("ROLE")[0] == "master"

    def _know_each_other(self) -> bool:
        states = [sentinel.client.sentinel_master(SERVICE) for sentinel in self.sentinels]
        return all((state["num-other-sentinels"], state["num-slaves"]) == (2, 1) for state in states)
