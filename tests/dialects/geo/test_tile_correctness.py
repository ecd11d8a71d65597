"""After any edits, pans, drops and resumes a client holds exactly what a fresh rendering shows, whole or by deltas.

Edits are random but repeatable: rectangles painted into a GeoTIFF, features put, moved and deleted. The client's picture is made of the
messages alone, by the same functions that the Python client uses.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from streaming.client.picture import Picture, View
from streaming.client.tiles import Tile as HeldTile
from streaming.client.tiles import read
from streaming.dialects.geo.messages import TileData
from streaming.features.layers import LayerSettings, layer_feed
from streaming.models import Layer, Tileset
from streaming.tiles.change_feed import ChangedArea, announce
from streaming.tiles.grid import Tile, viewport_tiles
from streaming.tiles.sources.layer import LayerSource
from streaming.tiles.sources.raster import RasterSource
from tests.geo_peer import GeoPeer, point
from tests.profiles import LONG
from tests.tiles.conftest import write_raster

from ...profiles import only_long

pytestmark = pytest.mark.long_form

BOX = (0.0, 40.0, 20.0, 60.0)
STEPS = 40 if LONG else 20
SEEDS = range(12 if LONG else 1)
SECONDS = 20.0
Fresh = Callable[[Tile], Any]


class Viewer:
    """A client that pans, drops and resumes, and keeps the picture."""

    def __init__(self, geo: Callable[..., GeoPeer], tileset: str, delta: list[str], seed: int) -> None:
        self._geo, self._tileset, self._delta = geo, tileset, delta
        self._random = random.Random(seed)
        self._peer: GeoPeer | None = None
        self.zooms = range(0, 6)
        self.bbox: tuple[float, ...] = BOX
        self.picture = Picture(several=False)
        self.encodings: Counter[str] = Counter()

    async def connect(self) -> None:
        """Subscribe, anew or with what is held."""
        self._peer = self._geo()
        ack = await self._peer.ask(
            type="subscribe_tiles",
            subscription_id="t",
            bbox=self.bbox,
            zoom_range={"start": self.zooms.start, "end": self.zooms.stop},
            tileset=self._tileset,
            data_encoding="base64",
            delta=self._delta,
            have=self.picture.held(),
        )
        assert ack["success"], ack

    async def drop(self) -> None:
        """Lose the connection, whatever was on its way."""
        assert self._peer is not None
        await self._peer.close()
        await self.connect()

    async def pan(self) -> None:
        """Look elsewhere."""
        assert self._peer is not None
        west, south = self._random.uniform(0, 15), self._random.uniform(40, 55)
        self.bbox = (west, south, west + self._random.uniform(0.1, 5), south + self._random.uniform(0.1, 5))
        ack = await self._peer.ask(type="update_subscription", subscription_id="t", bbox=self.bbox)
        assert ack["success"], ack
        await self.read_what_came()
        self.picture.crop(View(self.bbox, self.zooms))

    async def read_what_came(self) -> None:
        """Take in what has been sent before the answer to a ping."""
        assert self._peer is not None
        await self._peer.ask(type="ping", id=1)
        early, self._peer._early = self._peer._early, []
        for message in early:
            self._take(message)

    async def until_it_shows(self, fresh: Fresh) -> None:
        """Read until the picture is that of a fresh rendering; then nothing may come that spoils it."""
        assert self._peer is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while self.wrong(fresh):
                    await self.read_what_came()
                    await asyncio.sleep(0.01)
        assert self.wrong(fresh) == []
        await self.read_what_came()
        assert self.wrong(fresh) == []

    def wrong(self, fresh: Fresh) -> list[Tile]:
        """The tiles that are not as they should be."""
        tiles: Mapping[Any, HeldTile] = self.picture.tiles
        wanted = viewport_tiles(self.bbox, self.zooms, 1024)
        assert {(tile.x, tile.y, tile.z) for tile in wanted} >= tiles.keys()
        return [tile for tile in wanted if not _same(tiles.get((tile.x, tile.y, tile.z)), fresh(tile))]

    def _take(self, message: dict[str, Any]) -> None:
        assert message.pop("type") == "tile_data", message
        data = msgspec.convert({**message, "type": "tile_data"}, TileData)
        x, y, z = data.tile
        held = self.picture.tiles.get((x, y, z))  # type: ignore[call-overload]
        tile = read(data, held)
        self.encodings[tile.encoding or "whole"] += 1
        self.picture.put(tile)


def _same(held: HeldTile | None, fresh: Any) -> bool:
    if held is None or fresh is None:
        return held is None and fresh is None
    if isinstance(fresh, bytes):
        return held.data == fresh
    return bool(np.array_equal(held.array, fresh))


async def act(viewer: Viewer, edit: Callable[[], Any], seed: int) -> None:
    """Edits, with pans and drops between them."""
    chance = random.Random(seed)
    for _ in range(STEPS):
        await edit()
        what = chance.random()
        if what < 0.1:
            await viewer.drop()
        elif what < 0.3:
            await viewer.pan()
        elif what < 0.8:
            await viewer.read_what_came()


@pytest.fixture
def quick(settings: Any) -> None:
    settings.GEOSTREAM_TILE_REFRESH_SECONDS = 0.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "delta", [only_long([]), only_long(["xor+zstd"]), ["xor+zstd", "patch+webp"], ["prefix+zstd", "upstream"]], ids=",".join
)
async def test_a_raster_that_is_painted_again_and_again(
    geo: Callable[..., GeoPeer], tmp_path: Path, settings: Any, quick: None, seed: int, delta: list[str]
) -> None:
    settings.GEOSTREAM_TILE_ROOTS = str(tmp_path)
    seed = 10 * seed + len(delta)  # other edits for each choice of deltas
    numbers = np.random.default_rng(seed)
    pixels = numbers.integers(0, 255, (3, 8, 8), np.uint8).repeat(16, 1).repeat(16, 2)
    path = write_raster(tmp_path / "r.tif", pixels, BOX)
    await Tileset.objects.acreate(name="r", kind="raster", source=str(path), min_zoom=0, max_zoom=5)
    viewer = Viewer(geo, "r", delta, seed)
    await viewer.connect()

    async def paint() -> None:
        row, column, height, width = map(int, numbers.integers((0, 0, 1, 1), (120, 120, 40, 40)))
        part = pixels[:, row : row + height, column : column + width]
        part[...] = numbers.integers(0, 255, part.shape, np.uint8)
        write_raster(tmp_path / "next.tif", pixels, BOX)
        (tmp_path / "next.tif").replace(path)
        size = 20 / 128  # degrees; the bilinear resampling mixes neighbours
        box = ((column - 1) * size, 60 - (row + height + 1) * size, (column + width + 1) * size, 60 - (row - 1) * size)
        await announce("r", ChangedArea(box))

    await act(viewer, paint, seed)
    source = RasterSource([path])

    def fresh(tile: Tile) -> Any:
        found = source.pixels(*tile)
        return None if found is None else found.transpose(1, 2, 0)

    await viewer.until_it_shows(fresh)
    source.close()
    await paint()
    source = RasterSource([path])
    await viewer.until_it_shows(fresh)
    source.close()
    assert viewer.encodings.keys() <= {"whole", *delta}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("delta", [[], ["prefix+zstd"], ["upstream"]], ids=",".join)
async def test_a_layer_whose_features_come_move_and_go(geo: Callable[..., GeoPeer], quick: None, seed: int, delta: list[str]) -> None:
    seed = 10 * seed + len(delta)
    layer = LayerSettings.from_row(await Layer.objects.acreate(name="cars"))
    await Tileset.objects.acreate(name="v", kind="layer", source="cars")
    feed, chance = layer_feed(layer), random.Random(seed)
    viewer = Viewer(geo, "v", delta, seed)

    def feature(number: int) -> tuple[str, bytes]:
        made = point(f"car-{number}", round(chance.uniform(0, 20), 4), round(chance.uniform(40, 60), 4), speed=chance.randint(0, 99))
        return f'"car-{number}"', msgspec.json.encode(made, order="sorted")

    async def move() -> None:
        await feed.put([feature(chance.randrange(60)) for _ in range(chance.randint(1, 10))])
        if chance.random() < 0.3:
            await feed.delete([f'"car-{chance.randrange(60)}"'])

    await move()
    await viewer.connect()
    await act(viewer, move, seed)
    source = LayerSource("cars", (await feed.read()).items.values())
    await viewer.until_it_shows(lambda tile: source.render(*tile))
    for _ in range(STEPS):
        if viewer.encodings.keys() >= set(delta):
            break
        await move()
        source = LayerSource("cars", (await feed.read()).items.values())
        await viewer.until_it_shows(lambda tile, source=source: source.render(*tile))  # type: ignore[misc]
    assert viewer.encodings.keys() == {"whole", *delta}
