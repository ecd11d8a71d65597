"""Memory of one server process while tiles change without end: `python -m benchmarks soak --minutes 10`, or `make soak`.
64 tiles of the relief change four times a second, 16 of them at a time and each in two squares that are 5 % of it; of a layer of 1,000
features some move as often. No version comes twice. 100 sockets follow both: 70 with deltas; 10 that read a little every few seconds, half
of them whole tiles; 10 that pan twice a second; 10 that hang up and come back after a second or so, sometimes naming versions they hold.

Resident memory is sampled each second. Warm-up is the first half, of which what is kept for deltas (16 MiB here) needs some seconds to
fill up, but at most two minutes. Memory is "flat" if it grows by less than 12 MB from the first to the last third of what follows, by
their medians; the slope is that of the line through all samples of it. If it is not flat the program ends with an error.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from statistics import linear_regression, median
from typing import Any, NamedTuple

import numpy as np

from streaming.tiles.change_feed import announce_sync, changed_tiles
from streaming.tiles.sources.encoding import encode_image

from .stack import Server, stack
from .tile_clients import TileClient, connect, frame
from .tile_folders import TILES, WORLD, ZOOM, MovingLayer, add_directory, random_square, relief_pictures, write

MINUTES = 10.0
ROWS = 20
WARM_UP = 0.5
"""Of the time."""
WARM_UP_SECONDS = 120.0
"""At most."""
GROWTH_MB = 12.0
CHANGE_SECONDS = 0.25
AT_ONCE = 16
SHARE = 0.025
FEATURES = 1_000
SMALL_BUFFER = 16 * 1024
HISTORY = {"GEOSTREAM_TILE_HISTORY_BYTES": str(16 << 20)}
DELTAS = ("xor+zstd", "patch+webp", "prefix+zstd")


class Changes:
    """A directory and a layer that never stop changing."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "relief"
        self._layer = MovingLayer("traffic", FEATURES, FEATURES // 50)
        self._pictures = relief_pictures()
        self._random = np.random.default_rng()
        for number in range(len(TILES)):
            self._paint(number)

    def add(self) -> None:
        """Let the server show them."""
        add_directory(self._folder)
        self._layer.add()

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        first = 0
        while not stop.wait(CHANGE_SECONDS):
            for number in range(first, first + AT_ONCE):
                self._paint(number)
            announce_sync(self._folder.name, changed_tiles(TILES[first : first + AT_ONCE]))
            self._layer.change(())
            first = (first + AT_ONCE) % len(TILES)

    def _paint(self, number: int) -> None:
        """The tile as it is in the relief, but for a piece from elsewhere."""
        pixels = self._pictures[number].copy()
        here, there = random_square(self._random, SHARE), random_square(self._random, SHARE)
        pixels[here] = self._pictures[self._random.integers(len(TILES))][there]
        write(self._folder, TILES[number], encode_image(pixels, "png"))


class Crowd:
    """All the sockets, and what became of them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._clients: set[TileClient] = set()
        self.tiles = self.bytes = self.pans = self.returns = 0

    def run(self, stop: threading.Event) -> None:
        """Until told to stop. `ConnectionError` if one of them is told of an error, or cut."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        kinds = [self._steady] * 70 + [self._slow] * 10 + [self._panning] * 10 + [self._fickle] * 10
        tasks = [asyncio.create_task(kind(number)) for number, kind in enumerate(kinds)]
        try:
            while not stop.is_set():
                done, _ = await asyncio.wait(tasks, timeout=0.2, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for client in self._clients:
                client.transport.abort()
            await asyncio.sleep(0)  # so that they do

    async def _steady(self, number: int) -> None:
        client = await self._connect()
        while True:
            await asyncio.sleep(1)
            _check(client)

    async def _slow(self, number: int) -> None:
        client = await self._connect(receive_buffer=SMALL_BUFFER, delta=DELTAS if number % 2 else ())
        while True:
            client.transport.pause_reading()
            await asyncio.sleep(random.uniform(1, 5))
            client.transport.resume_reading()
            await asyncio.sleep(0.05)
            _check(client)

    async def _panning(self, number: int) -> None:
        client = await self._connect()
        while True:
            await asyncio.sleep(random.uniform(0.3, 0.7))
            west, south = random.uniform(-180, 90), random.uniform(-85, 25)
            client.send(frame({"type": "update_subscription", "subscription_id": "s", "bbox": [west, south, west + 90, south + 60]}, True))
            self.pans += 1
            _check(client)

    async def _fickle(self, number: int) -> None:
        held = {"relief": [[tile.x, tile.y, tile.z, "a version"] for tile in TILES]}
        while True:
            client = await self._connect(have=held if random.random() < 0.5 else None)
            await asyncio.sleep(random.uniform(0.2, 2))
            _check(client)
            self._clients.remove(client)
            client.transport.abort()
            self.returns += 1

    async def _connect(self, receive_buffer: int | None = None, delta: tuple[str, ...] = DELTAS, have: Any = None) -> TileClient:
        message = {
            "type": "subscribe_tiles",
            "subscription_id": "s",
            "bbox": WORLD,
            "zoom_range": {"start": ZOOM, "end": ZOOM + 1},
            "tileset": ["relief", "traffic"],
            "data_encoding": "bin",
            "delta": list(delta),
            "have": have,
        }
        client = await connect(self._port, frame(message, True), self._count, receive_buffer)
        self._clients.add(client)
        return client

    def _count(self, length: int) -> None:
        self.tiles += 1
        self.bytes += length


def _check(client: TileClient) -> None:
    if client.trouble:
        raise ConnectionError(client.trouble)


class Sample(NamedTuple):
    """Resident memory of the server, so many seconds after the beginning."""

    seconds: float
    megabytes: float


def run(minutes: float) -> Iterator[dict[str, Any]]:
    """A row now and then, and in the end the verdict."""
    samples: list[Sample] = []
    with stack(**HISTORY) as server:
        changes = Changes(server.folder)
        changes.add()
        yield from _observe(server, changes, minutes * 60, samples)
    print("\n" + verdict(samples))


def _observe(server: Server, changes: Changes, seconds: float, samples: list[Sample]) -> Iterator[dict[str, Any]]:
    stop, crowd, began = threading.Event(), Crowd(server.port), time.monotonic()
    samples.append(Sample(0.0, server.rss / 1e6))
    with ThreadPoolExecutor(2) as threads:
        try:
            running: list[Future[None]] = [threads.submit(crowd.run, stop), threads.submit(changes.run, stop)]
            for row in range(1, ROWS + 1):
                cpu, tiles, size, since = server.cpu, crowd.tiles, crowd.bytes, time.monotonic()
                while (now := time.monotonic() - began) < seconds * row / ROWS:
                    time.sleep(min(1.0, seconds * row / ROWS - now))
                    samples.append(Sample(time.monotonic() - began, server.rss / 1e6))
                    for each in running:
                        if each.done():
                            each.result()
                            raise SystemExit("the soak ended early")
                took = time.monotonic() - since
                yield {
                    "minute": round(samples[-1].seconds / 60, 1),
                    "RSS MB": round(samples[-1].megabytes, 1),
                    "tiles/s": round((crowd.tiles - tiles) / took),
                    "MB/s": round((crowd.bytes - size) / took / 1e6, 1),
                    "pans": crowd.pans,
                    "reconnects": crowd.returns,
                    "server CPU %": round((server.cpu - cpu) / took * 100),
                }
        finally:
            stop.set()


def verdict(samples: list[Sample]) -> str:
    """What became of the memory, in a line; `SystemExit` with it if it was not flat."""
    warm = min(WARM_UP_SECONDS, WARM_UP * samples[-1].seconds)
    kept = [sample for sample in samples if sample.seconds >= warm]
    third = len(kept) // 3
    growth = median(sample.megabytes for sample in kept[-third:]) - median(sample.megabytes for sample in kept[:third])
    slope = linear_regression(*zip(*kept, strict=True)).slope * 60
    text = (
        f"RSS at the start {samples[0].megabytes:.1f} MB, after {kept[0].seconds:.0f} s {kept[0].megabytes:.1f} MB, "
        f"after {kept[-1].seconds:.0f} s {kept[-1].megabytes:.1f} MB, at most {max(sample.megabytes for sample in kept):.1f} MB; "
        f"{growth:+.1f} MB from the first to the last third, {slope:+.2f} MB a minute"
    )
    if growth >= GROWTH_MB:
        raise SystemExit(f"{text}: NOT flat")
    return f"{text}: flat"
