"""Records the charted measures: each process reports every few seconds, and one of them, whichever comes first, writes the frame of all.

There is no leader that could be lost: a step belongs to the process that claims it in Redis. What a process reports are the figures that
it leaves for `/metrics` at that moment. While Redis is away each process tells the operators who are connected to it of itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.leases import NODE_KEY, NODES
from streaming.core.redis import async_redis, refusing
from streaming.engine.conf import conf
from streaming.engine.exposition import REDIS_SECONDS, SHARE_SECONDS, Families
from streaming.engine.metrics import MetricsService
from streaming.topics.messages import TopicMessage

from . import history, live_diagnoses
from .charts import Charted, rounded
from .health import REDIS_AWAY, Ended, Problem, problems
from .history import RINGS, Frame, Report, Ring

if TYPE_CHECKING:
    from streaming.topics.service import Topics

logger = logging.getLogger(__name__)

MONITOR = "monitor"
"""The topic of operators' pages."""
REPORT_KEY = COMMON + "monitor:report:"
CLAIM_KEY = COMMON + "monitor:claim:"
LATEST_KEY = COMMON + "monitor:latest"
SEEN_KEY = COMMON + "monitor:seen"
"""When each process was heard last."""
FRESH_SECONDS = 3 * SHARE_SECONDS
MOST_READ = 256
_report = msgspec.msgpack.Decoder(Report).decode
_ended = msgspec.msgpack.Decoder(Ended).decode


class FrameEvent(msgspec.Struct):
    """What pages are told with each step: a frame, who has stopped, and what is wrong."""

    frame: Frame
    ended: dict[str, Ended]
    problems: list[Problem]
    redis: bool = True


_event = msgspec.json.Decoder(FrameEvent).decode


class MeasureRecorder:
    """One process's part in it."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._node = topics.runtime.hub.node
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._started = time.time()
        self._counters: dict[str, float] = {}
        self._counted_at = time.monotonic()
        self.charted = Charted()
        self._alone: FrameEvent | None = None
        self.on_frame: list[Callable[[FrameEvent], None]] = []
        """Called in the one process that wrote the frame."""

    def start(self) -> None:
        """Report from now on, whenever the metrics are read for the other processes."""
        self._topics.runtime.service(MetricsService).exposition.shared.append(self.step)

    async def stop(self) -> None:
        """Say that this process ends."""
        try:
            await self._see(self._ended(orderly=True))
        except StreamError as error:
            logger.debug("that this process ends was not told: %s", error)

    async def step(self, families: Families) -> None:
        """Report; and if nobody else has done so, write the frame of this step."""
        own = self._reported(families)
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                claimed = await self._left(own)
                self._alone = None
                if claimed:
                    await self._write(own)
        except (StreamError, TimeoutError):
            event = FrameEvent(history.frame_of({self._node: own}, self.charted, own.at), {}, [REDIS_AWAY], redis=False)
            self._alone = event
            self._topics.rooms.deliver([TopicMessage(MONITOR, "frame", msgspec.json.encode(event))])

    async def latest(self) -> FrameEvent | None:
        """What was told last, by whichever process; of this one alone while Redis is away. None if there was nothing lately."""
        try:
            with refusing():
                async with asyncio.timeout(REDIS_SECONDS):
                    data: Any = await async_redis().get(LATEST_KEY)
            return None if data is None else _event(data)
        except (StreamError, TimeoutError, msgspec.DecodeError):  # or a process of another version left it
            return self._alone

    def _reported(self, families: Families) -> Report:
        gauges, counters = self.charted.read(families)
        now = time.monotonic()
        elapsed = max(now - self._counted_at, 0.001)
        for line, value in counters.items():
            if growth := value - self._counters.get(line, 0):
                gauges[line] = growth / elapsed
        self._counters, self._counted_at = counters, now
        return Report(time.time(), self._name, self._started, {line: rounded(value) for line, value in gauges.items()})

    async def _left(self, own: Report) -> bool:
        """Leave the report to the others; returns whether this process is to write the frame."""
        claim = f"{CLAIM_KEY}{RINGS[0].name}:{int(own.at / SHARE_SECONDS)}"
        with refusing():
            async with async_redis().pipeline(transaction=False) as pipe:
                pipe.set(REPORT_KEY + self._node, msgspec.msgpack.encode(own), ex=int(FRESH_SECONDS))
                pipe.set(claim, self._node, nx=True, ex=int(FRESH_SECONDS))
                _, claimed = await pipe.execute()
        return bool(claimed)

    async def _write(self, own: Report) -> None:
        reports = await self._reports(own)
        ended = await self._stopped(reports, own.at)
        frame = history.frame_of(reports, self.charted, own.at)
        await history.append(RINGS[0], frame)
        for finer, coarser in pairwise(RINGS):
            await self._summarize(finer, coarser, own.at)
        found = [*problems(reports, ended, self.charted, own.at), *await live_diagnoses.known()]
        event = FrameEvent(frame, ended, sorted(found, key=lambda problem: problem.level))
        self._topics.spawn(live_diagnoses.look(self._node))
        with refusing():
            await async_redis().set(LATEST_KEY, msgspec.json.encode(event), ex=int(FRESH_SECONDS))
        self._topics.bridge.announce(MONITOR, "frame", event)
        for call in self.on_frame:
            call(event)

    async def _reports(self, own: Report) -> dict[str, Report]:
        """Of all processes whose lease has not run out."""
        with refusing():
            redis = async_redis()
            listed: Any = await redis.smembers(NODES)
            nodes = sorted({node.decode() for node in listed} - {self._node})[:MOST_READ]
            found: Any = await redis.mget([key + node for key in (NODE_KEY, REPORT_KEY) for node in nodes]) if nodes else []
        reports = {self._node: own}
        for node, sign, data in zip(nodes, found[: len(nodes)], found[len(nodes) :], strict=True):
            if sign is not None and data is not None:
                try:
                    reports[node] = _report(data)
                except msgspec.DecodeError:
                    logger.debug("%s is of another version", node)
        return reports

    async def _stopped(self, reports: dict[str, Report], now: float) -> dict[str, Ended]:
        """Those who were heard before and are not now; and remember who is."""
        with refusing():
            redis = async_redis()
            seen: Any = await redis.hgetall(SEEN_KEY)
        ended = {node.decode(): _ended(data) for node, data in seen.items() if node.decode() not in reports}
        old = [node for node, each in ended.items() if now - each.at > conf.STOPPED_SECONDS]
        for node in old:
            del ended[node]
        heard = {node: Ended(report.name, report.started, report.at, orderly=False) for node, report in reports.items()}
        await self._see(heard, old)
        return ended

    async def _see(self, heard: dict[str, Ended], forgotten: list[str] | None = None) -> None:
        with refusing():
            async with async_redis().pipeline(transaction=False) as pipe:
                pipe.hset(SEEN_KEY, mapping={node: msgspec.msgpack.encode(each) for node, each in heard.items()})
                if forgotten:
                    pipe.hdel(SEEN_KEY, *forgotten)
                pipe.expire(SEEN_KEY, 86_400)
                await pipe.execute()

    async def _summarize(self, finer: Ring, coarser: Ring, now: float) -> None:
        """Write the frame of the coarser step that has just ended, once."""
        step = int(now / coarser.step)
        with refusing():
            claim = f"{CLAIM_KEY}{coarser.name}:{step}"
            if not await async_redis().set(claim, self._node, nx=True, ex=int(2 * coarser.step)):
                return
        end = step * coarser.step
        frames = [frame for frame in await history.read(finer.name, end - coarser.step) if frame.at <= end]
        if frames:
            await history.append(coarser, history.summary_of(frames, self.charted, end))

    def _ended(self, orderly: bool) -> dict[str, Ended]:
        return {self._node: Ended(self._name, self._started, time.time(), orderly)}
