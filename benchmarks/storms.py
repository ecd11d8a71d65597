"""Thousands of clients who come back at once, and what those feel who stay.

The crowd follows a layer, is cut off in one moment, and comes back within a second: with the cursors that it has ("resume"), or with
nothing ("anew"), for what there is in view. Meanwhile 200 others follow another layer, in which something changes a hundred times a second.

"all back": from the moment at which they are cut off until the last of them has its state. "came again": those of them whom the server,
or the kernel, closed before. "CPU ms/client": processor time of the server from that moment on, less what it took in the seconds before.
"p99", "max": from a POST to the sockets of those who stay. The crowd is a process of its own, which gives way to all others; those who
stay and the publisher are another.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from statistics import quantiles
from typing import Any

from .crowd import crowd
from .http import Poster
from .stack import Server, stack
from .swarm import ACK, Swarm, everything, masked, upgrade

CLIENTS = 5_000
OTHERS = 200
FEATURES = 200
"""In the layer that the crowd follows."""
RATE = 100.0
"""Changes a second in the layer of those who stay."""
QUIET_SECONDS = 5.0
WITHIN_SECONDS = 1.0
"""In which all of the crowd come back."""
POSTERS = 4

_COUNT = re.compile(rb'"snapshot_count":(\d+)')
_CURSOR = re.compile(rb'"cursor":"([^"]+)"')
_LAYER, _OTHER_LAYER = "storm", "calm"
_MARK = b'"type":"feature_data"'
_NUMBER = re.compile(rb'number\\":(\d+)')


class Client(asyncio.Protocol):
    """One of the crowd: subscribes, and is back once it has been sent what the acknowledgement promises."""

    def __init__(self, cursor: str | None) -> None:
        self.back: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.cursor = cursor
        self._missing: int | None = None
        self._tail = b""
        self._is_open = False

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        transport.write(upgrade("/ws"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever was closed before it was back comes again."""
        if not self.back.done():
            self.back.set_exception(exc or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        """Subscribe, then count what comes."""
        if not self._is_open:
            self._is_open = True
            request = {**everything(_LAYER), "snapshot": True} | ({"cursor": self.cursor} if self.cursor else {})
            self.transport.write(masked(json.dumps(request).encode()))
            return
        data = self._tail + data
        self._tail = data[-256:] if self._missing is None else data[-len(_MARK) + 1 :]
        if self._missing is None:
            if ACK not in data or (count := _COUNT.search(data)) is None:
                return
            self._missing = int(count[1])
            cursor = _CURSOR.search(data)
            assert cursor is not None
            self.cursor = cursor[1].decode()
            self._tail = data[-len(_MARK) + 1 :]
        self._missing -= data.count(_MARK)
        if self._missing <= 0 and not self.back.done():
            self.back.set_result(None)


class Crowd:
    """All of them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._clients: list[Client] = []
        self._again = 0

    async def connect(self, count: int) -> None:
        """For the first time, a hundred at a time."""
        for start in range(0, count, 100):
            self._clients += await asyncio.gather(*(self._connected(None) for _ in range(min(100, count - start))))

    async def storm(self, resuming: bool) -> tuple[float, int]:
        """Cut all off; returns how many seconds it took until all were back, and how many had to come again."""
        self._again = 0
        began = time.perf_counter()
        for client in self._clients:
            client.transport.abort()
        cursors = [client.cursor if resuming else None for client in self._clients]
        self._clients = await asyncio.gather(*map(self._returned, cursors))
        return time.perf_counter() - began, self._again

    async def _returned(self, cursor: str | None) -> Client:
        await asyncio.sleep(random.uniform(0, WITHIN_SECONDS))
        return await self._connected(cursor)

    async def _connected(self, cursor: str | None) -> Client:
        while True:
            try:
                _, client = await asyncio.get_running_loop().create_connection(lambda: Client(cursor), "127.0.0.1", self._port)
                await client.back
            except ConnectionError:
                self._again += 1
                await asyncio.sleep(random.uniform(0, WITHIN_SECONDS))
            else:
                return client


async def measure(server: Server, count: int) -> list[dict[str, Any]]:
    """One row for each way to come back."""
    random.seed(1)
    poster = await Poster(server.port, f"/api/layers/{_LAYER}/features", server.token()).open()
    await poster.post(json.dumps({"type": "FeatureCollection", "features": [_feature(number) for number in range(FEATURES)]}).encode())
    await poster.close()
    calm = Calm(server)
    await calm.start()
    rows = []
    with crowd(partial(_run_crowd, server.port)) as ask:
        await asyncio.to_thread(ask, ("connect", count))
        for name, resuming in (("resume", True), ("anew", False)):
            await asyncio.sleep(2)
            calm.latencies.clear()
            cpu, began = server.cpu, time.perf_counter()
            await asyncio.sleep(QUIET_SECONDS)
            before, share = calm.latencies[:], (server.cpu - cpu) / (time.perf_counter() - began)
            calm.latencies.clear()
            cpu, began = server.cpu, time.perf_counter()
            seconds, again = await asyncio.to_thread(ask, ("storm", resuming))
            used = server.cpu - cpu - share * (time.perf_counter() - began)
            rows.append(
                {
                    "clients": count,
                    "come": name,
                    "all back s": round(seconds, 2),
                    "came again": again,
                    "CPU ms/client": round(used / count * 1000, 3),
                    **_figures("before", before),
                    **_figures("meanwhile", calm.latencies),
                }
            )
    await calm.end()
    return rows


def _figures(when: str, latencies: list[float]) -> dict[str, float]:
    centiles = quantiles(latencies, n=100)
    values = {"p50": centiles[49], "p99": centiles[98], "max": max(latencies)}
    return {f"{name} {when} ms": round(value * 1000, 1) for name, value in values.items()}


class Calm:
    """Those who stay, and what is published to them."""

    def __init__(self, server: Server) -> None:
        self.latencies: list[float] = []
        self._server = server
        self._swarm = Swarm()
        self._started: dict[int, float] = {}

    async def start(self) -> None:
        """Connect, and begin to publish."""
        posters = [Poster(self._server.port, f"/api/layers/{_OTHER_LAYER}/features", self._server.token()) for _ in range(POSTERS)]
        for poster in posters:
            await poster.open()
        await posters[0].post(json.dumps(_feature(0)).encode())
        await self._swarm.connect(self._server.port, [everything(_OTHER_LAYER)] * OTHERS, self._received, OTHERS)
        self._publishing = [asyncio.create_task(self._publish(poster, number)) for number, poster in enumerate(posters, 1)]

    async def end(self) -> None:
        """Hang up."""
        for each in self._publishing:
            if each.done():
                each.result()
            each.cancel()
        await self._swarm.close()

    def _received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.latencies.extend(now - self._started[int(number)] for number in _NUMBER.findall(data) if int(number) in self._started)

    async def _publish(self, poster: Poster, number: int) -> None:
        began, first = time.perf_counter(), number
        while True:
            await asyncio.sleep(max(0.0, began + (number - first + first / POSTERS) / RATE - time.perf_counter()))
            self._started[number] = time.perf_counter()
            await poster.post(json.dumps(_feature(number)).encode())
            number += POSTERS


def _feature(number: int) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": f"vehicle-{number % FEATURES}",
        "geometry": {"type": "Point", "coordinates": [7 + number % 100 / 100, 47]},
        "properties": {
            "number": number,
            "speed": 42.5,
            "heading": 181.3,
            "name": f"Vehicle number {number % FEATURES}",
            "status": "moving",
        },
    }


def _run_crowd(port: int, pipe: Connection) -> None:
    asyncio.run(_obey(Crowd(port), pipe))


async def _obey(crowd: Crowd, pipe: Connection) -> None:
    while True:
        name, argument = await asyncio.to_thread(pipe.recv)
        pipe.send(await getattr(crowd, name)(argument))


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows."""
    with stack() as server:
        yield from asyncio.run(measure(server, int(CLIENTS * share)))
