"""What a change costs that is delivered to nobody, and what a feature costs that lies there: the constants of `capacity`.
A server process follows a layer for one client, whose box nothing is ever in. *process µs* and *Redis µs*: processor time of the two for
each change, in batches; of Redis without a process that follows, and what one adds. *commands*: of Redis for each batch, with those inside
of scripts. *process bytes* and *Redis bytes*: what the memory of the two grew by for each of 100,000 features in the layer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

from .fanout import items
from .stack import Server, processor_seconds, stack
from .swarm import Swarm, everything

BATCHES = (1, 10, 100)
CHANGES = 20_000
FEATURES = 100_000
NOWHERE = [179.9, 84.9, 179.91, 84.91]


async def measure_changes(server: Server, batch: int, count: int) -> dict[str, Any]:
    """One row."""
    from streaming.core.redis import sync_redis
    from streaming.features.layer_creation import aensure_layer
    from streaming.features.layers import catalogue, layer_feed

    layer = f"costs-{batch}"
    await aensure_layer(layer)
    feed = layer_feed(await catalogue.get(layer))
    redis = int(sync_redis().info("server")["process_id"])
    rounds = max(20, count // batch)

    async def change() -> tuple[float, float, float]:
        before = server.cpu, processor_seconds(redis), _calls()
        for turn in range(rounds):
            await feed.put(items(batch, turn))
            await asyncio.sleep(batch / 10_000)  # no backlog: that would be cheaper
        await asyncio.sleep(0.5)
        return server.cpu - before[0], processor_seconds(redis) - before[1], _calls() - before[2]

    _, storing, _ = await change()
    swarm = Swarm()
    await swarm.connect(server.port, [{**everything(layer), "bbox": NOWHERE}])
    await asyncio.sleep(1.0)
    following, both, calls = await change()
    await swarm.close()
    changes = rounds * batch
    return {
        "what": "a change",
        "batch": batch,
        "process µs": round(following / changes * 1e6, 1),
        "Redis µs": round(storing / changes * 1e6, 1),
        "Redis µs to read": round(max(0.0, both - storing) / changes * 1e6, 1),
        "commands": round(calls / rounds, 1),
        "process bytes": None,
        "Redis bytes": None,
    }


async def measure_features(server: Server) -> dict[str, Any]:
    """One row."""
    from streaming.core.redis import sync_redis
    from streaming.features.layer_creation import aensure_layer
    from streaming.features.layers import catalogue, layer_feed

    await aensure_layer("held")
    feed = layer_feed(await catalogue.get("held"))
    used = int(sync_redis().info("memory")["used_memory"])
    for start in range(0, FEATURES, 1000):
        await feed.put([(f"{start}-{key}", value) for key, value in items(1000, 0)])
    used = int(sync_redis().info("memory")["used_memory"]) - used
    before = server.rss
    swarm = Swarm()
    await swarm.connect(server.port, [{**everything("held"), "bbox": NOWHERE}])
    await asyncio.sleep(1.0)
    row = {
        "what": "a feature held",
        "batch": None,
        "process µs": None,
        "Redis µs": None,
        "Redis µs to read": None,
        "commands": None,
        "process bytes": round((server.rss - before) / FEATURES),
        "Redis bytes": round(used / FEATURES),
    }
    await swarm.close()
    return row


def _calls() -> int:
    from streaming.core.redis import sync_redis

    return int(sync_redis().info("stats")["total_commands_processed"])


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows."""
    random.seed(1)
    with stack() as server:
        for batch in BATCHES:
            yield asyncio.run(measure_changes(server, batch, int(CHANGES * max(share, 0.2) * min(1, batch / 10))))
    with stack() as server:
        yield asyncio.run(measure_features(server))
