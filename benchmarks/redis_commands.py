"""Redis commands: points of 300 bytes published to one channel. 500 clients that see everything; that have a box each (no two the same,
half of the messages are in each); and that have their points in EPSG:3857 besides. Where `--original` names a Python that has
redis_websocket_api 0.4.4, the same is done to it: same clients, same commands.

"frames/s": 50 messages in a Redis pipeline, and the next 50 as soon as all have arrived. "CPU µs/frame": processor time of the server, all
its threads. "p50", "p99": 25 messages a second to 100 clients, from just before the PUBLISH to each socket.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import redis

from .phoenix import settle
from .phoenix_clients import FIRST_STAMP, Clients, members, now
from .redis_clients import CHANNEL, Case, Subscriber, expected, feature, longitudes
from .redis_servers import ORIGINAL, contenders, serving
from .stack import Server

CLIENTS = 500
CASES = (Case("all"), Case("box", boxed=True), Case("box, epsg:3857", boxed=True, projected=True))
MESSAGES = 5_000
MESSAGES_OF_THE_ORIGINAL = 200
"""It would take minutes for more."""
TOGETHER = 50
TIMED_CLIENTS = 100
RATE = 25
SECONDS = 10.0
WARM_UP = 10
"""Clients and messages before anything is measured."""


def measure(name: str, server: Server, case: Case, messages: int, seconds: float) -> dict[str, Any]:
    """One row."""
    with redis.Redis.from_url(server.redis_url) as backend:
        with members(server.port, WARM_UP, partial(Subscriber, case)) as clients:
            places = longitudes(WARM_UP)
            _burst(backend, clients, places, _dues(case, WARM_UP, places))
        _settle(server, backend)
        throughput = _throughput(server, backend, case, messages)
        _settle(server, backend)
        return {"server": name, "clients see": case.name, **throughput, **_timed(server, backend, case, seconds)}


def _settle(server: Server, backend: redis.Redis) -> None:
    """Clients have left: the original notices when it next has something for them."""
    backend.publish(CHANNEL, feature(FIRST_STAMP, 0.0))
    settle(server)


def _throughput(server: Server, backend: redis.Redis, case: Case, messages: int) -> dict[str, Any]:
    with members(server.port, CLIENTS, partial(Subscriber, case)) as clients:
        places = longitudes(messages)
        dues = _dues(case, CLIENTS, places)
        settle(server)
        cpu, began = server.cpu, time.perf_counter()
        _burst(backend, clients, places, dues)
        seconds = clients.last_at - began
        settle(server)
        frames = clients.received
        return {
            "messages": messages,
            "frames": frames,
            "lost": dues[-1] - frames,
            "frames/s": round(frames / seconds),
            "CPU µs/frame": round((server.cpu - cpu) / max(frames, 1) * 1e6, 2),
        }


def _burst(backend: redis.Redis, clients: Clients, places: list[float], dues: list[int]) -> None:
    """Some at a time, each time until so many frames in all have arrived."""
    for start, due in zip(range(0, len(places), TOGETHER), dues, strict=True):
        pipe = backend.pipeline(transaction=False)
        for number, place in enumerate(places[start : start + TOGETHER], start):
            pipe.publish(CHANNEL, feature(FIRST_STAMP + number, place))
        pipe.execute()
        clients.settle(due)


def _dues(case: Case, clients: int, places: list[float]) -> list[int]:
    """How many frames there should have been after each of these times."""
    return list(accumulate(expected(case, clients, places[start : start + TOGETHER]) for start in range(0, len(places), TOGETHER)))


def _timed(server: Server, backend: redis.Redis, case: Case, seconds: float) -> dict[str, Any]:
    with members(server.port, TIMED_CLIENTS, partial(Subscriber, case)) as clients:
        settle(server)
        clients.note_latencies(True)
        places = longitudes(round(RATE * seconds))
        began = time.perf_counter()
        for number, place in enumerate(places):
            time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            backend.publish(CHANNEL, feature(now(), place))
        clients.settle(expected(case, TIMED_CLIENTS, places))
        latencies = clients.latencies() / 1000
        return {f"p{share} ms": round(float(np.percentile(latencies, share)), 2) if len(latencies) else None for share in (50, 99)}


def run(share: float, original: str | None) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    for name in contenders(original):
        messages = MESSAGES_OF_THE_ORIGINAL if name == ORIGINAL else round(MESSAGES * share)
        for case in CASES:
            with serving(name, original) as server:
                yield measure(name, server, case, messages, SECONDS * max(share, 0.3))
