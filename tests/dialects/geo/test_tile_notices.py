"""Notices of changed tiles, for clients that fetch tiles over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.test import AsyncClient

from streaming import apublish
from streaming.models import Layer, Tileset
from streaming.tiles.change_feed import ChangedArea, announce
from streaming.tiles.grid import tile_position
from tests.geo_peer import GeoPeer, point

from .tile_peers import VIEW, add, repaint, subscribe


async def listen(peer: GeoPeer, **extensions: Any) -> dict[str, Any]:
    ack = await subscribe(peer, data_encoding=None, progress=None, notices=True, **extensions)
    assert ack["success"], ack
    return ack


async def notice(peer: GeoPeer) -> dict[str, Any]:
    message = await peer.next()
    assert message["type"] == "tiles_changed", message
    return message


def tiles_at(lon: float, lat: float, zooms: range) -> set[tuple[int, int, int]]:
    return {(int(x), int(y), z) for z in zooms for x, y in [tile_position(lon, lat, z)]}


@pytest.fixture
async def vehicles(settings: Any) -> None:
    """A layer `l` with a vehicle `a`, as tileset `red`."""
    settings.GEOSTREAM_TILE_REFRESH_SECONDS = settings.GEOSTREAM_TILE_NOTICE_SECONDS = 0.0
    await apublish("l", point("a", 8.1, 47.1))
    await Tileset.objects.acreate(name="red", kind="layer", source="l")


async def test_an_announced_change_is_reported_and_no_tile_is_sent(geo: Callable[..., GeoPeer], red: Path) -> None:
    await add("red", red)
    peer = geo()
    ack = await listen(peer)
    assert set(ack["tilesets"]) == {"red"} and "tile_count" not in ack
    repaint(red, 0, 0, 255)
    await announce("red", ChangedArea(VIEW, zooms=range(1, 3)))
    message = await notice(peer)
    assert message["tileset"] == "red" and message["subscription_id"] == "t"
    assert message["tiles"] == [[1, 0, 1], [2, 1, 2]]
    assert message["version"] not in (None, ack["tilesets"]["red"]["version"])
    assert await peer.nothing()
    await peer.close()


async def test_a_moved_feature_reports_the_tiles_of_its_old_and_its_new_place(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    peer = geo()
    await listen(peer, zooms=(9, 12))
    await apublish("l", point("a", 12.1, 49.1))
    found = {tuple(tile) for tile in (await notice(peer))["tiles"]}
    assert found == tiles_at(8.1, 47.1, range(9, 12)) | tiles_at(12.1, 49.1, range(9, 12))
    await peer.close()


async def test_the_next_client_is_told_the_version_of_the_last_notice(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    first, second = geo(), geo()
    before = (await listen(first))["tilesets"]["red"]["version"]
    await apublish("l", point("a", 12.1, 49.1))
    version = (await notice(first))["version"]
    assert (await listen(second))["tilesets"]["red"]["version"] == version != before
    await first.close()
    await second.close()


async def test_what_is_fetched_after_a_notice_has_the_change(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    peer, client = geo(), AsyncClient()
    await listen(peer)
    before = await client.get("/tiles/red/2/2/1.mvt")
    await apublish("l", point("a", 12.1, 49.1))
    await notice(peer)
    assert (await client.get("/tiles/red/2/2/1.mvt")).content != before.content
    await peer.close()


async def test_changes_outside_the_box_are_not_reported(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    peer = geo()
    await listen(peer, zooms=(9, 12), bbox=(7.0, 46.0, 9.0, 48.0))
    await apublish("l", point("b", -70.0, -30.0))
    await apublish("l", point("a", 8.1, 47.2))
    assert {tuple(tile) for tile in (await notice(peer))["tiles"]} >= tiles_at(8.1, 47.1, range(9, 12))
    assert await peer.nothing()
    await peer.close()


async def test_a_moved_box_is_reported_from_then_on(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    peer = geo()
    await listen(peer, zooms=(9, 10), bbox=(7.0, 46.0, 9.0, 48.0))
    assert (await peer.ask(type="update_subscription", subscription_id="t", bbox=[-71.0, -31.0, -69.0, -29.0]))["success"]
    await apublish("l", [point("b", -70.1, -30.1), point("a", 8.1, 47.2)])
    assert {tuple(tile) for tile in (await notice(peer))["tiles"]} == tiles_at(-70.1, -30.1, range(9, 10))
    await peer.close()


async def test_more_tiles_than_a_notice_lists_are_any_tile(geo: Callable[..., GeoPeer], vehicles: None, settings: Any) -> None:
    settings.GEOSTREAM_TILE_NOTICE_TILES = 3
    peer = geo()
    await listen(peer, zooms=(9, 12))
    await apublish("l", point("a", 12.1, 49.1))
    assert (await notice(peer))["tiles"] is None
    await peer.close()


async def test_changes_within_a_moment_come_together(geo: Callable[..., GeoPeer], vehicles: None, settings: Any) -> None:
    settings.GEOSTREAM_TILE_NOTICE_SECONDS = 0.2
    peer = geo()
    await listen(peer, zooms=(10, 11))
    places = [(8.1, 47.1), (12.1, 49.1), (3.1, 45.1), (5.1, 43.1)]
    for lon, lat in places[1:]:
        await apublish("l", point("a", lon, lat))
    found, notices = set[tuple[int, ...]](), 0
    while len(found) < len(places):
        found |= {tuple(tile) for tile in (await notice(peer))["tiles"]}
        notices += 1
    assert notices <= 2
    await peer.close()


async def test_a_view_of_any_size_can_be_followed(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    peer = geo()
    await listen(peer, zooms=(0, 31), bbox=(-180.0, -85.0, 180.0, 85.0))
    await apublish("l", point("a", 8.1, 47.1, speed=1))
    assert {tile[2] for tile in (await notice(peer))["tiles"]} == set(range(15))
    await peer.close()


async def test_message_pack_peers_are_told_too(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    peer = geo()
    zooms = {"start": 10, "end": 11}
    request = {"type": "subscribe_tiles", "subscription_id": "t", "bbox": VIEW, "zoom_range": zooms, "tileset": "red", "notices": True}
    await peer.send(msgspec.msgpack.encode(request))
    assert msgspec.msgpack.decode(await peer.receive())["success"]
    await apublish("l", point("a", 8.1, 47.1, speed=1))
    message = msgspec.msgpack.decode(await peer.receive())
    assert (message["type"], message["tiles"]) == ("tiles_changed", [list(*tiles_at(8.1, 47.1, range(10, 11)))])
    await peer.close()


@pytest.mark.parametrize("more", [{"delta": ["xor+zstd"]}, {"progress": True}, {"tile_size": 512}, {"data_encoding": "list"}])
async def test_what_goes_with_tiles_only_is_refused(geo: Callable[..., GeoPeer], red: Path, more: dict[str, Any]) -> None:
    await add("red", red)
    peer = geo()
    ack = await subscribe(peer, **{"data_encoding": None, "progress": None, "notices": True, **more})
    assert (ack["success"], ack["code"]) == (False, "bad_request")
    await peer.close()


async def test_it_is_listed(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    peer = geo()
    await listen(peer)
    (listed,) = (await peer.ask(type="list_subscriptions"))["subscriptions"]
    assert (listed["subscription_id"], listed["notices"], listed["tileset"]) == ("t", True, "red")
    await peer.close()


async def test_other_settings_make_any_tile_stale(geo: Callable[..., GeoPeer], red: Path) -> None:
    tileset = await add("red", red)
    peer = geo()
    before = (await listen(peer))["tilesets"]["red"]["version"]
    tileset.rescale = "0,100"
    await tileset.asave()
    assert (await notice(peer))["tiles"] is None
    other = geo()
    assert (await listen(other))["tilesets"]["red"]["version"] != before
    await other.close()
    await peer.close()


async def test_it_ends_when_the_tileset_may_no_longer_be_read(geo: Callable[..., GeoPeer], vehicles: None) -> None:
    peer = geo()
    await listen(peer)
    layer = await Layer.objects.aget(name="l")
    layer.public = False
    await layer.asave()
    message = await peer.next()
    assert (message["type"], message["request_id"], message["code"]) == ("error", "t", "unknown_tileset")
    await peer.close()
