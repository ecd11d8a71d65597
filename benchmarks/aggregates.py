"""A layer of a million points as cells: how long the first picture takes, what a change costs, bytes and memory.
The layer is in the server's memory already ("cold" is what that took). What changes cost is the server's processor time for 10,000 changes
a second, compared with the same when nobody looks at cells.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from .stack import Server, stack

POINTS = 1_000_000
CHANGES_PER_SECOND = 10_000
SECONDS = 10.0
CITIES = 2_000
LAYER = "million"
NOWHERE = {"bbox": [0, -90, 0, -90], "snapshot": False}
PICTURES: dict[str, dict[str, Any]] = {
    "h3, zoom 3": {"by": "h3", "zoom": 3},
    "h3, zoom 5, speed": {"by": "h3", "zoom": 5, "properties": ["speed"]},
    "grid, zoom 2": {"by": "grid", "zoom": 2},
    "grid, zoom 4, speed": {"by": "grid", "zoom": 4, "properties": ["speed"]},
}


class _Client:
    """One subscription that counts what comes."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.bytes = self.messages = 0
        self.slowest_pong = 0.0

    async def subscribe(self, **request: Any) -> dict[str, Any]:
        """Returns the ack once the whole snapshot is there."""
        pinging = asyncio.create_task(self._ping())
        await self._socket.send(json.dumps({"type": "subscribe_features", "subscription_id": "s", "layer": LAYER, **request}))
        ack: dict[str, Any] = {}
        waiting = math.inf
        while waiting:
            text = str(await self._socket.recv())
            self.bytes += len(text)
            message = json.loads(text)
            if message["type"] == "ack":
                assert message["success"], message
                ack, waiting = message, message["snapshot_count"]
            elif message["type"] == "pong":
                self.slowest_pong = max(self.slowest_pong, time.perf_counter() - message["id"] / 1e6)
            else:
                waiting -= 1
        pinging.cancel()
        return ack

    async def listen(self) -> None:
        """Count until cancelled."""
        async for text in self._socket:
            self.bytes += len(text)
            self.messages += 1

    async def _ping(self) -> None:
        while True:
            await self._socket.send(json.dumps({"type": "ping", "id": int(time.perf_counter() * 1e6)}))
            await asyncio.sleep(0.05)


async def measure(server: Server, points: int, seconds: float) -> list[dict[str, Any]]:
    """All rows."""
    from streaming.features.layers import catalogue, layer_feed

    feed = layer_feed(await catalogue.get(LAYER))
    places = [(random.gauss(0, 60), random.uniform(-60, 70)) for _ in range(CITIES)]
    for start in range(0, points, 1000):
        await _put(feed, [_item(number, places) for number in range(start, min(start + 1000, points))])
    rows: list[dict[str, Any]] = []
    async with AsyncExitStack() as clients:

        async def client() -> _Client:
            return _Client(
                await clients.enter_async_context(connect(f"ws://127.0.0.1:{server.port}/ws", max_size=None, ping_interval=None))
            )

        began, cpu, before = time.perf_counter(), server.cpu, server.rss
        await (await client()).subscribe(**NOWHERE)
        rows.append(_row("cold", began, server.cpu - cpu, server.rss - before))
        alone = await _change(server, feed, points, places, seconds)
        for name, aggregate in PICTURES.items():
            for which in ("first", "next"):
                began, cpu, before = time.perf_counter(), server.cpu, server.rss
                looking = await client()
                ack = await looking.subscribe(aggregate=aggregate)
                row = _row(f"{name}: {which} client", began, server.cpu - cpu, server.rss - before)
                rows.append(
                    row | {"cells": ack["snapshot_count"], "kB": looking.bytes // 1000, "slowest pong ms": _ms(looking.slowest_pong)}
                )
            looking.bytes = looking.messages = 0
            listening = asyncio.create_task(looking.listen())
            cost = await _change(server, feed, points, places, seconds)
            listening.cancel()
            rows[-1] |= {"CPU µs/change": round(cost - alone, 1), "kB/s": round(looking.bytes / seconds / 1000)}
            await clients.aclose()
            await (await client()).subscribe(**NOWHERE)
    return rows


def _row(name: str, began: float, cpu: float, memory: int) -> dict[str, Any]:
    return {
        "what": name,
        "seconds": round(time.perf_counter() - began, 2),
        "CPU s": round(cpu, 2),
        "MB": round(memory / 1e6),
        **dict.fromkeys(("cells", "kB", "slowest pong ms", "CPU µs/change", "kB/s")),
    }


async def _change(server: Server, feed: Any, points: int, places: list[tuple[float, float]], seconds: float) -> float:
    """The server's processor time per change in µs, while so many features change a second."""
    cpu, changes, until = server.cpu, 0, time.perf_counter()
    for _ in range(int(seconds * CHANGES_PER_SECOND / 1000)):
        until += 1000 / CHANGES_PER_SECOND
        await _put(feed, [_item(random.randrange(points), places) for _ in range(1000)])
        changes += 1000
        await asyncio.sleep(max(until - time.perf_counter(), 0.0))
    await asyncio.sleep(0.5)
    return (server.cpu - cpu) / changes * 1e6


async def _put(feed: Any, items: list[tuple[str, bytes]]) -> None:
    """Again if Redis did not answer: it may be writing a million features to the disk."""
    from streaming.core.errors import StreamError

    while True:
        try:
            await feed.put(items)
            return
        except StreamError:
            await asyncio.sleep(0.1)


def _item(number: int, places: list[tuple[float, float]]) -> tuple[str, bytes]:
    """A vehicle somewhere around its city."""
    x, y = places[number % CITIES]
    x, y = (x + random.gauss(0, 1) + 180) % 360 - 180, y + random.gauss(0, 1)
    speed = random.randrange(1400) / 10
    text = (
        f'{{"geometry":{{"coordinates":[{x:.5f},{y:.5f}],"type":"Point"}},"id":{number},'
        f'"properties":{{"heading":{number % 360},"name":"Vehicle {number}","speed":{speed}}},"type":"Feature"}}'
    )
    return str(number), text.encode()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows."""
    random.seed(1)
    with stack() as server:
        from streaming.models import Layer

        Layer.objects.create(name=LAYER, max_features=0)
        yield from asyncio.run(measure(server, int(POINTS * share), max(SECONDS * share, 2.0)))
