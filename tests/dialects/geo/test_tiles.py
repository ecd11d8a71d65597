"""Tile subscriptions, as clients see them: what comes first, what comes later, and what never comes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streaming.engine.runtime import Runtime
from streaming.models import Layer, Tileset
from streaming.tiles import live_tileset, tile_viewport
from streaming.tiles.change_feed import ChangedArea, announce
from streaming.tiles.grid import Tile
from streaming.tiles.tile_viewport import TileViewport
from tests.geo_peer import GeoPeer
from tests.tiles.conftest import EUROPE, plain, write_raster

from .tile_peers import add, burst, coords, repaint, subscribe

Geo = Callable[..., GeoPeer]
ASKED_AT_ONCE = 8


async def test_the_tiles_of_the_box_come_lowest_zoom_first(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    ack = await subscribe(peer)
    assert ack["success"], ack
    assert ack["tilesets"]["red"]["mime_type"] == "image/png"
    tiles = await burst(peer)
    assert coords(tiles) == [(0, 0, 0), (1, 1, 0), (2, 2, 1)]
    assert ack["tile_count"] == 3
    assert base64.b64decode(tiles[0]["data"]).startswith(b"\x89PNG")


async def test_tiles_that_only_touch_the_box_are_in_view_on_every_side(geo: Geo, red: Path) -> None:
    await add("red", red)
    assert (await subscribe(geo(), bbox=[0, 0, 0, 0], zooms=(1, 2)))["tile_count"] == 4
    assert (await subscribe(geo(), bbox=[0, 1, 90, 2], zooms=(2, 3)))["tile_count"] == 3


@pytest.mark.long_form(only=True)
async def test_the_tiles_of_a_zoom_come_from_the_centre_outwards(geo: Geo, red: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_viewport, "ORDER_WAIT_SECONDS", 60.0)  # a busy machine may take longer for a tile than the usual wait
    write_raster(red, plain(255, 0, 0), (-180.0, -85.0, 180.0, 85.0))
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(4, 5), bbox=[-180, -85, 180, 85])
    distances = [(x - 7.5) ** 2 + (y - 7.5) ** 2 for _, x, y in coords(await burst(peer))]
    assert len(distances) == 256
    in_order = sorted(distances)
    for place, distance in enumerate(distances):  # one that takes long is overtaken by those that were asked for with it
        assert distance <= in_order[min(place + ASKED_AT_ONCE, 256) - 1]


async def test_a_replaced_source_is_sent_again(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    before = await burst(peer)
    repaint(red, 0, 0, 255)
    await announce("red", ChangedArea())
    after = await burst(peer)
    assert coords(after) == coords(before)
    assert not {tile["version"] for tile in after} & {tile["version"] for tile in before}


async def test_what_did_not_change_is_not_sent(geo: Geo, red: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    await burst(peer)
    looked_at = asyncio.Queue[Tile]()
    settle = TileViewport._settle
    monkeypatch.setattr(TileViewport, "_settle", lambda view, tile, body: (settle(view, tile, body), looked_at.put_nowait(tile)))
    await announce("red", ChangedArea())
    assert {await asyncio.wait_for(looked_at.get(), 10) for _ in range(3)} == {(0, 0, 0), (1, 1, 0), (2, 2, 1)}
    assert await peer.nothing()


async def test_only_touched_tiles_are_looked_at(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(3, 6))
    await burst(peer)
    repaint(red, 0, 0, 255)
    await announce("red", ChangedArea(tiles=frozenset({Tile(4, 8, 5)})))
    assert coords(await burst(peer)) == [(4, 8, 5)]


async def test_nobody_else_gets_anything(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer, elsewhere = geo(), geo()
    await subscribe(peer)
    await burst(peer)
    await subscribe(elsewhere, bbox=[-60, -30, -50, -20], zooms=(2, 3))
    await burst(elsewhere)
    repaint(red, 0, 0, 255)
    await announce("red", ChangedArea(EUROPE))
    assert len(await burst(peer)) == 3
    assert await elsewhere.nothing()


async def test_panning_sends_what_came_into_view(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(5, 6), bbox=[2, 50, 3, 51])
    assert coords(await burst(peer)) == [(5, 16, 10)]
    ack = await peer.ask(type="update_subscription", subscription_id="t", bbox=[10, 50, 15, 51])
    assert ack["tile_count"] == 2
    assert coords(await burst(peer)) == [(5, 17, 10)]


async def test_other_zooms_send_other_tiles(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(0, 2))
    await burst(peer)
    await peer.ask(type="update_subscription", subscription_id="t", zoom_range={"start": 1, "end": 3})
    assert coords(await burst(peer)) == [(2, 2, 1)]


async def test_an_update_that_brings_nothing_is_ready_at_once(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    await burst(peer)
    await peer.ask(type="update_subscription", subscription_id="t", zoom_range={"start": 0, "end": 2})
    assert await burst(peer) == []


async def test_a_tile_that_comes_back_into_view_comes_whole(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(1, 2), delta=["xor+zstd"])
    await burst(peer)
    await peer.ask(type="update_subscription", subscription_id="t", bbox=[-100, -40, -90, -30])
    await burst(peer)
    await peer.ask(type="update_subscription", subscription_id="t", bbox=list(EUROPE))
    (tile,) = await burst(peer)
    assert "encoding" not in tile


async def test_a_view_over_the_antimeridian(geo: Geo, red: Path) -> None:
    write_raster(red, plain(255, 0, 0), (-180.0, -85.0, 180.0, 85.0))
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(3, 4), bbox=[170, 10, -170, 20])
    assert set(coords(await burst(peer))) == {(3, 7, 3), (3, 0, 3)}


async def test_a_delta_is_sent_to_who_can_apply_it(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, delta=["a name of the future", "xor+zstd"], zooms=(0, 1))
    (whole,) = await burst(peer)
    pixels = plain(255, 0, 0)
    pixels[:, :8, :8] = np.random.default_rng(1).integers(0, 255, (3, 8, 8))
    write_raster(red, pixels, EUROPE)
    await announce("red", ChangedArea())
    (delta,) = await burst(peer)
    assert delta["encoding"] == "xor+zstd"
    assert delta["base_version"] == whole["version"]


async def test_who_did_not_ask_gets_whole_tiles_as_lists_of_their_bytes(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(0, 1), data_encoding=None)
    (tile,) = await burst(peer)
    assert bytes(tile["data"]).startswith(b"\x89PNG")
    repaint(red, 254, 0, 0)
    await announce("red", ChangedArea())
    (tile,) = await burst(peer)
    assert bytes(tile["data"]).startswith(b"\x89PNG")
    assert "encoding" not in tile


async def test_held_tiles_are_sent_only_if_they_differ(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer, again = geo(), geo()
    await subscribe(peer)
    tiles = await burst(peer)
    have = [[*tile["tile"], tile["version"]] for tile in tiles]
    have[1][3] = "another"
    await subscribe(again, have={"red": have}, delta=["xor+zstd"])
    (sent,) = await burst(again)
    assert coords([sent]) == coords(tiles[1:2])
    assert "encoding" not in sent


async def test_a_tile_that_became_empty_is_told_as_empty(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(4, 5), bbox=[2, 50, 3, 51])
    await burst(peer)
    write_raster(red, plain(255, 0, 0), (100.0, 0.0, 110.0, 10.0))
    await announce("red", ChangedArea())
    (tile,) = await burst(peer)
    assert (tile["data"], tile["version"]) == ("", "")


async def test_a_held_tile_that_became_empty_is_told_as_empty(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(4, 5), bbox=[100, 50, 101, 51], have={"red": [[12, 5, 4, "old"]]})
    (tile,) = await burst(peer)
    assert (tile["tile"], tile["data"], tile["version"]) == ([12, 5, 4], "", "")


async def test_several_tilesets_in_one_subscription(geo: Geo, red: Path) -> None:
    await add("red", red)
    repaint(red.with_name("blue.tif"), 0, 0, 255)
    await add("blue", red.with_name("blue.tif"))
    peer = geo()
    ack = await subscribe(peer, tileset=["red", "blue"])
    tiles = await burst(peer)
    assert sorted({tile["tileset"] for tile in tiles}) == sorted(ack["tilesets"]) == ["blue", "red"]
    assert len(tiles) == ack["tile_count"] == 6


async def test_rasters_come_in_the_size_that_was_asked_for(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer, usual = geo(), geo()
    ack = await subscribe(peer, zooms=(0, 1), tile_size=512)
    assert ack["tilesets"]["red"]["tile_size"] == 512
    assert base64.b64decode((await burst(peer))[0]["data"])[16:24] == bytes((0, 0, 2, 0, 0, 0, 2, 0))
    await subscribe(usual, zooms=(0, 1), tile_size=256)
    assert base64.b64decode((await burst(usual))[0]["data"])[16:24] == bytes((0, 0, 1, 0, 0, 0, 1, 0))


async def test_the_site_s_default_tileset(geo: Geo, red: Path, settings: object) -> None:
    settings.GEOSTREAM_DEFAULT_TILESET = "red"  # type: ignore[attr-defined]
    await add("red", red)
    peer = geo()
    assert list((await subscribe(peer, tileset=None))["tilesets"]) == ["red"]


async def test_a_source_that_is_damaged_leaves_what_was_shown_and_recovers(
    geo: Geo, red: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_tileset, "RETRY_SECONDS", 0.02)
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    before = await burst(peer)
    red.write_bytes(b"no GeoTIFF any more")
    await announce("red", ChangedArea())
    async with asyncio.timeout(5):
        while "is shown as it was" not in caplog.text:
            await asyncio.sleep(0.01)
    assert await peer.nothing()
    repaint(red.with_name("new.tif"), 0, 0, 255)
    red.with_name("new.tif").replace(red)  # in one step: it is tried again and again
    assert coords(await burst(peer)) == coords(before)


async def test_who_may_not_read_a_tileset_any_more_is_told_and_gets_nothing(geo: Geo, red: Path) -> None:
    tileset = await add("red", red)
    peer = geo()
    await subscribe(peer)
    await burst(peer)
    tileset.public = False
    await tileset.asave()
    end = await peer.next()
    while end["type"] != "error":
        end = await peer.next()
    assert (end["code"], end["request_id"]) == ("unknown_tileset", "t")
    repaint(red, 0, 0, 255)
    await announce("red", ChangedArea())
    assert await peer.nothing()


async def test_a_tileset_that_is_not_public_any_more_ends_also_where_the_notice_was_lost(
    geo: Geo, runtime: Runtime, red: Path, settings: object
) -> None:
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 0.0  # type: ignore[attr-defined]
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    await burst(peer)
    await runtime.review_access()
    await Tileset.objects.aupdate(public=False)
    await runtime.review_access()
    end = await peer.next()
    assert (end["code"], end["request_id"]) == ("unknown_tileset", "t")


async def test_zooms_that_a_tileset_does_not_have_any_more_are_emptied(geo: Geo, red: Path) -> None:
    tileset = await add("red", red)
    peer = geo()
    await subscribe(peer)
    await burst(peer)
    tileset.max_zoom = 1
    await tileset.asave()
    emptied = await peer.next()
    while emptied.get("version") != "":
        emptied = await peer.next()
    assert coords([emptied]) == [(2, 2, 1)]


async def test_another_format_is_sent_at_once(geo: Geo, red: Path) -> None:
    tileset = await add("red", red)
    peer = geo()
    await subscribe(peer, zooms=(0, 1))
    await burst(peer)
    tileset.format = "webp"
    await tileset.asave()
    tile = await peer.next()
    while tile.get("mime_type") != "image/webp":
        tile = await peer.next()
    assert base64.b64decode(tile["data"]).startswith(b"RIFF")


async def test_the_tiles_of_a_layer_that_becomes_private_do_too(geo: Geo, red: Path) -> None:
    layer = await Layer.objects.acreate(name="cars")
    await Tileset.objects.acreate(name="cars", kind="layer", source="cars")
    peer, late = geo(), geo()
    assert (await subscribe(peer, tileset="cars"))["success"]
    await burst(peer)
    layer.public = False
    await layer.asave()
    end = await peer.next()
    assert (end["type"], end["code"], end["request_id"]) == ("error", "unknown_tileset", "t")
    assert (await subscribe(late, tileset="cars"))["code"] == "unknown_tileset"
