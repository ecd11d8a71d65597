"""Whether one client's or publisher's costly work holds up the others. Each row is one situation, on a server of its own.

A probe in a process of its own sends a `ping` of the geo protocol every 50 ms and waits for its `pong`; another process makes the load.
"p50", "p99", "max": the probe's round trips while the load lasts. "quiet p99": of the same probe before. "RSS MB": the server's memory
before, and the most of it meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from .stack import Server, stack

PING_SECONDS = 0.05
SECONDS = 15.0
"""Of each load, and of its probe."""
QUIET_SECONDS = 3.0
MEGABYTE = 1_000_000

Load = Callable[[Server, float], Awaitable[dict[str, Any]]]
"""Makes the load for so many seconds; returns columns of its own. It runs in a process of its own, so it must be importable by name."""


@dataclass(frozen=True)
class Situation:
    """One row."""

    name: str
    load: Load
    prepare: Callable[[Server], None] = lambda server: None
    settings: dict[str, str] = field(default_factory=dict)


def situations() -> list[Situation]:
    """All of them."""
    from . import fairness_geo, fairness_http, fairness_phoenix, fairness_redis  # late, because they make situations

    parts = (fairness_redis, fairness_geo, fairness_phoenix, fairness_http)
    return [situation for part in parts for situation in part.SITUATIONS]


def run(share: float, only: str = "") -> Iterator[dict[str, Any]]:
    """All rows, as they are measured; or those whose names have a text in them."""
    seconds = SECONDS * max(share, 0.3)
    for situation in situations():
        if only not in situation.name:
            continue
        with stack(**situation.settings) as server:
            situation.prepare(server)
            yield {"situation": situation.name, **measure(situation.load, server, seconds)}


def measure(load: Load, server: Server, seconds: float) -> dict[str, Any]:
    """What the probe sees, before and during the load."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        quiet = processes.submit(_probe, server.port, QUIET_SECONDS).result()
        before = most = server.rss
        loading = processes.submit(_load, load, server, seconds)
        probing = processes.submit(_probe, server.port, seconds)
        while not _done(loading, probing):
            most = max(most, server.rss)
            time.sleep(0.1)
        trips, columns = probing.result(), loading.result()
    shares = {f"p{share} ms": _percentile(trips, share) for share in (50, 99)}
    memory = f"{before / MEGABYTE:.0f} → {most / MEGABYTE:.0f}"
    return {**shares, "max ms": _percentile(trips, 100), "quiet p99 ms": _percentile(quiet, 99), "RSS MB": memory, **columns}


def _done(*futures: Future[Any]) -> bool:
    return all(future.done() for future in futures)


def _percentile(trips: list[float], share: float) -> float:
    return round(float(np.percentile(trips, share)) * 1000, 1)


def _load(load: Load, server: Server, seconds: float) -> dict[str, Any]:
    async def bounded() -> dict[str, Any]:
        async with asyncio.timeout(seconds + 60):
            return await load(server, seconds)

    return asyncio.run(bounded())


def _probe(port: int, seconds: float) -> list[float]:
    return asyncio.run(_round_trips(port, seconds))


async def _round_trips(port: int, seconds: float) -> list[float]:
    """Seconds from each ping to its pong. The next ping is due 50 ms after the one before, however late that was answered."""
    trips = []
    async with connect(f"ws://127.0.0.1:{port}/ws", max_size=None) as socket:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            await socket.send(json.dumps({"type": "ping", "id": 1}))
            while json.loads(await socket.recv())["type"] != "pong":
                pass
            trips.append(time.monotonic() - now)
            await asyncio.sleep(max(0.0, PING_SECONDS - trips[-1]))
    return trips
