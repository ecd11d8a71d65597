"""The answer to a scrape: the metrics of this process, and those that the other live processes left in Redis a moment ago.

Of several workers on one port, or processes behind a balancer, a scrape reaches any; so any answers for all. What a process answers for
itself is in Redis before it is sent: no counter goes back because the next scrape reaches another one. Without Redis it answers for
itself alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.leases import NODE_KEY, NODES
from streaming.core.redis import async_redis, refusing

logger = logging.getLogger(__name__)

METRICS_KEY = COMMON + "metrics:"
SHARE_SECONDS = 5.0
KEPT_SECONDS = 15
REDIS_SECONDS = 2.0
"""How long Redis may take before a scrape is answered without it."""
MAX_PROCESSES = 256


class Family(msgspec.Struct, array_like=True):
    """One metric of one process: its samples are name, labels and value."""

    name: str
    documentation: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


Families = list[Family]


class Exposition:
    """Answers scrapes of one process. `read` returns the metrics of the engine and its services."""

    def __init__(self, node: str, read: Callable[[], Awaitable[Sequence[Metric]]]) -> None:
        self._node = node
        self._read = read
        self._process = ProcessCollector(registry=None)
        self._turn = asyncio.Lock()  # or older figures could be stored after newer ones
        self.shared: list[Callable[[Families], Awaitable[None]]] = []
        """Called with the metrics of this process whenever it leaves them to the others, also while Redis is away."""

    async def share(self) -> None:
        """Leave the metrics of this process to the others. Errors of Redis are logged elsewhere."""
        async with self._turn:
            own = await self._own()
            with suppress(StreamError, TimeoutError):
                await self._store(own)
        for call in self.shared:
            await call(own)

    async def answer(self, accept: str = "", everybody: bool = True) -> tuple[bytes, str]:
        """The metrics as text in the format that `accept` (the header) prefers, and its content type."""
        async with self._turn:
            own = await self._own()
            others: list[bytes] = []
            if everybody:
                with suppress(StreamError, TimeoutError):
                    await self._store(own)
                    others = await self._others()
        return await asyncio.to_thread(_render, own, others, accept)  # of many processes it is much

    async def processes(self) -> list[Families]:
        """The metrics of this process, and those that the other live ones left. `StreamError` or TimeoutError without Redis."""
        async with self._turn:
            own, others = await self._own(), await self._others()
        return [own, *await asyncio.to_thread(_decoded, others)]

    async def _own(self) -> Families:
        process = await asyncio.to_thread(self._process.collect)  # counts the open files, one by one
        return [_family(metric, self._node) for metric in (*await self._read(), *process)]

    async def _store(self, own: Families) -> None:
        with refusing():
            async with asyncio.timeout(REDIS_SECONDS):
                await async_redis().set(METRICS_KEY + self._node, msgspec.msgpack.encode(own), ex=KEPT_SECONDS)

    async def _others(self) -> list[bytes]:
        """What the other processes left whose lease has not run out."""
        with refusing():
            async with asyncio.timeout(REDIS_SECONDS):
                redis = async_redis()
                listed: Any = await redis.smembers(NODES)
                nodes = sorted({node.decode() for node in listed} - {self._node})[:MAX_PROCESSES]
                if not nodes:
                    return []
                found: Any = await redis.mget([*(NODE_KEY + node for node in nodes), *(METRICS_KEY + node for node in nodes)])
        signs, texts = found[: len(nodes)], found[len(nodes) :]
        return [text for sign, text in zip(signs, texts, strict=True) if sign is not None and text is not None]


class _Merged(Collector):
    """Metrics of several processes as one of each name."""

    def __init__(self, processes: Iterable[Families]) -> None:
        self._metrics: dict[str, Metric] = {}
        for families in processes:
            for family in families:
                self._add(family)

    def collect(self) -> Iterable[Metric]:
        """Each name once, as the format demands."""
        return self._metrics.values()

    def _add(self, family: Family) -> None:
        metric = self._metrics.setdefault(family.name, Metric(family.name, family.documentation, family.kind))
        if metric.type == family.kind:  # a process of another version may mean something else by the name
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)


def _family(metric: Metric, node: str) -> Family:
    samples = [(sample.name, {"node": node, **sample.labels}, float(sample.value)) for sample in metric.samples]
    return Family(metric.name, metric.documentation, metric.type, samples)


def _render(own: Families, others: Sequence[bytes], accept: str) -> tuple[bytes, str]:
    encode, content_type = choose_encoder(accept)
    return encode(_Merged([own, *_decoded(others)])), content_type


def _decoded(others: Sequence[bytes]) -> list[Families]:
    found = list[Families]()
    for left in others:
        try:
            found.append(msgspec.msgpack.decode(left, type=Families))
        except msgspec.DecodeError as error:
            logger.warning("the metrics of a process of another version cannot be read: %s", error)
    return found
