"""One message at a time to many WebSockets, beside other servers where installed: the same JSON of 300 bytes, the same raw sockets,
publishers of this process that wait for an acknowledgement as each server gives one (nchan, Centrifugo, Socket.IO, Channels and GeoStream
answer a POST; Mosquitto takes QoS 1 on an MQTT socket). GeoStream takes a GeoJSON feature, checks and stores it, and
tells those whose filter it meets; the others pass on what they are given.

*p50* and *p99*: from the publish to each of a hundred sockets, at so many messages a second. *deliveries/s*: published as fast as
acknowledged. *CPU µs/delivery* is the server's, all its processes, during that flood. "kB/socket": what its memory grew by.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .peer_clients import MARK, Publish, Sockets
from .peer_servers import PEERS, Peer, Running

SUBSCRIBERS = (100, 1_000)
RATE = 100
SECONDS = 8.0
FLOOD_SECONDS = 6.0
CONNECTIONS = 8
WATCHED = 100
_NUMBER = re.compile(rb'number\\?":(\d+)')


def message(number: int) -> str:
    """Properties of what is published, about 250 bytes of JSON."""
    return json.dumps(
        {"mark": MARK.decode(), "number": number, "name": f"Vehicle number {number}", "speed": 42.5, "note": "x" * 120},
        separators=(",", ":"),
    )


async def measure(peer: Peer, running: Running, subscribers: int, share: float) -> dict[str, Any]:
    """One row."""
    started: dict[int, float] = {}
    arrived: list[float] = []

    def on_data(data: bytes) -> None:
        now = time.perf_counter()
        arrived.extend(now - started[number] for each in _NUMBER.findall(data) if (number := int(each)) in started)

    publishers = [await peer.publisher(running) for _ in range(CONNECTIONS)]
    await publishers[0].publish(message(0))
    memory = running.memory
    sockets = Sockets(peer.client)
    await sockets.connect(running.port, subscribers, on_data, WATCHED)
    await asyncio.sleep(1.0)
    memory = running.memory - memory
    sent = int(RATE * SECONDS * share)
    cpu, used = running.cpu, time.perf_counter()
    await _steadily(publishers, sent, started)
    await sockets.settle(sent * subscribers)
    paced, used = running.cpu - cpu, time.perf_counter() - used
    received = sockets.count
    started.clear()
    cpu, begin = running.cpu, time.perf_counter()
    flooded = await _flood(publishers, FLOOD_SECONDS * share, sent + 1)
    await sockets.settle(received + flooded * subscribers)
    seconds, cpu = sockets.last - begin, running.cpu - cpu
    delivered = sockets.count - received
    await sockets.close()
    for publisher in publishers:
        await publisher.close()
    return {
        "server": peer.name,
        "subscribers": subscribers,
        "p50 ms": round(float(np.percentile(arrived, 50)) * 1000, 2),
        "p99 ms": round(float(np.percentile(arrived, 99)) * 1000, 2),
        "CPU % at that": round(100 * paced / used),
        "deliveries/s": round(delivered / seconds),
        "CPU µs/delivery": round(cpu / max(delivered, 1) * 1e6, 2),
        "kB/socket": round(memory / subscribers / 1000, 1),
        "lost": sent * subscribers - received + flooded * subscribers - delivered,
    }


async def _steadily(publishers: list[Publish], count: int, started: dict[int, float]) -> None:
    free: asyncio.Queue[Publish] = asyncio.Queue()
    for publisher in publishers:
        free.put_nowait(publisher)

    async def one(number: int) -> None:
        publisher = await free.get()
        started[number] = time.perf_counter()
        await publisher.publish(message(number))
        free.put_nowait(publisher)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(1, count + 1):
            await asyncio.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
            tasks.create_task(one(number))


async def _flood(publishers: list[Publish], seconds: float, first: int) -> int:
    end, sent = time.perf_counter() + seconds, 0

    async def one(publisher: Publish) -> None:
        nonlocal sent
        while time.perf_counter() < end:
            sent += 1
            await publisher.publish(message(first + sent))

    await asyncio.gather(*(one(publisher) for publisher in publishers))
    return sent


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured; a server that is not installed has none."""
    for subscribers in SUBSCRIBERS:
        for peer in PEERS:
            if peer.missing is None:
                with peer.start() as running:
                    try:
                        yield asyncio.run(measure(peer, running, subscribers, max(share, 0.25)))
                    except (OSError, EOFError, TimeoutError):
                        yield {"server": f"{peer.name}: broke off with {subscribers:,} subscribers"}
    for peer in PEERS:
        if peer.missing is not None:
            yield {"server": f"{peer.name}: needs {peer.missing}"}
