"""Tile subscriptions, as clients see them: what comes first, what comes later, and what never comes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streaming.models import Tileset
from streaming.tiles.changes import Touched, announce
from streaming.tiles.grid import Tile
from tests.geo_peer import GeoPeer
from tests.tiles.conftest import EUROPE, plain, write_raster

WORLD = [-180, -85, 180, 85]
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.GEOSTREAM_TILE_ROOTS = str(tmp_path)
    settings.GEOSTREAM_TILE_REFRESH_SECONDS = 0.0
    return tmp_path


@pytest.fixture
def red(folder: Path, runtime: object) -> Path:
    """A raster over Europe, zooms 0 to 3, as the tileset `red`."""
    path = write_raster(folder / "red.tif", plain(255, 0, 0), EUROPE)
    return path


async def add(name: str, path: Path, **fields: Any) -> Tileset:
    return await Tileset.objects.acreate(name=name, kind="raster", source=str(path), **{"min_zoom": 0, "max_zoom": 5, **fields})


async def subscribe(peer: GeoPeer, zooms: tuple[int, int] = (0, 3), bbox: Any = EUROPE, **extensions: Any) -> dict[str, Any]:
    return await peer.ask(
        type="subscribe_tiles",
        subscription_id="t",
        bbox=list(bbox),
        zoom_range={"start": zooms[0], "end": zooms[1]},
        **{"tileset": "red", "data_encoding": "base64", "progress": True, **extensions},
    )


async def burst(peer: GeoPeer) -> list[dict[str, Any]]:
    """The tiles until all have been sent."""
    tiles = []
    while (message := await peer.next())["type"] != "tiles_ready":
        assert message["type"] == "tile_data", message
        tiles.append(message)
    return tiles


def coords(tiles: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    return [(tile["tile"][2], tile["tile"][0], tile["tile"][1]) for tile in tiles]


async def test_the_tiles_of_the_box_come_lowest_zoom_first(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer = geo()
    ack = await subscribe(peer)
    assert ack["success"], ack
    assert ack["tilesets"]["red"]["mime_type"] == "image/png"
    tiles = await burst(peer)
    assert coords(tiles) == [(0, 0, 0), (1, 1, 0), (2, 2, 1)]
    assert ack["tile_count"] == 3
    assert base64.b64decode(tiles[0]["data"]).startswith(b"\x89PNG")


async def test_a_replaced_source_is_sent_again(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    before = await burst(peer)
    write_raster(red, plain(0, 0, 255), EUROPE)
    await announce("red", Touched())
    after = await burst(peer)
    assert coords(after) == coords(before)
    assert all(tile["version"] not in {each["version"] for each in before} for tile in after)


async def test_what_did_not_change_is_not_sent(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    await burst(peer)
    await announce("red", Touched())
    assert await burst(peer) == []


async def test_only_touched_tiles_are_looked_at(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(3, 6))
    await burst(peer)
    write_raster(red, plain(0, 0, 255), EUROPE)
    await announce("red", Touched(tiles=frozenset({Tile(4, 8, 5)})))
    assert coords(await burst(peer)) == [(4, 8, 5)]


async def test_nobody_else_gets_anything(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer, elsewhere = geo(), geo()
    await subscribe(peer)
    await burst(peer)
    await subscribe(elsewhere, bbox=[-60, -30, -50, -20], zooms=(2, 3))
    await burst(elsewhere)
    write_raster(red, plain(0, 0, 255), EUROPE)
    await announce("red", Touched(EUROPE))
    assert len(await burst(peer)) == 3
    assert await elsewhere.nothing()


async def test_panning_sends_what_came_into_view(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(5, 6), bbox=[2, 50, 3, 51])
    assert coords(await burst(peer)) == [(5, 16, 10)]
    ack = await peer.ask(type="update_subscription", subscription_id="t", bbox=[10, 50, 15, 51])
    assert ack["tile_count"] == 2
    assert coords(await burst(peer)) == [(5, 17, 10)]


async def test_a_list_of_bytes_is_what_comes_unasked(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, data_encoding=None)
    (tile, *_) = await burst(peer)
    assert bytes(tile["data"]).startswith(b"\x89PNG")


async def test_a_delta_is_sent_to_who_can_apply_it(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, delta=["xor+zstd"], zooms=(0, 1))
    (whole,) = await burst(peer)
    pixels = plain(255, 0, 0)
    pixels[:, :8, :8] = np.random.default_rng(1).integers(0, 255, (3, 8, 8))
    write_raster(red, pixels, EUROPE)
    await announce("red", Touched())
    (delta,) = await burst(peer)
    assert delta["encoding"] == "xor+zstd"
    assert delta["base_version"] == whole["version"]


async def test_more_tiles_than_allowed_are_refused(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red, max_zoom=20)
    ack = await subscribe(geo(), zooms=(15, 20))
    assert (ack["success"], ack["code"]) == (False, "too_many_tiles")


async def test_held_tiles_are_sent_only_if_they_differ(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer, again = geo(), geo()
    await subscribe(peer)
    tiles = await burst(peer)
    have = [[*tile["tile"], tile["version"]] for tile in tiles]
    have[1][3] = "another"
    await subscribe(again, have={"red": have})
    assert coords(await burst(again)) == coords(tiles[1:2])
