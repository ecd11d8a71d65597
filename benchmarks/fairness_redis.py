"""Situations of the Redis commands: large collections and lines for clients that all see them differently, and large hashes and layers.

"MB/s": what the clients received. "last s": from a message's `PUBLISH`, or a command, until the last client had its answer; the median.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import random
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import redis
import redis.asyncio

from .fairness import MEGABYTE, Situation
from .stack import Server
from .swarm import masked

CHANNEL, HASH, LAYER = "pub:bench", "pub:lines", "parcels"
WEST, SOUTH, EAST, NORTH = 5.5, 45.0, 11.0, 48.0
PUBLISH_SECONDS = 1.0
"""From one message to the next, if all clients have received it by then."""
POINTS, LINE = 10_000, 100_000
HASH_LINES, LINE_VERTICES = 10, 20_000
POLYGONS, POLYGON_VERTICES = 190, 2_000
READERS, READS = 4, 3
# fmt: off
CODES = (
    32628, 32629, 32630, 32631, 32632, 32633, 32634, 32635, 32636, 32637, 32638, 32639, 25828, 25829, 25830, 25831,
    25832, 25833, 25834, 25835, 25836, 25837, 23028, 23029, 23030, 23031, 23032, 23033, 23034, 23035, 23036, 23037,
    3857, 3395, 3035, 3034, 2056, 21781, 2154, 31466, 31467, 31468, 31469, 31254, 31255, 31256, 31257, 31258, 31259,
    31287, 3003, 3004, 27571, 27572, 27573, 27561, 3068, 5514, 2180, 3812,
)
# fmt: on
"""CRSs that can express all of that box."""
_random = random.Random(11)


class Client(asyncio.Protocol):
    """A WebSocket that reads as fast as it can and counts frames; `text` are the small ones since it was last emptied."""

    def __init__(self, commands: Sequence[str]) -> None:
        self._commands = commands
        self._buffer = bytearray()
        self._skip = -1  # bytes of the frame that is being read; -1 before the handshake is over
        self.bytes = 0
        self.frames = 0
        self.pongs = 0
        self.progress = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        head = "GET /ws/redis HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade"
        transport.write(f"{head}\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.bytes += len(data)
        if self._skip > len(data):
            self._skip -= len(data)
            return
        if self._skip > 0:
            data = data[self._skip :]
            self._skip = 0
            self._count()
        self._buffer += data
        if self._skip < 0:
            _, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._skip, self._buffer = 0, rest
            self.send(*self._commands)
        self._parse()

    def send(self, *commands: str) -> None:
        """Send commands."""
        self.transport.write(b"".join(masked(command.encode()) for command in commands))

    async def ready(self) -> None:
        """Until all commands so far are carried out."""
        pongs = self.pongs
        self.send("PING")
        while self.pongs == pongs:
            await self.wait()

    async def wait(self) -> None:
        """Until something has come."""
        self.progress.clear()
        await self.progress.wait()

    def _count(self) -> None:
        self.frames += 1
        self.progress.set()

    def _parse(self) -> None:
        buffer = self._buffer
        while len(buffer) >= 10 or (len(buffer) >= 2 and buffer[1] < 126):
            size, head = buffer[1], 2
            if size > 125:
                head = 4 if size == 126 else 10
                size = int.from_bytes(buffer[2:head], "big")
            if size > 4096 and len(buffer) < head + size:
                self._skip = head + size - len(buffer)
                buffer.clear()
                return
            if len(buffer) < head + size:
                return
            if size < 200 and b'"PONG"' in buffer[head : head + size]:
                self.pongs += 1
                self.progress.set()
            else:
                self._count()
            del buffer[: head + size]


async def connect(server: Server, commands: Sequence[Sequence[str]]) -> list[Client]:
    """A client for each list of commands, once they are carried out."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(partial(Client, each), "127.0.0.1", server.port) for each in commands]
    clients = [protocol for _, protocol in made]
    for client in clients:
        while not client.frames:  # the greeting
            await client.wait()
        await client.ready()
    return clients


async def _published(commands: list[list[str]], message: bytes, server: Server, seconds: float) -> dict[str, Any]:
    """One message a second, each once all clients have the one before."""
    clients = await connect(server, [[*each, f"SUB {CHANNEL}"] for each in commands])
    took, began = [], time.monotonic()
    async with redis.asyncio.Redis.from_url(server.redis_url) as backend:
        while (published := time.monotonic()) < began + seconds:
            before = [client.frames for client in clients]
            await backend.publish(CHANNEL, message)
            for client, count in zip(clients, before, strict=True):
                while client.frames == count:
                    await client.wait()
            took.append(time.monotonic() - published)
            await asyncio.sleep(max(0.0, PUBLISH_SECONDS - took[-1]))
    return _columns(clients, took, began)


async def _read(commands: list[str], name: str, server: Server, seconds: float) -> dict[str, Any]:
    """All clients read, each several times at once, again and again."""
    clients = await connect(server, [commands] * READERS)
    took: list[float] = []
    began = time.monotonic()

    async def read(client: Client) -> None:
        while (asked := time.monotonic()) < began + seconds:
            client.send(*[f"GET {name}"] * READS)
            await client.ready()
            took.append(time.monotonic() - asked)

    await asyncio.gather(*map(read, clients))
    return _columns(clients, took, began)


def _columns(clients: list[Client], took: list[float], began: float) -> dict[str, Any]:
    received = sum(client.bytes for client in clients) / (time.monotonic() - began)
    for client in clients:
        client.transport.abort()
    return {"answers": len(took), "last s": round(sorted(took)[len(took) // 2], 2), "MB/s": round(received / MEGABYTE, 1)}


# -- what is published and stored ------------------------------------------------------------------------------------------------------


def position() -> list[float]:
    """Somewhere in the box."""
    return [round(_random.uniform(WEST, EAST), 6), round(_random.uniform(SOUTH, NORTH), 6)]


def _feature(number: int, geometry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "id": number, "geometry": geometry, "properties": {"line": str(number % 30), "delay": number % 7}}


def points() -> bytes:
    """A collection of points, 1.3 MB."""
    features = [_feature(number, {"type": "Point", "coordinates": position()}) for number in range(POINTS)]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def line(vertices: int, number: int = 0) -> dict[str, Any]:
    """A feature with a long line."""
    return _feature(number, {"type": "LineString", "coordinates": [position() for _ in range(vertices)]})


def polygon(number: int) -> dict[str, Any]:
    """A feature with a round polygon."""
    x, y = position()
    angles = [2 * math.pi * step / POLYGON_VERTICES for step in range(POLYGON_VERTICES)]
    ring = [[round(x + 0.2 * math.cos(angle), 7), round(y + 0.2 * math.sin(angle), 7)] for angle in angles]
    return _feature(number, {"type": "Polygon", "coordinates": [[*ring, ring[0]]]})


def _projections(count: int) -> list[list[str]]:
    return [[f"PROJECTION epsg:{code}"] for code in CODES[:count]]


def _boxes(count: int) -> list[list[str]]:
    width = (EAST - WEST) / 2
    lefts = [WEST + width * number / count for number in range(count)]
    return [["HELLO 2 trim=1", f"BBOX {left} {SOUTH} {left + width} {NORTH}"] for left in lefts]


async def projected_20(server: Server, seconds: float) -> dict[str, Any]:
    """Points, and 20 projections."""
    return await _published(_projections(20), points(), server, seconds)


async def projected_60(server: Server, seconds: float) -> dict[str, Any]:
    """Points, and 60 projections."""
    return await _published(_projections(60), points(), server, seconds)


async def trimmed(server: Server, seconds: float) -> dict[str, Any]:
    """Points, and 20 boxes."""
    return await _published(_boxes(20), points(), server, seconds)


async def long_line(server: Server, seconds: float) -> dict[str, Any]:
    """A line, and four clients that see it differently."""
    corner = f"BBOX {WEST} {SOUTH} {WEST + 0.001} {SOUTH + 0.001}"
    commands = [
        ["PROJECTION epsg:3857"],
        ["PROJECTION epsg:2056"],
        [corner],
        ["PROJECTION epsg:3857", "BBOX 600000 5600000 600010 5600010"],
    ]
    clients = await connect(server, [[*each, f"SUB {CHANNEL}"] for each in commands])
    return await _published(commands[:2], json.dumps(line(LINE)).encode(), server, seconds) | _closed(clients)


def _closed(clients: list[Client]) -> dict[str, Any]:
    for client in clients:
        client.transport.abort()
    return {}


def store_polygons(server: Server) -> None:
    """A public layer of large polygons."""
    from streaming import publish

    for start in range(0, POLYGONS, 10):
        publish(LAYER, [polygon(number) for number in range(start, min(start + 10, POLYGONS))])


def store_lines(server: Server) -> None:
    """A hash of long lines."""
    with redis.Redis.from_url(server.redis_url) as backend:
        backend.hset(HASH, mapping={str(number): json.dumps(line(LINE_VERTICES, number)) for number in range(HASH_LINES)})


async def layer_reads(server: Server, seconds: float) -> dict[str, Any]:
    """A layer, projected."""
    return await _read(["PROJECTION epsg:3857"], LAYER, server, seconds)


async def hash_reads(server: Server, seconds: float) -> dict[str, Any]:
    """A hash, projected."""
    return await _read(["PROJECTION epsg:3857"], HASH, server, seconds)


SITUATIONS = [
    Situation("redis: 10,000 points published, 20 CRSs", projected_20),
    Situation("redis: 10,000 points published, 60 CRSs", projected_60),
    Situation("redis: 10,000 points published, 20 trimmed boxes", trimmed),
    Situation("redis: a line of 100,000 vertices published, 4 filters", long_line),
    Situation("redis: 4 clients, 3 GETs of 190 polygons of 2,000 vertices", layer_reads, store_polygons),
    Situation("redis: 4 clients, 3 GETs of a hash of 10 lines of 20,000 vertices", hash_reads, store_lines),
]
