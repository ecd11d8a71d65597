"""Points of one layer that move, as many a second as is asked for; their publisher knows where each of them is."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from streaming.core.errors import StreamError
from streaming.core.feed import MAX_BATCH, Feed, PutResult

CITIES = 2_000
AROUND = 1.0
"""Degrees around a city (standard deviation)."""
STEP = 0.2
"""Degrees that a point moves at a time (standard deviation): some twenty kilometres."""
COMING_AND_GOING = 0.01
"""Of the changes."""
REMEMBERED = 10_000
"""Batches of which it is known when they were published."""


def cell_of(longitude: float, latitude: float, resolution: int) -> str:
    """The id of the H3 cell that a place is in."""
    return f"{h3.latlng_to_cell(latitude, longitude, resolution):x}"


class MovingPoints:
    """Make them with `fill`."""

    def __init__(self, feed: Feed, count: int) -> None:
        self._dice = np.random.default_rng(1)
        cities = np.column_stack((self._dice.normal(0, 60, CITIES), self._dice.uniform(-60, 70, CITIES)))
        self._places = _on_earth(cities[np.arange(count) % CITIES] + self._dice.normal(0, AROUND, (count, 2)))
        self._there = np.ones(count, np.bool_)
        self._published: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._paused = False
        self.feed = feed
        self.changes = 0
        self.seq = 0
        """The number of the last change."""
        self.fill_seconds = 0.0

    @classmethod
    async def fill(cls, layer: str, count: int) -> MovingPoints:
        """Store so many points in an existing layer."""
        from streaming.features.layers import catalogue, layer_feed

        points, began = cls(layer_feed(await catalogue.get(layer)), count), time.perf_counter()
        for start in range(0, count, MAX_BATCH):
            await points._put(np.arange(start, min(start + MAX_BATCH, count)))
        points.fill_seconds = time.perf_counter() - began
        return points

    async def move(self, rate: float) -> None:
        """So many changes a second until `pause`; as many as possible, if that is less."""
        self._paused, due = False, time.perf_counter()
        comes_and_goes = int(MAX_BATCH * COMING_AND_GOING)
        while not self._paused:
            moving = self._dice.choice(len(self._places), MAX_BATCH, replace=False)
            going = moving[:comes_and_goes][self._there[moving[:comes_and_goes]]]
            moving = np.setdiff1d(moving, going, assume_unique=True)
            self._places[moving] = _on_earth(self._places[moving] + self._dice.normal(0, STEP, (len(moving), 2)))
            await self._put(moving)
            await self._delete(going)
            due = max(due + MAX_BATCH / rate, time.perf_counter() - 1.0)  # what was missed for longer is not made up for
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))

    def pause(self) -> None:
        """Move nothing any more."""
        self._paused = True

    def lag(self, seq: int) -> tuple[int, float]:
        """How far somebody is behind who has everything up to this number: changes, and seconds."""
        since = next((at for published, at in self._published if published > seq), None)
        return max(self.seq - seq, 0), 0.0 if since is None else time.monotonic() - since

    def recount(self, resolution: int) -> Counter[str]:
        """How many are in each H3 cell."""
        return Counter(cell_of(x, y, resolution) for x, y in self._places[self._there].tolist())

    async def _put(self, numbers: NDArray[np.int64]) -> None:
        items = [_item(number, x, y) for number, (x, y) in zip(numbers.tolist(), self._places[numbers].tolist(), strict=True)]
        result = await _again(lambda: self.feed.put(items))
        self._there[numbers] = True
        self._note(result.cursor.seq if result.cursor else 0, len(items))

    async def _delete(self, numbers: NDArray[np.int64]) -> None:
        if not len(numbers):
            return
        result = await _again(lambda: self.feed.delete(map(str, numbers.tolist())))
        self._there[numbers] = False
        self._note(result.cursor.seq if result.cursor else 0, len(numbers))

    def _note(self, seq: int, changes: int) -> None:
        self.seq, self.changes = seq, self.changes + changes
        self._published.append((seq, time.monotonic()))


async def _again(publish: Callable[[], Awaitable[PutResult]]) -> PutResult:
    """Until Redis answers: it may be writing a million features to the disk. What was stored already is not stored again."""
    while True:
        try:
            return await publish()
        except StreamError:
            await asyncio.sleep(0.1)


def _on_earth(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """As they are written: five decimals, longitudes within 180 degrees, latitudes within 80."""
    longitudes = (places[:, 0] + 180) % 360 - 180
    return np.column_stack((longitudes, places[:, 1].clip(-80, 80))).round(5)


def _item(number: int, x: float, y: float) -> tuple[str, bytes]:
    text = (
        f'{{"geometry":{{"coordinates":[{x:.5f},{y:.5f}],"type":"Point"}},"id":{number},'
        f'"properties":{{"heading":{number % 360},"name":"Vehicle {number}","speed":{number % 1400 / 10}}},"type":"Feature"}}'
    )
    return str(number), text.encode()
