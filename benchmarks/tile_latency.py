"""Milliseconds from a change to the last of 100 sockets: from just before it is announced (or pushed) until the last byte arrived.
The sockets view 64 tiles and are in a process of their own, on the same clock. Changes are further apart than
`GEOSTREAM_TILE_REFRESH_SECONDS` (0.25 by default), so none waits for the one before; one that comes sooner waits so much longer.
"each": over all sockets; "last": over the changes, until the last socket had all tiles of the change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import numpy as np

from streaming.tiles.grid import Tile

from .stack import Server, stack
from .tile_clients import Receivers, receivers
from .tile_folders import TILES, ZOOM, Changing, noise, noisy_png, relief
from .tiles import PIXEL_DELTAS, SOCKETS, subscription

CHANGES = 100
APART_SECONDS = 0.3
MANY = 16

if TYPE_CHECKING:
    from streaming.tiles.tilesets import TilesetSettings


def measure(server: Server, tileset: Changing, delta: tuple[str, ...], count: int, changes: int) -> dict[str, Any]:
    """One row; each change touches `count` tiles."""
    each: list[float] = []
    last: list[float] = []
    with receivers(server.port, [subscription(tileset.name, delta=delta)] * SOCKETS) as received:
        received.wait(SOCKETS * len(TILES))
        size = received.bytes
        for number in range(changes + 1):  # the first one, which makes bases for deltas, does not count
            time.sleep(APART_SECONDS)
            waited = _arrivals(received, partial(tileset.change, (TILES * 2)[number % len(TILES) :][:count]), count)
            if number:
                each += waited
                last.append(max(waited))
        size = received.bytes - size
    per_tile, per_change = quantiles(each, n=100), quantiles(last, n=100)
    return {
        "tiles": tileset.name,
        "deltas": "yes" if delta else "no",
        "tiles changed": count,
        "changes": changes,
        "bytes/tile": round(size / ((changes + 1) * count * SOCKETS)),
        "each p50 ms": round(per_tile[49] * 1000, 1),
        "each p99 ms": round(per_tile[98] * 1000, 1),
        "last p50 ms": round(per_change[49] * 1000, 1),
        "last p99 ms": round(per_change[98] * 1000, 1),
    }


def _arrivals(received: Receivers, change: Callable[[], None], count: int) -> list[float]:
    """Seconds until each socket had all."""
    expected = received.messages + SOCKETS * count
    began = time.perf_counter()
    change()
    received.wait(expected)
    return [float(seconds) for seconds in received.latest - began]


class PushedNoise:
    """Tiles that are pushed straight into Redis, as the REST API does it once it has read the body."""

    def __init__(self) -> None:
        self.name = "noise, pushed"
        self.tiles = TILES
        self.mean_bytes: float | None = None
        self._random = np.random.default_rng(2)
        self._settings: TilesetSettings | None = None

    def add(self) -> None:
        """Let the server show it."""
        from streaming.models import Tileset
        from streaming.tiles.tilesets import tileset_settings

        self._settings = tileset_settings(Tileset.objects.create(name=self.name, kind="pushed", min_zoom=ZOOM, max_zoom=ZOOM))
        self.change(self.tiles)

    def change(self, tiles: Collection[Tile]) -> None:
        """Push a new version of these."""
        from streaming.tiles.pushed_tiles import push_sync

        assert self._settings is not None
        for tile in tiles:
            push_sync(self._settings, tile, noisy_png(self._random))


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    changes = max(10, round(CHANGES * share))
    with stack(GEOSTREAM_TILE_WATCH="0") as server:
        cases: list[tuple[Changing, tuple[str, ...], tuple[int, ...]]] = [
            (noise(server.folder), (), (1, MANY)),
            (relief(server.folder, 0.01), PIXEL_DELTAS, (1, MANY)),
            (PushedNoise(), (), (1,)),
        ]
        for tileset, delta, counts in cases:
            tileset.add()
            for count in counts:
                yield measure(server, tileset, delta, count, changes)
