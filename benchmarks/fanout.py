"""Deliveries a second, processor time of the server per delivery, and memory per connection.
Every subscriber gets every change ("same view"), or has a viewport of its own that covers a quarter of the world's width and
height ("own views"). Changes are put in batches straight into the feed by this process, so the server only distributes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

from .stack import Server, stack
from .swarm import Swarm, everything

SUBSCRIBERS = (100, 1_000, 10_000)
DELIVERIES = 2_000_000
MAX_CHANGES = 50_000
QUIET_SECONDS = 3.0
BATCHES = (10, 100)


async def measure(server: Server, subscribers: int, own_views: bool, batch: int, deliveries: int) -> dict[str, Any]:
    """One row."""
    from streaming.features.layer_creation import aensure_layer
    from streaming.features.layers import catalogue, layer_feed

    random.seed(1)
    layer = f"bench-{subscribers}-{own_views}-{batch}"
    await aensure_layer(layer)
    feed = layer_feed(await catalogue.get(layer))
    before = server.rss
    swarm = Swarm()
    requests = [_viewport(layer) if own_views else everything(layer) for _ in range(subscribers)]
    await swarm.connect(server.port, requests)
    await asyncio.sleep(1.5)
    memory = (server.rss - before) / subscribers
    shares = [_expected(request) for request in requests]
    rounds = max(3, int(min(deliveries / sum(shares), MAX_CHANGES) / batch))
    cpu, started, sent = server.cpu, time.perf_counter(), 0.0
    for turn in range(rounds):
        await feed.put(items(batch, turn))
        sent += batch * sum(shares)
        while swarm.count < sent * 0.98 - 20 * batch * sum(shares):
            await asyncio.sleep(0.001)
    ended = await _settled(swarm, sent if not own_views else None)
    received, seconds = swarm.count, ended - started
    row = {
        "subscribers": subscribers,
        "views": "own" if own_views else "same",
        "batch": batch,
        "deliveries": received,
        "deliveries/s": round(received / seconds),
        "CPU µs/delivery": round((server.cpu - cpu) / max(received, 1) * 1e6, 2),
        "kB/connection": round(memory / 1000, 1) if batch == BATCHES[0] else None,
        "lost": None if own_views else rounds * batch * subscribers - received,
    }
    await swarm.close()
    return row


async def _settled(swarm: Swarm, expected: float | None) -> float:
    """When the last change arrived: once all expected are there, or when nothing came for three seconds."""
    last, ended = -1, time.perf_counter()
    while swarm.count != expected and time.perf_counter() - ended < QUIET_SECONDS:
        if swarm.count != last:
            last, ended = swarm.count, time.perf_counter()
        await asyncio.sleep(0.01)
    return ended if expected is None else time.perf_counter()


def items(batch: int, turn: int) -> list[tuple[str, bytes]]:
    """Vehicles anywhere, as they are put into a feed."""
    from streaming.features.geojson import parse_feature

    items = []
    for number in range(batch):
        feature = {
            "type": "Feature",
            "id": f"vehicle-{number}",
            "geometry": {"type": "Point", "coordinates": [random.uniform(-180, 180), random.uniform(-85, 85)]},
            "properties": {"turn": turn, "speed": 42.5, "heading": 181.3, "name": f"Vehicle number {number}", "status": "moving"},
        }
        items.append(parse_feature(feature))
    return items


def _viewport(layer: str) -> dict[str, Any]:
    west, south = random.uniform(-180, 90), random.uniform(-85, 42.5)
    return {**everything(layer), "bbox": [west, south, west + 90, south + 42.5]}


def _expected(request: dict[str, Any]) -> float:
    """Deliveries per change: a feature that jumps about is told if it was in the view or is now."""
    if "bbox" not in request:
        return 1.0
    west, south, east, north = request["bbox"]
    share: float = (east - west) / 360 * (north - south) / 170
    return 2 * share - share * share


def run(subscribers: tuple[int, ...], deliveries: int) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    for count in subscribers:
        for own_views in (False, True):
            with stack() as server:  # a new process each, or one would measure the memory that the others left
                for batch in BATCHES:
                    yield asyncio.run(measure(server, count, own_views, batch, deliveries))
