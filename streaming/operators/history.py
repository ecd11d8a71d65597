"""The charted measures of all processes over the last 24 hours, in Redis: three rings of frames, each bounded in number and in size.

A frame is what all processes reported at one moment, or what they reported on average in one step of a coarser ring. Where nobody wrote
one there is none: a gap stays a gap.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing

from .charts import Charted, Values

KEY = COMMON + "monitor:frames:"
MOST_PROCESSES = 16
"""Processes that a frame tells apart, those that work the most; the totals are of all."""
LOAD = "process_cpu_seconds_total"


class Report(msgspec.Struct):
    """One process at one moment. Times are seconds since 1970."""

    at: float
    name: str
    """Its host and its number there."""
    started: float
    values: dict[str, float]


class Frame(msgspec.Struct):
    """All processes at one moment."""

    at: float
    count: int
    total: dict[str, float]
    nodes: dict[str, Report]


class Ring(NamedTuple):
    """Frames of the same step, in seconds."""

    name: str
    step: float
    most: int


RINGS = (Ring("5m", 5.0, 61), Ring("1h", 30.0, 121), Ring("24h", 600.0, 145))
_BY_NAME = {ring.name: ring for ring in RINGS}
_decode = msgspec.msgpack.Decoder(Frame).decode


def frame_of(reports: dict[str, Report], charted: Charted, at: float) -> Frame:
    """What these processes reported as one frame."""
    kept = dict(sorted(reports.items(), key=lambda item: -item[1].values.get(LOAD, 0))[:MOST_PROCESSES])
    return Frame(at, len(reports), charted.total([report.values for report in reports.values()]), kept)


def summary_of(frames: Sequence[Frame], charted: Charted, at: float) -> Frame:
    """Several frames as one. A process counts for the time in which it was there."""
    nodes: dict[str, list[Report]] = {}
    for frame in frames:
        for node, report in frame.nodes.items():
            nodes.setdefault(node, []).append(report)

    def over(reports: Sequence[Report]) -> Report:
        latest = max(reports, key=lambda report: report.at)
        values: list[Values] = [report.values for report in reports]
        return Report(at, latest.name, latest.started, charted.over_time(values))

    kept = sorted(nodes.items(), key=lambda item: -len(item[1]))[:MOST_PROCESSES]
    total = charted.over_time([frame.total for frame in frames])
    return Frame(at, max(frame.count for frame in frames), total, {node: over(reports) for node, reports in kept})


def packed(frame: Frame) -> bytes:
    """As it is kept: lines are called alike, so that it becomes a third."""
    return zlib.compress(msgspec.msgpack.encode(frame), 1)


def unpacked(data: bytes) -> Frame | None:
    """None if a process of another version wrote it."""
    try:
        return _decode(zlib.decompress(data))
    except (zlib.error, msgspec.DecodeError):
        return None


async def append(ring: Ring, frame: Frame) -> None:
    """Add the newest frame. `StreamError` if Redis does not answer."""
    data = await asyncio.to_thread(packed, frame)
    key = KEY + ring.name
    with refusing():
        async with async_redis().pipeline(transaction=True) as pipe:
            pipe.lpush(key, data)
            pipe.ltrim(key, 0, ring.most - 1)
            pipe.expire(key, int(ring.step * ring.most))
            await pipe.execute()


async def read(ring: str, since: float = 0.0) -> list[Frame]:
    """The frames of a ring that are newer, the oldest first. `StreamError` if Redis does not answer."""
    kept = _BY_NAME[ring]
    with refusing():
        found: Any = await async_redis().lrange(KEY + kept.name, 0, kept.most - 1)
    frames = await asyncio.to_thread(lambda: [frame for data in found if (frame := unpacked(data)) is not None])
    return sorted((frame for frame in frames if frame.at > since), key=lambda frame: frame.at)


def columns(frames: Sequence[Frame], by_process: bool) -> dict[str, Any]:
    """Frames as columns for a chart: times, and the values of each line at these times; None where a process was not there."""
    answer: dict[str, Any] = {"times": [frame.at for frame in frames], "total": _columns([frame.total for frame in frames])}
    if by_process:
        names = {node: report.name for frame in frames for node, report in frame.nodes.items()}
        answer["nodes"] = {
            node: {"name": name, "lines": _columns([found.values if (found := frame.nodes.get(node)) else None for frame in frames])}
            for node, name in names.items()
        }
    return answer


def _columns(moments: Sequence[Values | None]) -> dict[str, list[float | None]]:
    lines = dict.fromkeys(line for values in moments if values is not None for line in values)
    return {line: [None if values is None else values.get(line, 0) for values in moments] for line in lines}
