"""Reads the ends of several logs at once: on one server in one step, on a cluster on all nodes at the same time, each log in one step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from .errors import StreamError
from .feed import Feed
from .redis import async_redis, cluster_address, refusing
from .script import Script

LATE_SECONDS = 1.0
"""How long the logs of other nodes of a cluster wait for those of a node that does not answer."""

# KEYS: the log and the meta of a feed. ARGV: from where on, how many lines.
_PULL = Script(
    "return {redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'stamp'), redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])}"
)


class Pulled(NamedTuple):
    """Epoch, number and stamp of a feed, and the lines of its log from a number on, as redis-py reads `XRANGE`."""

    meta: list[bytes | None]
    lines: list[tuple[bytes, dict[bytes, bytes]]]
    late: bool = False
    """Whether this was read some time ago."""


class NotAnsweredYet(StreamError):
    """The nodes of a cluster that were asked have not answered yet. What they answer comes with the next pull."""

    def __init__(self) -> None:
        super().__init__("redis_unavailable", "a node of Redis has not answered yet")


class Puller:
    """Pulls for one hub."""

    def __init__(self) -> None:
        self._pulls: dict[str, tuple[int, asyncio.Task[Pulled]]] = {}  # of a cluster, by feed: from which number on, and what comes

    async def pull(self, places: Sequence[tuple[Feed, int]], count: int) -> list[Pulled | None]:
        """Of each feed the lines from a number on, at most `count`; None where a node of a cluster has not answered yet.

        `StreamError` if no feed can be read: `NotAnsweredYet` if that may still come.
        """
        if cluster_address() is not None:
            return await self._pull_from_nodes(places, count)
        if len(places) == 1:
            return [await _pull_one(*places[0], count)]
        with refusing():
            pipe = async_redis().pipeline(transaction=True)
            for feed, seq in places:
                pipe.hmget(feed.meta_key, "epoch", "seq", "stamp")
                pipe.xrange(feed.log_key, f"{seq}-0", "+", count=count)
            replies = await pipe.execute()
        return [Pulled(meta, lines) for meta, lines in zip(replies[::2], replies[1::2], strict=True)]

    def stop(self) -> None:
        """Wait for nothing more."""
        for _, task in self._pulls.values():
            task.cancel()
        self._pulls.clear()

    async def _pull_from_nodes(self, places: Sequence[tuple[Feed, int]], count: int) -> list[Pulled | None]:
        begun = {self._begin(feed, seq, count) for feed, seq in places if not self._is_under_way(feed, seq)}
        await asyncio.wait(begun or {self._pulls[feed.name][1] for feed, _ in places}, timeout=LATE_SECONDS)  # nobody waits for late ones
        pulled = list[Pulled | None]()
        why: BaseException = NotAnsweredYet()
        for feed, _ in places:
            task = self._pulls[feed.name][1]
            if not task.done():
                pulled.append(None)
                continue
            del self._pulls[feed.name]
            why = task.exception() or why
            pulled.append(None if task.exception() else task.result()._replace(late=task not in begun))
        if not any(pulled):
            raise why
        return pulled

    def _is_under_way(self, feed: Feed, seq: int) -> bool:
        """Whether this was begun, and not answered in time; it may have been by now."""
        begun_at, task = self._pulls.get(feed.name, (-1, None))
        return task is not None and not (task.done() and begun_at != seq)

    def _begin(self, feed: Feed, seq: int, count: int) -> asyncio.Task[Pulled]:
        task = asyncio.create_task(_pull_one(feed, seq, count))
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # which is logged of none that is stopped
        self._pulls[feed.name] = seq, task
        return task


async def _pull_one(feed: Feed, seq: int, count: int) -> Pulled:
    return _pulled(*await _PULL.run((feed.log_key, feed.meta_key), (f"{seq}-0", count)))


def pull_sync(feed: Feed, seq: int, count: int) -> Pulled:
    """The lines of one log from a number on, from a thread or a command."""
    return _pulled(*_PULL.run_sync((feed.log_key, feed.meta_key), (f"{seq}-0", count)))


def _pulled(meta: list[bytes | None], lines: list[tuple[bytes, list[bytes]]]) -> Pulled:
    return Pulled(meta, [(id, dict(zip(fields[::2], fields[1::2], strict=True))) for id, fields in lines])
