"""Features a second into a layer: over REST (batches of 1,000, of 100, single, and as a stream of lines) and straight into the feed.

Half of the features of each batch are new positions of known ids, so both adding and updating are measured; nobody is subscribed.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from typing import Any

from .http import Poster
from .stack import Server, stack

WAYS = (("REST, batches of 1,000", 1000, 150), ("REST, batches of 100", 100, 300), ("REST, single", 1, 1500))
CONNECTIONS = 3
LINES = 100_000


async def measure(server: Server, way: str, batch: int, requests: int) -> dict[str, Any]:
    """One row of REST batches."""
    bodies = [_collection(batch, number) for number in range(40)]
    posters = [await Poster(server.port, f"/api/layers/ingest-{batch}/features", server.token()).open() for _ in range(CONNECTIONS)]
    for poster in posters:
        await poster.post(bodies[0])
    cpu, started = server.cpu, time.perf_counter()
    turns = iter(range(requests))

    async def work(poster: Poster) -> None:
        for turn in turns:
            answer = await poster.post(bodies[turn % len(bodies)])
            assert answer["refused"] == 0

    await asyncio.gather(*(work(poster) for poster in posters))
    seconds = time.perf_counter() - started
    for poster in posters:
        await poster.close()
    return _row(way, batch * requests, seconds, server.cpu - cpu)


async def measure_lines(server: Server) -> dict[str, Any]:
    """One row of a single long stream of lines."""
    poster = await Poster(server.port, "/api/layers/ingest-lines/features", server.token(), "application/x-ndjson").open()
    await poster.post(json.dumps(_feature(0, 0)).encode())
    body = b"\n".join(json.dumps(_feature(number, number % 7)).encode() for number in range(LINES))
    cpu, started = server.cpu, time.perf_counter()
    answer = await poster.post(body)
    seconds = time.perf_counter() - started
    assert answer["refused"] == 0
    await poster.close()
    return _row(f"REST, {LINES:,} lines in one request", LINES, seconds, server.cpu - cpu)


def measure_feed() -> dict[str, Any]:
    """One row of the Python API, in this process."""
    from streaming.core.feed import Feed
    from streaming.features.ingest import ingest

    feed = Feed("layer:ingest-feed")
    records = [json.dumps(_feature(number % 5000, number)).encode() for number in range(100_000)]
    started = time.perf_counter()
    result = ingest(feed, records)
    assert result.refused == 0
    return _row("Python, GeoJSON text into the feed", len(records), time.perf_counter() - started, None)


def _row(way: str, features: int, seconds: float, cpu: float | None) -> dict[str, Any]:
    return {
        "way": way,
        "features/s": round(features / seconds),
        "server CPU µs/feature": None if cpu is None else round(cpu / features * 1e6, 1),
    }


def _collection(batch: int, turn: int) -> bytes:
    features = [_feature(turn * batch // 2 + number, turn) for number in range(batch)]
    return json.dumps(features[0] if batch == 1 else {"type": "FeatureCollection", "features": features}).encode()


def _feature(number: int, turn: int) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": f"vehicle-{number}",
        "geometry": {"type": "Point", "coordinates": [round(random.uniform(-180, 180), 6), round(random.uniform(-85, 85), 6)]},
        "properties": {"turn": turn, "speed": 42.5, "heading": 181.3, "name": f"Vehicle number {number}", "status": "moving"},
    }


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured; `share` shortens them."""
    with stack() as server:
        for way, batch, requests in WAYS:
            yield asyncio.run(measure(server, way, batch, max(10, int(requests * share))))
        yield asyncio.run(measure_lines(server))
        yield measure_feed()
