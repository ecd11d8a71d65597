"""Topics: from a backend's `PUBLISH to:room:bench:news` to each member's socket, 300 bytes of JSON, so many times a second.
The members are in a process of their own, the backend in another. Where tangram_core is installed (or `--tangram` names a Python that
has it), the same is done to Tangram's Channel: same clients, same tokens, a Redis started alike.

"CPU µs/delivery": processor time of the server, all its threads, for each message and member. "kB/socket": what its resident memory
grew by with each joined member. "joins/s": connect, upgrade and join, up to 50 at a time; presence is told meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import redis

from .phoenix_clients import EVENT, TOPIC, Clients, members, message, now
from .phoenix_servers import contenders, serving
from .stack import Server

MEMBERS = (100, 500, 5_000)
RATES = {100: 100, 500: 20, 5_000: 4}
"""Messages a second by members."""
SECONDS = 10.0
WARM_UP = 10
"""Members and messages before anything is measured: what a server loads at the first is not what each costs."""
MEASURED = ("messages/s", "deliveries", "lost", "CPU µs/delivery", "p50 ms", "p99 ms", "kB/socket", "joins/s")
CHANNEL = f"to:{TOPIC}:{EVENT}"


def measure(name: str, server: Server, count: int, seconds: float) -> dict[str, Any]:
    """One row."""
    with redis.Redis.from_url(server.redis_url) as backend:
        warm_up(server, backend)
        before = server.rss
        with members(server.port, count) as clients:
            settle(server)
            memory = (server.rss - before) / count
            rate = RATES.get(count, max(1, 10_000 // count))
            sent = round(rate * seconds)
            cpu = server.cpu
            clients.note_latencies(True)
            publish(backend, sent, rate)
            clients.settle(sent * count)
            cpu = server.cpu - cpu
            return row(name, clients, count, rate, sent, cpu, memory)


def row(name: str, clients: Clients, count: int, rate: int, sent: int, cpu: float, memory: float) -> dict[str, Any]:
    """What is told of a run."""
    received, latencies = clients.received, clients.latencies() / 1000
    return {
        "server": name,
        "members": count,
        "messages/s": rate,
        "deliveries": received,
        "lost": sent * count - received,
        "CPU µs/delivery": round(cpu / max(received, 1) * 1e6, 1),
        "p50 ms": round(float(np.percentile(latencies, 50)), 2) if received else None,
        "p99 ms": round(float(np.percentile(latencies, 99)), 2) if received else None,
        "kB/socket": round(memory / 1000, 1),
        "joins/s": round(count / clients.join_seconds),
    }


def warm_up(server: Server, backend: redis.Redis) -> None:
    """Some members, some messages, nobody."""
    with members(server.port, WARM_UP) as clients:
        publish(backend, WARM_UP, 100)
        clients.settle(WARM_UP * WARM_UP)
    settle(server)


def publish(backend: redis.Redis, count: int, rate: float) -> None:
    """One message after the other, each stamped just before it leaves."""
    began = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        backend.publish(CHANNEL, message(now()))
    time.sleep(max(0.0, began + count / rate - time.perf_counter()))


def settle(server: Server, seconds: float = 60.0) -> None:
    """Until the server has hardly anything to do: joins are told to others, and written down, for a while after them."""
    patience = time.monotonic() + seconds
    while time.monotonic() < patience:
        cpu = server.cpu
        time.sleep(0.5)
        if server.cpu - cpu < 0.05:
            return


def run(counts: tuple[int, ...], share: float, tangram: str | None) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    for count in counts:
        for name in contenders(tangram):
            with serving(name, tangram) as server:
                try:
                    yield measure(name, server, count, SECONDS * share)
                except ConnectionError as error:
                    yield {"server": name, "members": count, **dict.fromkeys(MEASURED), "joins/s": str(error)}
