"""Pushed tiles and painted images reach the clients that look at them, and no others."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streaming.models import Tileset
from streaming.tiles.grid import Tile
from streaming.tiles.imagery import clear_imagery_sync, paint_sync
from streaming.tiles.pushed_tiles import push_sync, remove_sync
from streaming.tiles.tilesets import TilesetSettings, tileset_settings
from tests.geo_peer import GeoPeer

from .conftest import EUROPE, plain, write_raster
from .test_pushed_tiles import picture

Connect = Callable[..., GeoPeer]


@pytest.fixture(autouse=True)
def quick(runtime: object, data_dir: Path, settings: Any) -> None:
    settings.GEOSTREAM_TILE_REFRESH_SECONDS = 0.0


async def subscribe(peer: GeoPeer, zooms: tuple[int, int], bbox: tuple[float, ...]) -> dict[tuple[int, ...], str]:
    """The versions of what is sent first, by x, y, zoom."""
    ack = await peer.ask(
        type="subscribe_tiles",
        subscription_id="t",
        bbox=list(bbox),
        zoom_range={"start": zooms[0], "end": zooms[1]},
        tileset="seen",
        data_encoding="base64",
        progress=True,
    )
    assert ack["success"], ack
    return await burst(peer)


async def burst(peer: GeoPeer) -> dict[tuple[int, ...], str]:
    tiles = {}
    while (message := await peer.next())["type"] != "tiles_ready":
        assert message["type"] == "tile_data", message
        tiles[tuple(message["tile"])] = message["data"] and message["version"]
    return tiles


async def next_tiles(peer: GeoPeer) -> dict[tuple[int, ...], str]:
    """The next tiles that are sent; `tiles_ready` may come more than once without any."""
    while not (tiles := await burst(peer)):
        pass
    return tiles


async def make(**fields: Any) -> TilesetSettings:
    return tileset_settings(await Tileset.objects.acreate(name="seen", **fields))


async def test_a_pushed_tile_reaches_the_clients_that_look_there(geo: Connect) -> None:
    tileset = await make(kind="pushed")
    here, elsewhere = geo(), geo()
    assert await subscribe(here, (3, 4), (1, 50, 2, 51)) == {}
    assert await subscribe(elsewhere, (3, 4), (-100, 50, -99, 51)) == {}
    pushed = await asyncio.to_thread(push_sync, tileset, Tile(3, 4, 2), picture(1))
    assert await next_tiles(here) == {(4, 2, 3): pushed.version}
    await asyncio.to_thread(remove_sync, tileset, Tile(3, 4, 2))
    assert await next_tiles(here) == {(4, 2, 3): ""}
    await asyncio.to_thread(push_sync, tileset, Tile(3, 1, 2), picture(3))
    assert (await next_tiles(elsewhere)).keys() == {(1, 2, 3)}  # and nothing before it


async def test_pushed_bytes_arrive_as_they_are(geo: Connect) -> None:
    tileset = await make(kind="pushed")
    peer = geo()
    await subscribe(peer, (3, 4), (1, 50, 2, 51))
    await asyncio.to_thread(push_sync, tileset, Tile(3, 4, 2), picture(7))
    while (message := await peer.next())["type"] != "tile_data":
        pass
    assert base64.b64decode(message["data"]) == picture(7)


async def test_of_a_painted_image_only_the_tiles_it_touches_come(geo: Connect, data_dir: Path, tmp_path: Path) -> None:
    tileset = await make(kind="raster", source=str(write_raster(data_dir / "blue.tif", plain(0, 0, 200))), max_zoom=8)
    peer = geo()
    before = await subscribe(peer, (5, 6), EUROPE)
    image = write_raster(tmp_path / "a.tif", plain(200, 0, 0), (1.0, 50.0, 2.0, 51.0))
    await asyncio.to_thread(paint_sync, tileset, image)
    assert (await next_tiles(peer)).keys() == {(16, 10, 5)}
    await asyncio.to_thread(clear_imagery_sync, tileset)
    assert await next_tiles(peer) == {(16, 10, 5): before[16, 10, 5]}
