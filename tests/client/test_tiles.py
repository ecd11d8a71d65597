"""Tile subscriptions on one connection."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from streaming.client import Coords, ProtocolError, RequestRefused, Tile
from streaming.dialects.geo.messages import DataEncoding, Error, SubscribeTiles, Unsubscribe, UpdateSubscription, ZoomRange
from tests.client.conftest import MakeClient, Scene
from tests.client.scripted import ScriptedServer
from tests.client.tile_scene import INFO, NORTH_EAST, NORTH_WEST, WORLD, A, B, ack, painting, png, subscribe


async def test_the_request_has_what_was_asked_for(scene: Scene) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_tiles(NORTH_EAST, range(2, 5), tileset="relief", tile_size=512))
    request = await scene.peer.expect(SubscribeTiles)
    await scene.peer.ack(request.subscription_id, **ack())
    subscription = await subscribing
    assert request == SubscribeTiles(
        subscription_id=subscription.id,
        bbox=NORTH_EAST,
        zoom_range=ZoomRange(2, 5),
        tile_size=512,
        tileset="relief",
        data_encoding=DataEncoding.BASE64,
        delta=["xor+zstd", "patch+webp", "prefix+zstd"],
        progress=True,
    )
    assert (subscription.info, subscription.tile_count) == ({"relief": INFO}, 4)


@pytest.mark.parametrize(("zooms", "start", "end"), [(3, 3, 4), (range(3, 6), 3, 6), ((3, 6), 3, 6)])
async def test_zooms_are_one_or_a_range(scene: Scene, zooms: Any, start: int, end: int) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_tiles(WORLD, zooms, subscription_id="t"))
    assert (await scene.peer.expect(SubscribeTiles)).zoom_range == ZoomRange(start, end)
    await scene.peer.ack("t", **ack())
    await subscribing


@pytest.mark.parametrize(("delta", "asked"), [(False, None), (["upstream"], ["upstream"])])
async def test_deltas_are_asked_for_as_wanted(scene: Scene, delta: Any, asked: Any) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_tiles(WORLD, 1, delta=delta, subscription_id="t"))
    assert (await scene.peer.expect(SubscribeTiles)).delta == asked
    await scene.peer.ack("t", **ack())
    await subscribing


@pytest.mark.parametrize(
    ("bbox", "zooms", "options", "code"),
    [
        ((0, 0, float("nan"), 1), 1, {}, "invalid_bbox"),
        ((0, 10, 10, 0), 1, {}, "invalid_bbox"),
        (WORLD, range(0, 9, 2), {}, "bad_request"),
        (WORLD, -1, {}, "bad_request"),
        (WORLD, "all", {}, "bad_request"),
        (WORLD, 1, {"delta": ["rsync"]}, "bad_request"),
    ],
)
async def test_what_cannot_be_right_is_refused_without_asking(scene: Scene, bbox: Any, zooms: Any, options: Any, code: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        await scene.client.subscribe_tiles(bbox, zooms, **options)
    assert refused.value.code == code


async def test_a_refusal_has_code_and_message(scene: Scene) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_tiles(WORLD, range(12), subscription_id="t"))
    await scene.peer.expect(SubscribeTiles)
    await scene.peer.refuse("t", "too_many_tiles")
    with pytest.raises(RequestRefused) as refused:
        await subscribing
    assert (refused.value.code, scene.client.subscriptions) == ("too_many_tiles", {})


async def test_a_tile_is_yielded_and_kept(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, b"mountains", "v1")
    tile = await anext(subscription)
    assert (tile.coords, tile.coords.zoom, tile.tileset, tile.version) == (A, 1, "relief", "v1")
    assert (tile.data, tile.size, tile.received, tile.encoding, tile.empty) == (b"mountains", 9, 9, None, False)
    assert subscription.tiles == {A: tile}


@pytest.mark.parametrize("data", [[109, 118, 116], "bXZ0", b"mvt"], ids=["list", "base64", "bin"])
@pytest.mark.parametrize(
    ("format", "asked"), [("Json", DataEncoding.BASE64), ("MessagePack", DataEncoding.BIN), ("Binary", DataEncoding.BIN)]
)
async def test_data_is_understood_in_every_encoding(
    server: ScriptedServer, make_client: MakeClient, format: str, asked: DataEncoding, data: Any
) -> None:
    async with asyncio.TaskGroup() as tasks:
        accepted = tasks.create_task(server.peer())
        async with make_client(format=format, compression="Zstd") as client:
            peer = await accepted
            subscribing = tasks.create_task(client.subscribe_tiles(WORLD, 1, subscription_id="t"))
            assert (await peer.expect(SubscribeTiles)).data_encoding is asked
            await peer.ack("t", **ack())
            await peer.tile("t", A, data, "v1")
            assert (await anext(await subscribing)).data == b"mvt"


async def test_text_that_is_not_base64_leads_to_a_new_connection(scene: Scene) -> None:
    await subscribe(scene)
    await scene.peer.tile("t", A, "!", "v1")
    await scene.server.peer()


async def test_an_image_is_an_array_as_well(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, png(painting(1)), "v1", mime_type="image/png")
    array = (await anext(subscription)).array
    assert array is not None
    assert (array.shape, array.dtype, array.flags.writeable) == ((16, 16, 4), np.uint8, False)
    np.testing.assert_array_equal(array, painting(1))


async def test_what_is_no_image_has_no_array(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, b"mvt", "v1", mime_type="application/vnd.mapbox-vector-tile")
    assert (await anext(subscription)).array is None


async def test_a_damaged_image_is_told_when_it_is_looked_at(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, png(painting(1))[:-40], "v1", mime_type="image/png")
    tile = await anext(subscription)
    with pytest.raises(ProtocolError, match=r"tile \(0, 0, 1\)"):
        print(tile.array)


def test_pixels_that_a_delta_made_are_a_file_as_well() -> None:
    tile = Tile("relief", Coords(*A), "image/png", "v2", painting(2))
    with Image.open(BytesIO(tile.data)) as image:
        np.testing.assert_array_equal(np.asarray(image), painting(2))
    assert tile.size == len(tile.data)


async def test_an_empty_tile_takes_the_place_of_one(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, b"mountains", "v1", mime_type="image/png")
    await anext(subscription)
    await scene.peer.tile("t", A, b"", "", mime_type="image/png")
    tile = await anext(subscription)
    assert (tile.coords, tile.empty, tile.data, tile.size, tile.array) == (A, True, b"", 0, None)
    assert subscription.tiles == {}


async def test_a_slow_reader_gets_the_latest_version_of_each_tile_once(scene: Scene) -> None:
    subscription = await subscribe(scene)
    for version in range(100):
        await scene.peer.tile("t", A, b"%d" % version, f"a{version}")
    await scene.peer.tile("t", B, b"b", "b1")
    await scene.peer.ready("t")
    await subscription.ready()
    assert [(await anext(subscription)).version for _ in range(2)] == ["a99", "b1"]


async def test_several_tilesets_are_told_apart(scene: Scene) -> None:
    subscription = await subscribe(scene, tileset=["relief", "roads"])
    await scene.peer.tile("t", A, b"mountains", "v1")
    await scene.peer.tile("t", A, b"motorways", "v2", tileset="roads")
    assert {(await anext(subscription)).tileset for _ in range(2)} == {"relief", "roads"}
    assert {key: tile.data for key, tile in subscription.tiles.items()} == {("relief", *A): b"mountains", ("roads", *A): b"motorways"}
    assert set(subscription.info) == {"relief", "roads"}


async def test_ready_waits_for_everything_in_view(scene: Scene) -> None:
    subscription = await subscribe(scene)
    waiting = asyncio.create_task(subscription.ready())
    await scene.peer.tile("t", A, b"a", "v1")
    await anext(subscription)
    assert not waiting.done()
    await scene.peer.ready("t")
    await waiting


async def test_ready_does_not_wait_for_a_subscription_that_ends(scene: Scene) -> None:
    subscription = await subscribe(scene)
    waiting = asyncio.create_task(subscription.ready())
    await scene.peer.send(Error("forbidden", "no longer public", "t"))
    with pytest.raises(RequestRefused, match="no longer public"):
        await waiting


async def move(scene: Scene, subscription: Any, **conditions: Any) -> UpdateSubscription:
    updating = asyncio.create_task(subscription.update(**conditions))
    request = await scene.peer.expect(UpdateSubscription)
    await scene.peer.ack("t", tile_count=1)
    await updating
    return request


async def test_an_update_tells_only_what_changes(scene: Scene) -> None:
    subscription = await subscribe(scene)
    assert await move(scene, subscription, bbox=NORTH_EAST) == UpdateSubscription("t", bbox=NORTH_EAST)
    assert await move(scene, subscription, zooms=(2, 4)) == UpdateSubscription("t", zoom_range=ZoomRange(2, 4))
    assert subscription.tile_count == 1


async def test_tiles_that_left_the_view_are_gone(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, b"a", "a1")
    await scene.peer.tile("t", B, b"b", "b1")
    await move(scene, subscription, bbox=NORTH_EAST)
    assert set(subscription.tiles) == {B}
    assert (await anext(subscription)).coords == B


async def test_a_tile_out_of_view_is_not_taken(scene: Scene) -> None:
    subscription = await subscribe(scene, NORTH_EAST)
    await scene.peer.tile("t", A, b"a", "a1")
    await scene.peer.tile("t", B, b"b", "b1")
    assert (await anext(subscription)).coords == B
    assert set(subscription.tiles) == {B}


async def test_a_moved_view_is_ready_when_it_has_arrived(scene: Scene) -> None:
    subscription = await subscribe(scene, NORTH_WEST)
    await scene.peer.ready("t")
    await subscription.ready()
    await move(scene, subscription, bbox=NORTH_EAST)
    waiting = asyncio.create_task(subscription.ready())
    await scene.peer.tile("t", B, b"b", "b1")
    await anext(subscription)
    assert not waiting.done()
    await scene.peer.ready("t")
    await waiting


async def test_a_refused_move_leaves_the_view_as_it_was(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, b"a", "a1")
    updating = asyncio.create_task(subscription.update(bbox=NORTH_EAST))
    await scene.peer.expect(UpdateSubscription)
    await scene.peer.refuse("t", "too_many_tiles")
    with pytest.raises(RequestRefused, match="too_many_tiles"):
        await updating
    assert set(subscription.tiles) == {A}


async def test_a_move_to_nowhere_is_refused_without_asking(scene: Scene) -> None:
    subscription = await subscribe(scene)
    with pytest.raises(RequestRefused, match="invalid_bbox"):
        await subscription.update(bbox=(0, 0, 1000, 10))


async def test_a_tile_that_cannot_be_rendered_is_only_reported(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    subscription = await subscribe(scene)
    await scene.peer.send(Error("invalid_source", "tile 1/1/1 of relief is damaged"))
    await scene.peer.tile("t", A, b"a", "a1")
    assert (await anext(subscription)).data == b"a"
    assert "tile 1/1/1 of relief is damaged" in caplog.text


async def test_unsubscribe_tells_the_server_and_ends_the_iterator(scene: Scene) -> None:
    subscription = await subscribe(scene)
    unsubscribing = asyncio.create_task(subscription.unsubscribe())
    await scene.peer.expect(Unsubscribe)
    await scene.peer.ack("t")
    await unsubscribing
    assert [tile async for tile in subscription] == []
    with pytest.raises(RequestRefused, match="unknown_subscription"):
        await subscription.ready()
