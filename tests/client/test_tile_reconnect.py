"""What a tile subscription goes through when connections break."""

from __future__ import annotations

import asyncio

from streaming.client import TileSubscription
from streaming.dialects.geo.messages import TileData, UpdateSubscription
from streaming.tiles.deltas import encode
from tests.client.conftest import Scene
from tests.client.tile_scene import NORTH_EAST, A, B, painting, png, returned, subscribe


async def broken_off(scene: Scene) -> TileSubscription:
    """A subscription that held two tiles when its connection broke."""
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, b"a", "a1")
    await scene.peer.tile("t", B, b"b", "b1")
    assert [(await anext(subscription)).coords for _ in range(2)] == [A, B]
    scene.peer.break_off()
    return subscription


async def test_it_tells_what_it_holds_and_gets_what_differs(scene: Scene) -> None:
    subscription = await broken_off(scene)
    assert (await returned(scene)).have == {"relief": [(*A, "a1"), (*B, "b1")]}
    await scene.peer.tile("t", B, b"bb", "b2")
    assert (await anext(subscription)).version == "b2"
    assert {key: tile.data for key, tile in subscription.tiles.items()} == {A: b"a", B: b"bb"}
    assert subscription.recovered is True


async def test_a_tile_that_became_empty_meanwhile_is_told(scene: Scene) -> None:
    subscription = await broken_off(scene)
    await returned(scene)
    await scene.peer.tile("t", A, b"", "")
    tile = await anext(subscription)
    assert (tile.coords, tile.empty, set(subscription.tiles)) == (A, True, {B})


async def test_pixels_are_held_by_their_version(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, png(painting(1)), "v1", mime_type="image/png")
    change = encode("xor+zstd", painting(1), painting(2))
    await scene.peer.tile("t", A, change, "v2", encoding="xor+zstd", base_version="v1", mime_type="image/png")
    await scene.peer.ready("t")
    await subscription.ready()
    scene.peer.break_off()
    assert (await returned(scene)).have == {"relief": [(*A, "v2")]}


async def test_it_resumes_the_view_it_was_moved_to(scene: Scene) -> None:
    subscription = await broken_off(scene)
    await returned(scene)
    updating = asyncio.create_task(subscription.update(bbox=NORTH_EAST, zooms=(1, 3)))
    await scene.peer.expect(UpdateSubscription)
    await scene.peer.ack("t", tile_count=1)
    await updating
    scene.peer.break_off()
    request = await returned(scene)
    assert (request.bbox, request.zoom_range.end, request.have) == (NORTH_EAST, 3, {"relief": [(*B, "b1")]})


async def test_a_move_that_was_not_answered_is_repeated_after_the_break(scene: Scene) -> None:
    subscription = await broken_off(scene)
    await returned(scene)
    updating = asyncio.create_task(subscription.update(bbox=NORTH_EAST))
    await scene.peer.expect(UpdateSubscription)
    scene.peer.break_off()
    assert len((await returned(scene)).have["relief"]) == 2  # type: ignore[index]
    await scene.peer.expect(UpdateSubscription)
    await scene.peer.ack("t", tile_count=1)
    await updating
    assert set(subscription.tiles) == {B}


async def test_it_is_ready_when_the_server_says_so_again(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.ready("t")
    await subscription.ready()
    scene.peer.break_off()
    await returned(scene)
    waiting = asyncio.create_task(subscription.ready())
    await scene.peer.tile("t", A, b"a", "a1")
    await anext(subscription)
    assert not waiting.done()
    await scene.peer.ready("t")
    await waiting


async def test_tiles_of_a_tileset_that_is_no_longer_meant_are_gone(scene: Scene) -> None:
    """The site has another default tileset now."""
    subscription = await broken_off(scene)
    await returned(scene, "satellite")
    await scene.peer.tile("t", A, b"forest", "f1", tileset="satellite")
    await anext(subscription)
    assert {key: tile.data for key, tile in subscription.tiles.items()} == {A: b"forest"}


async def test_tiles_without_a_version_come_again(scene: Scene) -> None:
    """A server that knows no extensions."""
    subscription = await subscribe(scene)
    await scene.peer.send(TileData("t", A, [97], "image/png"))
    assert (await anext(subscription)).data == b"a"
    scene.peer.break_off()
    assert (await returned(scene)).have is None
    await scene.peer.send(TileData("t", A, [97], "image/png"))
    assert (await anext(subscription)).data == b"a"
