"""Milliseconds from the start of a POST to each client's socket: single features, so many a second, all subscribers see all of them.
POSTs and subscribers are in this process, on one clock; the server is another. Every feature carries its number, by which its
arrival is recognised.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from statistics import quantiles
from typing import Any

from .http import Poster
from .stack import Server, stack
from .swarm import Swarm, everything

RATES = {100: 100, 1_000: 100, 10_000: 10}
"""Changes a second by subscribers."""
WATCHED = 100
"""Subscribers whose messages are read; the others' are only counted, or this process would measure itself."""
SECONDS = 10.0
CONNECTIONS = 4

_NUMBER = re.compile(rb'number\\":(\d+)')


async def measure(server: Server, subscribers: int, rate: int, seconds: float) -> dict[str, Any]:
    """One row."""
    layer = f"latency-{subscribers}"
    posters = [await Poster(server.port, f"/api/layers/{layer}/features", server.token()).open() for _ in range(CONNECTIONS)]
    for poster in posters:
        await poster.post(_feature(0))
    started: dict[int, float] = {}
    arrived: list[float] = []

    def on_data(data: bytes) -> None:
        now = time.perf_counter()
        arrived.extend(now - started[int(number)] for number in _NUMBER.findall(data) if int(number) in started)

    swarm = Swarm()
    await swarm.connect(server.port, [everything(layer)] * subscribers, on_data, WATCHED)
    await asyncio.sleep(1.5)
    cpu, begin = server.cpu, time.perf_counter()
    count = int(rate * seconds)
    answers: list[float] = []

    async def post(number: int, poster: Poster) -> None:
        started[number] = time.perf_counter()
        await poster.post(_feature(number))
        answers.append(time.perf_counter() - started[number])

    free: asyncio.Queue[Poster] = asyncio.Queue()
    for poster in posters:
        free.put_nowait(poster)

    async def one(number: int) -> None:
        poster = await free.get()
        try:
            await post(number, poster)
        finally:
            free.put_nowait(poster)

    async with asyncio.TaskGroup() as tasks:
        for number in range(1, count + 1):
            await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            tasks.create_task(one(number))
    await asyncio.sleep(0.5)
    used, received = server.cpu - cpu, swarm.count
    await swarm.close()
    for poster in posters:
        await poster.close()
    centiles = quantiles(arrived, n=100)
    return {
        "subscribers": subscribers,
        "changes/s": rate,
        "deliveries": received,
        "lost": count * subscribers - received,
        "p50 ms": round(centiles[49] * 1000, 2),
        "p99 ms": round(centiles[98] * 1000, 2),
        "answer p50 ms": round(quantiles(answers, n=100)[49] * 1000, 2),
        "server CPU %": round(used / seconds * 100),
    }


def _feature(number: int) -> bytes:
    feature = {
        "type": "Feature",
        "id": f"vehicle-{number % 50}",
        "geometry": {"type": "Point", "coordinates": [7 + number % 100 / 100, 47]},
        "properties": {"number": number, "speed": 42.5, "heading": 181.3, "name": f"Vehicle number {number % 50}", "status": "moving"},
    }
    return json.dumps(feature).encode()


def run(subscribers: tuple[int, ...], seconds: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    with stack() as server:
        for count in subscribers:
            yield asyncio.run(measure(server, count, RATES.get(count, 10), seconds))
