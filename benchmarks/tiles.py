"""Tiles a second to 100 sockets from one server process, and what they bring up to date.
Directories of 64 tiles are given new files again and again: all of them as soon as every socket has the ones before. The server looks at
them, makes each delta once for all who hold the same version, and writes to every socket. The sockets are in a process of their own, which
counts bytes and messages; changes are made by this one. `GEOSTREAM_TILE_REFRESH_SECONDS` is 0, or there were four rounds a second at most.

*noise*: PNGs of 64 kB that have nothing in common. *relief*: the shaded relief as PNGs, of which 1 % or 10 % of each tile's pixels change,
a square. *layer*: 10,000 points in one vector tile, of which 100 move; the tile is cut anew each time. "bin" is MessagePack, "base64" JSON;
"deltas": the clients asked for xor+zstd and patch+webp, or for prefix+zstd.

"GB/s": WebSocket payload that the sockets received. "files GB/s", "pixels GB/s": the size of the tiles that are up to date with it, as
whole files and as uncompressed RGBA. "CPU µs/tile": processor time of the server, all threads, for each tile and socket; "CPU %": of one
core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .stack import Server, stack
from .tile_clients import Receivers, frame, receivers
from .tile_folders import PIXEL_BYTES, WORLD, ZOOM, Changing, MovingLayer, noise, relief

SOCKETS = 100
SECONDS = 10.0
FEATURES, MOVING = 10_000, 100
WARM_UP = 2
"""Rounds that are not counted."""
PIXEL_DELTAS = ("xor+zstd", "patch+webp")
BYTE_DELTAS = ("prefix+zstd",)
Case = tuple[Callable[[Path], Changing], list[tuple[str, tuple[str, ...]]]]
"""Makes the tiles; how they are sent and which deltas are asked for."""
WAYS = {"bin": True, "base64": False}
"""How tiles are written, and whether in MessagePack."""


def subscription(name: str, way: str = "bin", delta: tuple[str, ...] = ()) -> bytes:
    """The frame that asks for all of a tileset."""
    message = {
        "type": "subscribe_tiles",
        "subscription_id": "s",
        "bbox": WORLD,
        "zoom_range": {"start": ZOOM, "end": ZOOM + 1},
        "tileset": name,
        "data_encoding": way,
        "delta": list(delta),
    }
    return frame(message, WAYS[way])


def measure(server: Server, tileset: Changing, way: str, delta: tuple[str, ...], seconds: float) -> dict[str, Any]:
    """One row."""
    with receivers(server.port, [subscription(tileset.name, way, delta)] * SOCKETS) as received:
        received.wait(SOCKETS * len(tileset.tiles))
        for _ in range(WARM_UP):
            change_all(tileset, received)
        tiles, size, cpu, began = received.messages, received.bytes, server.cpu, time.perf_counter()
        while time.perf_counter() - began < seconds:
            change_all(tileset, received)
        took = time.perf_counter() - began
        tiles, size, cpu = received.messages - tiles, received.bytes - size, server.cpu - cpu
    if tileset.mean_bytes is None:
        tileset.mean_bytes = size / tiles  # the first row's tiles are whole
    pixels = None if isinstance(tileset, MovingLayer) else tiles * PIXEL_BYTES
    return {
        "tiles": tileset.name,
        "sent as": f"{way}, deltas" if delta else way,
        "tiles/s": round(tiles / took),
        "bytes/tile": round(size / tiles),
        "GB/s": round(size / took / 1e9, 3),
        "files GB/s": round(tiles * tileset.mean_bytes / took / 1e9, 2),
        "pixels GB/s": pixels and round(pixels / took / 1e9, 2),
        "CPU µs/tile": round(cpu / tiles * 1e6, 1),
        "CPU %": round(cpu / took * 100),
    }


def change_all(tileset: Changing, received: Receivers) -> None:
    """Every tile changes; returns when every socket has it."""
    expected = received.messages + SOCKETS * len(tileset.tiles)
    tileset.change(tileset.tiles)
    received.wait(expected)


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    cases: list[Case] = [
        (noise, [("bin", ()), ("base64", ())]),
        (lambda folder: relief(folder, 0.01), [("bin", ()), ("bin", PIXEL_DELTAS)]),
        (lambda folder: relief(folder, 0.1), [("bin", ()), ("bin", PIXEL_DELTAS)]),
        (lambda folder: MovingLayer("layer", FEATURES, MOVING), [("bin", ()), ("bin", BYTE_DELTAS)]),
    ]
    with stack(GEOSTREAM_TILE_REFRESH_SECONDS="0.0", GEOSTREAM_TILE_WATCH="0") as server:
        for make, ways in cases:
            tileset = make(server.folder)
            tileset.add()
            for way, delta in ways:
                yield measure(server, tileset, way, delta, SECONDS * share)
