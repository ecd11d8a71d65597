"""Leases: a node (a server process) renews a key with a lifetime; the process that notices that it is gone sweeps what the node owned.

Nothing a killed process left behind stays: every process looks after all others, so it takes no process that is special, and sweeping
the same node twice does no harm. A node is forgotten only when nothing is left of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from .errors import StreamError
from .keys import COMMON
from .redis import async_redis, refusing

logger = logging.getLogger(__name__)

NODES = COMMON + "nodes"
NODE_KEY = COMMON + "node:"
ENDED_KEY = COMMON + "ended:"
"""Says of a node that it ended by itself, while others may still have to sweep what it left."""
ENDED_SECONDS = 60
SWEEP_SECONDS = 2.5
"""How often others are looked after: together with renewing a lease of ten seconds."""

# KEYS: the nodes, the node's key, the keys that list what it owns. ARGV: the node.
_FORGET = """
if redis.call('EXISTS', unpack(KEYS, 2)) > 0 then return 0 end
return redis.call('SREM', KEYS[1], ARGV[1])
"""

Sweep = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LeaseSign:
    """What a node leaves in its key."""

    skew: float
    """By how many seconds its clock is ahead of Redis'."""

    @staticmethod
    def written(ttl_seconds: float) -> str:
        """The value of the key, written now."""
        return f"{time.time():.3f} {ttl_seconds:.3f}"

    @classmethod
    def read(cls, value: bytes | None, left_ms: int, now: float) -> Self | None:
        """The sign in a key that lives for `left_ms` more; None if there is none. `now` is Redis' time, in seconds since 1970."""
        if value is None or left_ms < 0:
            return None
        written, _, ttl = value.decode().partition(" ")
        age = float(ttl or left_ms / 1000) - left_ms / 1000
        return cls(float(written) - (now - age) if ttl else 0.0)


class Leases:
    """One process's lease, and its eye on those of the others."""

    def __init__(self, node: str, ttl_seconds: float = 10.0) -> None:
        self.node = node
        self.ttl_seconds = ttl_seconds
        self._sweeps: list[Sweep] = []
        self._owned: list[str] = []
        self._ended = False
        self.lost = 0
        """Nodes that ended without a word, as this process has noticed: each is counted by one process."""

    @property
    def jobs(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        """What has to be done again and again, and after how many seconds."""
        return [(self.ttl_seconds / 4, self.renew), (min(SWEEP_SECONDS, self.ttl_seconds), self.sweep)]

    def on_dead(self, sweep: Sweep, owned: str | None = None) -> None:
        """Call `sweep` with each node that is dead; more than once if it fails, or if others notice it too.

        `owned` begins the name of a key that lists what a node owns: until it is gone the node is not forgotten.
        """
        self._sweeps.append(sweep)
        if owned is not None:
            self._owned.append(owned)

    async def renew(self) -> None:
        """This process lives. `StreamError` if Redis does not answer."""
        if self._ended:
            return
        with refusing():
            async with async_redis().pipeline(transaction=True) as pipe:
                pipe.set(NODE_KEY + self.node, LeaseSign.written(self.ttl_seconds), px=int(self.ttl_seconds * 1000))
                pipe.sadd(NODES, self.node)
                await pipe.execute()

    async def dead(self) -> list[str]:
        """The other nodes that have not renewed for their lifetime and are not forgotten yet."""
        with refusing():
            nodes: Any = await async_redis().smembers(NODES)
        return await self.silent(node.decode() for node in nodes)

    async def live(self) -> list[str]:
        """The nodes whose lease runs, this one too."""
        with refusing():
            found: Any = await async_redis().smembers(NODES)
        nodes = {node.decode() for node in found} | {self.node}
        return sorted(nodes - set(await self.silent(nodes)))

    async def silent(self, nodes: Iterable[str]) -> list[str]:
        """Those of these nodes, besides this one, whose lease has run out."""
        others = [node for node in nodes if node != self.node]
        if not others:
            return []
        with refusing():
            signs = await async_redis().mget([NODE_KEY + node for node in others])
        return [node for node, sign in zip(others, signs, strict=True) if sign is None]

    async def sweep(self) -> None:
        """Sweep what dead nodes have left. What cannot be swept now is tried again the next time."""
        for node in await self.dead():
            if await self._sweep(node) and await self._forget(node):
                await self._count(node)

    async def release(self) -> None:
        """This process ends: what it has not cleared away itself is swept by the others at once."""
        self._ended = True
        try:
            with refusing():
                async with async_redis().pipeline(transaction=True) as pipe:
                    pipe.set(ENDED_KEY + self.node, "1", ex=ENDED_SECONDS)
                    pipe.delete(NODE_KEY + self.node)
                    await pipe.execute()
            await self._forget(self.node)
        except StreamError as error:
            logger.debug("the lease of %s was not released: %s", self.node, error)

    async def _sweep(self, node: str) -> bool:
        try:
            for sweep in self._sweeps:
                await sweep(node)
        except StreamError as error:
            logger.warning("what the dead process %s left is still there: %s", node, error)
            return False
        except Exception:
            logger.exception("what the dead process %s left could not be swept", node)
            return False
        return True

    async def _count(self, node: str) -> None:
        with refusing():
            self.lost += not await async_redis().exists(ENDED_KEY + node)

    async def _forget(self, node: str) -> bool:
        """In one step with looking: it may have come back to life, and own something again. True for the one process that did it."""
        keys = [NODES, NODE_KEY + node, *(owned + node for owned in self._owned)]
        with refusing():
            return bool(await async_redis().eval(_FORGET, len(keys), *keys, node))
