"""A rolling restart under load: two processes are replaced (SIGHUP), each once its successor is ready, while clients follow a layer.
A client that is sent away comes back after a random moment of up to a second, as ours do, and resumes.

"away": from a client's close frame until it has all that was published; "all back": from the first close until nobody is away any more.
"lost": changes that a client never got, by its own account. The clients are a process of their own, which gives way to all others.
"p99": from the POST to the sockets of 200 others, of those that were connected when it began. They and the publisher are a process too.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import Any

from .crowd import SPAWN, crowd
from .http import Poster
from .stack import Server, stack
from .swarm import ACK, masked

CLIENTS = 5_000
OTHERS = 200
RATE = 4.0
"""Changes a second; each reaches every client."""
DRAIN_SECONDS = 10.0
LAYER = "restarts"
_NUMBER = re.compile(rb'number\\":(\d+)')
_CURSOR = re.compile(rb'"cursor":"([^"]+)"')
_CARRIED = 1024


class Account:
    """What all clients of a process have in common: what was published and, if they measure that, when."""

    def __init__(self, port: int, answered: Any) -> None:
        self.port = port
        self.started: dict[int, float] = {}
        self.shared_answered = answered
        self.latencies: list[float] = []
        self.away: list[float] = []
        self.closed_at: list[float] = []
        self.back_at: list[float] = []
        self.not_recovered = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.ending = False
        self.clients: list[Client] = []

    @property
    def answered(self) -> int:
        """The last change whose POST was answered."""
        return int(self.shared_answered.value)

    async def connect(self, count: int) -> None:
        """Connect so many clients, a hundred at a time."""
        loop = asyncio.get_running_loop()
        for start in range(0, count, 100):
            made = [loop.create_connection(lambda: Client(self), "127.0.0.1", self.port) for _ in range(min(100, count - start))]
            self.clients.extend(client for _, client in await asyncio.gather(*made))
            await _until(lambda: all(client.ready_at is not None for client in self.clients))

    async def all_back(self) -> None:
        """Return when nobody is away."""
        await _until(lambda: not self.tasks and all(client.is_back for client in self.clients), 180)

    def end(self) -> int:
        """Hang up; returns how many changes were lost."""
        self.ending = True
        published = (1 << self.answered + 1) - 2
        for client in self.clients:
            client.transport.abort()
        return sum((published & ~client.seen).bit_count() for client in self.clients)


class Client(asyncio.Protocol):
    """One socket of a client, which takes what the client has seen from the one before it."""

    def __init__(self, account: Account, before: Client | None = None) -> None:
        self._account = account
        self._tail = b""
        self._is_open = False
        self._target: int | None = None
        self.seen: int = before.seen if before else 0
        self.cursor: str | None = before.cursor if before else None
        self.away_since: float | None = before.away_since if before else None
        self.ready_at: float | None = None

    @property
    def is_back(self) -> bool:
        """Whether it has all that was published before it came."""
        return self.ready_at is not None and self._target is None

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Subscribe, then keep account of the numbers."""
        now = time.perf_counter()
        if not self._is_open:
            self._is_open = True
            _, _, data = data.partition(b"\r\n\r\n")
            request = {"type": "subscribe_features", "subscription_id": "s", "layer": LAYER}
            self.transport.write(masked(json.dumps(request | ({"cursor": self.cursor} if self.cursor else {})).encode()))
        data = self._tail + data
        if self.ready_at is None and ACK in data:
            self.ready_at = now
            self._target = (1 << self._account.answered + 1) - 2
            self._account.not_recovered += self.cursor is not None and b'"recovered":true' not in data
        for number in map(int, _NUMBER.findall(data)):
            bit = 1 << number
            if not self.seen & bit:
                self.seen |= bit
                started = self._account.started.get(number)
                if started is not None and self.ready_at is not None and self.ready_at < started:
                    self._account.latencies.append(now - started)
        if cursors := _CURSOR.findall(data):
            self.cursor = cursors[-1].decode()
        if self._target is not None and self.seen & self._target == self._target:
            self._target = None
            if self.away_since is not None:
                self._account.away.append(now - self.away_since)
                self._account.back_at.append(now)
        self._tail = data[-_CARRIED:]

    def connection_lost(self, error: Exception | None) -> None:
        """Come back."""
        if self._account.ending:
            return
        if self.away_since is None or self.ready_at is not None:
            self.away_since = time.perf_counter()
            self._account.closed_at.append(self.away_since)
        task = asyncio.get_running_loop().create_task(self._come_back())
        self._account.tasks.add(task)
        task.add_done_callback(self._account.tasks.discard)

    async def _come_back(self) -> None:
        await asyncio.sleep(random.random())
        successor = Client(self._account, self)
        self._account.clients[self._account.clients.index(self)] = successor
        await asyncio.get_running_loop().create_connection(lambda: successor, "127.0.0.1", self._account.port)


async def measure(server: Server, count: int) -> dict[str, Any]:
    """One row."""
    answered = SPAWN.Value("q", 0, lock=False)
    others = Account(server.port, answered)
    poster_of = partial(Poster, server.port, f"/api/layers/{LAYER}/features", server.token())
    await _post(poster_of, others, 1)
    with crowd(partial(_run_crowd, server.port, count, answered)) as ask:
        await asyncio.to_thread(ask, "connected")
        await others.connect(OTHERS)
        publishing = asyncio.create_task(_publish(poster_of, others))
        await asyncio.sleep(3)
        quiet, others.latencies = others.latencies, []
        before = _workers(server)
        os.kill(server.pid, signal.SIGHUP)
        await _until(lambda: len(_workers(server)) == 2 and not _workers(server) & before, 120)
        await asyncio.to_thread(ask, "all back")
        await others.all_back()
        disturbed = others.latencies
        await asyncio.sleep(1)
        publishing.cancel()
        await asyncio.sleep(1)
        lost = others.end()
        row = await asyncio.to_thread(ask, "result")
    return {
        "clients": count,
        **row,
        "lost": row["lost"] + lost,
        "p50 before ms": round(_centile(quiet, 50) * 1000, 1),
        "p99 before ms": round(_centile(quiet, 99) * 1000, 1),
        "p50 meanwhile ms": round(_centile(disturbed, 50) * 1000, 1),
        "p99 meanwhile ms": round(_centile(disturbed, 99) * 1000, 1),
        "max meanwhile ms": round(max(disturbed) * 1000, 1),
    }


def _run_crowd(port: int, count: int, answered: Any, pipe: Connection) -> None:
    asyncio.run(_follow(Account(port, answered), count, pipe))


async def _follow(crowd: Account, count: int, pipe: Connection) -> None:
    while True:
        match await asyncio.to_thread(pipe.recv):
            case "connected":
                await crowd.connect(count)
                pipe.send(None)
            case "all back":
                await crowd.all_back()
                pipe.send(None)
            case _:
                pipe.send(_result(crowd))
                return


def _result(crowd: Account) -> dict[str, Any]:
    return {
        "sent away": len(crowd.closed_at),
        "away p50 s": round(_centile(crowd.away, 50), 2),
        "away p99 s": round(_centile(crowd.away, 99), 2),
        "away max s": round(max(crowd.away), 2),
        "all back s": round(max(crowd.back_at) - min(crowd.closed_at), 1),
        "not recovered": crowd.not_recovered,
        "lost": crowd.end(),
    }


async def _publish(poster_of: Any, account: Account) -> None:
    for number in range(2, 10_000):
        await asyncio.sleep(1 / RATE)
        await _post(poster_of, account, number)


async def _post(poster_of: Any, account: Account, number: int) -> None:
    feature = {"type": "Feature", "id": number, "geometry": {"type": "Point", "coordinates": [7, 47]}, "properties": {"number": number}}
    poster = await poster_of().open()  # a connection each: those to a process that ends are closed
    account.started[number] = time.perf_counter()
    await poster.post(json.dumps(feature).encode())
    account.shared_answered.value = number
    await poster.close()


async def _until(holds: Any, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.05)


def _workers(server: Server) -> set[str]:
    """Their process ids."""
    found = set[str]()
    for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
        try:
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(child)
        except OSError:  # it has just ended
            continue
    return found


def _centile(values: list[float], which: int) -> float:
    return quantiles(values, n=100)[which - 1] if len(values) > 1 else 0.0


def run(share: float) -> Iterator[dict[str, Any]]:
    """One row."""
    with stack(2, GEOSTREAM_DRAIN_SECONDS=str(DRAIN_SECONDS)) as server:
        yield asyncio.run(measure(server, int(CLIENTS * share)))
