"""Files: syncs beside rsync, small and large requests, announcements on one connection, their latency through Redis, memory."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from hashlib import sha256
from statistics import median, quantiles
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from streaming.core.redis import close_async_redis
from streaming.files.folder_feed import FolderFeed, Step
from streaming.files.metadata import FileRecord

from . import files_sync
from .stack import Server, stack
from .swarm import masked

SMALL, SMALL_BYTES, LARGE_BYTES, JOBS = 2000, 4096, 512 * 1024 * 1024, 4
ANNOUNCEMENTS, SINGLE, CONNECTIONS = 50_000, 500, 1000
BLOCK = 1024 * 1024
MARK = b'"type":"FileOperation"'
SETTINGS = {
    "GEOSTREAM_FILES_ANONYMOUS": "*=list read write delete",
    "GEOSTREAM_FILES_REQUESTS_PER_SECOND": "1000000",
    "GEOSTREAM_FILES_REQUESTS_BURST": "1000000",
    "GEOSTREAM_FILES_FREE_BYTES": "0",
    "GEOSTREAM_FILES_MOST": "1000000",
    "GEOSTREAM_FILES_MOST_IN_DIRECTORY": "1000000",
}


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> Client:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=4 * BLOCK)
        return self

    async def put(self, path: str, body: bytes, blocks: int = 1) -> None:
        """Upload the body, so many times over."""
        head = f"PUT /api/upload?path={path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body) * blocks}\r\n\r\n"
        self._writer.write(head.encode())
        for _ in range(blocks):
            self._writer.write(body)
            await self._writer.drain()
        await self._answer()

    async def get(self, path: str) -> int:
        """Download; returns how many bytes came."""
        self._writer.write(f"GET /api/download?path={path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return await self._answer()

    async def _answer(self) -> int:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 20"):
            raise ConnectionError(head.decode())
        left = length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
        while left:
            left -= len(await self._reader.read(min(left, BLOCK)))
        return length


def run(share: float) -> Iterator[dict[str, Any]]:
    """The rows of the table."""
    yield from files_sync.run(share, SETTINGS)
    with stack(**SETTINGS) as server:
        yield from asyncio.run(_transfers(server, share))
    with stack(**SETTINGS, GEOSTREAM_FILES_DURABLE="0") as server:
        yield from asyncio.run(_small(server, share, "without waiting for the disk"))
    with stack(**SETTINGS, GEOSTREAM_FILES_WATCH="0") as server:
        yield from asyncio.run(_announcements(server, share))


def _row(what: str, figure: float, unit: str, cpu: float | None = None) -> dict[str, Any]:
    row = {"what": what, "figure": round(figure, 2), "unit": unit, "server's processor time, s": None if cpu is None else round(cpu, 2)}
    return row | dict.fromkeys(("client's", "server's memory, MB", "client's, at most"))


async def _transfers(server: Server, share: float) -> list[dict[str, Any]]:
    rows = await _small(server, share, "each on the disk before it is answered")
    client, blocks = await Client(server.port).open(), max(int(LARGE_BYTES * share) // BLOCK, 8)
    for what, transfer in (("up", client.put("large.bin", os.urandom(BLOCK), blocks)), ("down", client.get("large.bin"))):
        began, cpu = time.perf_counter(), server.cpu
        await transfer
        speed = blocks * BLOCK / 1e6 / (time.perf_counter() - began)
        rows.append(_row(f"one file of {blocks} MiB {what}", speed, "MB/s", server.cpu - cpu))
    return rows


async def _small(server: Server, share: float, how: str) -> list[dict[str, Any]]:
    count = max(int(SMALL * share), 100)
    clients = [await Client(server.port).open() for _ in range(JOBS)]
    await clients[0].put("first.bin", b"x")
    rows = []
    for what in ("up", "down"):
        numbers = iter(range(count))

        async def work(client: Client, what: str = what, numbers: Iterator[int] = numbers) -> None:
            for number in numbers:
                path = f"small/{number % 100}/{number}.bin"
                await (client.put(path, number.to_bytes(8, "big") * (SMALL_BYTES // 8)) if what == "up" else client.get(path))

        began, cpu = time.perf_counter(), server.cpu
        await asyncio.gather(*map(work, clients))
        name = f"{count:,} files of 4 KiB {what}, {JOBS} at a time" + (f", {how}" if what == "up" else "")
        rows.append(_row(name, count / (time.perf_counter() - began), "files/s", server.cpu - cpu))
    return rows


# -- announcements -------------------------------------------------------------


async def _announcements(server: Server, share: float) -> list[dict[str, Any]]:
    rows, url = [], f"ws://127.0.0.1:{server.port}/ws/files"
    feed, number = FolderFeed(), 0
    rows.append(await _burst(server, feed, max(int(ANNOUNCEMENTS * share), 5000)))
    await _idle(server)
    async with connect(url, compression=None, max_queue=None) as peer:
        await _subscribe(peer, "bench")
        delays = []
        for number in range(max(int(SINGLE * share), 100)):
            await asyncio.sleep(0.01)
            began = time.perf_counter()
            await feed.write([_step(f"single/{number}")])
            await peer.recv()
            delays.append((time.perf_counter() - began) * 1000)
        rows.append(_row("an announcement through Redis, from the write on, median", median(delays), "ms"))
        rows.append(_row("the same, 99th percentile", quantiles(delays, n=100)[98], "ms"))
    rows.append(await _memory(server, url, max(int(CONNECTIONS * share), 100)))
    await close_async_redis()
    return rows


async def _burst(server: Server, feed: FolderFeed, count: int) -> dict[str, Any]:
    """One connection that counts what it is sent, and does nothing else with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=4 * BLOCK)
    head = b"GET /ws/files HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    writer.write(head + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(masked(b'{"type":"Subscribe","client_id":"burst"}', 0x81))
    await reader.readuntil(b"}")
    began, cpu, seen, rest = time.perf_counter(), server.cpu, 0, b""
    writing = asyncio.create_task(_write(feed, count))
    while seen < count:
        data = rest + await reader.read(BLOCK)
        seen += data.count(MARK)
        rest = data[-len(MARK) + 1 :]
    row = _row("announcements on one connection", count / (time.perf_counter() - began), "1/s", server.cpu - cpu)
    await writing
    writer.close()
    return row


async def _idle(server: Server) -> None:
    """What becomes of the files of a burst is looked at after it, for longer than the burst takes."""
    busy = True
    while busy:
        cpu = server.cpu
        await asyncio.sleep(1)
        busy = server.cpu - cpu > 0.05


async def _write(feed: FolderFeed, count: int) -> None:
    for start in range(0, count, 500):
        await feed.write([_step(f"many/{number % 5000}", number) for number in range(start, min(start + 500, count))])


def _step(path: str, number: int = 0) -> Step:
    return Step(path, FileRecord(number, sha256(path.encode()).hexdigest(), time.time_ns()))


async def _memory(server: Server, url: str, count: int) -> dict[str, Any]:
    before = server.rss
    peers = [await connect(url, compression=None) for _ in range(count)]
    for number, peer in enumerate(peers):
        await _subscribe(peer, f"client-{number}")
    figure = (server.rss - before) / count / 1000
    await asyncio.gather(*(peer.close() for peer in peers))
    return _row(f"memory of a subscribed connection, of {count:,}", figure, "kB")


async def _subscribe(peer: ClientConnection, client_id: str) -> None:
    await peer.send(json.dumps({"type": "Subscribe", "client_id": client_id}))
    assert json.loads(await peer.recv())["type"] == "Ack"
