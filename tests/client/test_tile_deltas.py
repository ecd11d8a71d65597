"""Tiles brought up to date by deltas, and what happens to those that do not fit."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streaming.client import RequestRefused, TileSubscription
from streaming.dialects.geo.messages import SubscribeTiles, Unsubscribe, UpdateSubscription
from streaming.tiles.deltas import encode
from streaming.tiles.images import lossless_webp
from tests.client.conftest import Scene
from tests.client.tile_scene import NORTH_EAST, A, B, ack, painting, png, returned, subscribe

VECTORS = json.loads((Path(__file__).parents[1] / "dialects" / "geo" / "vectors.json").read_text(encoding="utf-8"))["tile_delta"]
OLD, NEW = painting(1), painting(2)
PATCHED = OLD.copy()
PATCHED[3:8, 5:12] = NEW[3:8, 5:12]
PATCH = struct.pack("<HH", 5, 3) + lossless_webp(PATCHED[3:8, 5:12])
PIXEL_DELTAS = {"xor+zstd": (encode("xor+zstd", OLD, NEW), NEW), "patch+webp": (PATCH, PATCHED)}


async def delta(scene: Scene, place: tuple[int, int, int], encoding: str, data: bytes, base: str, version: str, **members: Any) -> None:
    await scene.peer.tile("t", place, data, version, encoding=encoding, base_version=base, **members)


async def renewed(scene: Scene) -> SubscribeTiles:
    """The client's request to subscribe anew, already answered."""
    await scene.peer.expect(Unsubscribe)
    await scene.peer.ack("t")
    request = await scene.peer.expect(SubscribeTiles)
    await scene.peer.ack("t", **ack())
    return request


@pytest.mark.parametrize("encoding", PIXEL_DELTAS)
async def test_pixels_are_brought_up_to_date(scene: Scene, encoding: str) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, png(OLD), "v1", mime_type="image/png")
    old = await anext(subscription)
    data, expected = PIXEL_DELTAS[encoding]
    await delta(scene, A, encoding, data, "v1", "v2", mime_type="image/png")
    new = await anext(subscription)
    assert new.array is not None
    np.testing.assert_array_equal(new.array, expected)
    assert (new.version, new.encoding, new.received, new.array.flags.writeable) == ("v2", encoding, len(data), False)
    assert old.data == png(OLD)
    assert subscription.tiles[A] is new


async def test_a_pixel_delta_follows_another(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, png(OLD), "v1", mime_type="image/png")
    await delta(scene, A, "xor+zstd", encode("xor+zstd", OLD, NEW), "v1", "v2", mime_type="image/png")
    await delta(scene, A, "xor+zstd", encode("xor+zstd", NEW, PATCHED), "v2", "v3", mime_type="image/png")
    await scene.peer.ready("t")
    await subscription.ready()
    np.testing.assert_array_equal(subscription.tiles[A].array, PATCHED)


@pytest.mark.parametrize("encoding", ["prefix+zstd", "upstream"])
async def test_bytes_are_brought_up_to_date(scene: Scene, encoding: str) -> None:
    subscription = await subscribe(scene, delta=[encoding])
    old, new = b"roads and rivers " * 20, b"roads, rails and rivers " * 20
    await scene.peer.tile("t", A, old, "v1")
    await anext(subscription)
    await delta(scene, A, encoding, encode(encoding, old, new), "v1", "v2")
    tile = await anext(subscription)
    assert (tile.data, tile.size, tile.encoding) == (new, len(new), encoding)


@pytest.mark.parametrize("vector", [each for each in VECTORS if each["old_hex"] and each["new_hex"]], ids=lambda vector: vector["label"])
async def test_upstreams_own_deltas_are_applied(scene: Scene, vector: dict[str, str]) -> None:
    subscription = await subscribe(scene, delta=["upstream"])
    old, new, change = (bytes.fromhex(vector[name]) for name in ("old_hex", "new_hex", "delta_hex"))
    await scene.peer.tile("t", A, old, "v1")
    await anext(subscription)
    await delta(scene, A, "upstream", change, "v1", "v2")
    assert (await anext(subscription)).data == new


async def two_tiles(scene: Scene) -> TileSubscription:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, b"a", "a1")
    await scene.peer.tile("t", B, b"b", "b1")
    assert [(await anext(subscription)).coords for _ in range(2)] == [A, B]
    return subscription


MISFITS = {
    "of another version": ("prefix+zstd", encode("prefix+zstd", b"a", b"aa"), "a0"),
    "that is no delta": ("prefix+zstd", b"garbage", "a1"),
    "of pixels for what has none": ("xor+zstd", encode("xor+zstd", OLD, NEW), "a1"),
    "of an unknown encoding": ("rsync", b"", "a1"),
}


@pytest.mark.parametrize("misfit", MISFITS)
async def test_after_a_delta_that_does_not_fit_the_tile_comes_whole(scene: Scene, misfit: str, caplog: pytest.LogCaptureFixture) -> None:
    subscription = await two_tiles(scene)
    await delta(scene, A, *MISFITS[misfit], "a2")
    request = await renewed(scene)
    assert request.delta is None
    assert request.have == {"relief": [(*A, "?"), (*B, "b1")]}
    await scene.peer.tile("t", A, b"aa", "a2")
    tile = await anext(subscription)
    assert (tile.data, tile.version) == (b"aa", "a2")
    assert set(subscription.tiles) == {A, B}
    assert "tile (0, 0, 1) of subscription t" in caplog.text


async def test_a_delta_for_a_tile_that_is_not_held_does_not_fit(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await delta(scene, A, "prefix+zstd", encode("prefix+zstd", b"a", b"aa"), "a1", "a2")
    assert (await renewed(scene)).have is None
    assert subscription.tiles == {}


async def test_a_bytes_delta_does_not_fit_to_pixels(scene: Scene) -> None:
    subscription = await subscribe(scene)
    await scene.peer.tile("t", A, png(OLD), "v1", mime_type="image/png")
    await delta(scene, A, "xor+zstd", encode("xor+zstd", OLD, NEW), "v1", "v2", mime_type="image/png")
    await delta(scene, A, "prefix+zstd", encode("prefix+zstd", png(NEW), b"x"), "v2", "v3", mime_type="image/png")
    await renewed(scene)
    np.testing.assert_array_equal(subscription.tiles[A].array, NEW)


async def test_it_is_ready_when_the_renewed_subscription_is(scene: Scene) -> None:
    subscription = await two_tiles(scene)
    waiting = asyncio.create_task(subscription.ready())
    await delta(scene, A, "prefix+zstd", b"garbage", "a1", "a2")
    await scene.peer.ready("t")  # of the subscription that is being given up
    await renewed(scene)
    await scene.peer.tile("t", A, b"aa", "a2")
    assert (await anext(subscription)).version == "a2"
    assert not waiting.done()
    await scene.peer.ready("t")
    await waiting


async def test_several_misfits_renew_it_once(scene: Scene) -> None:
    subscription = await two_tiles(scene)
    await delta(scene, A, "prefix+zstd", b"garbage", "a1", "a2")
    await delta(scene, A, "prefix+zstd", b"garbage", "a2", "a3")
    await delta(scene, B, "prefix+zstd", b"garbage", "b1", "b2")
    await scene.peer.expect(Unsubscribe)
    await delta(scene, B, "prefix+zstd", b"garbage", "b2", "b3")
    await scene.peer.ack("t")
    request = await scene.peer.expect(SubscribeTiles)
    await scene.peer.ack("t", **ack())
    assert request.have == {"relief": [(*A, "?"), (*B, "?")]}
    await scene.peer.tile("t", B, b"", "")
    assert (await anext(subscription)).empty


async def test_a_move_waits_until_the_subscription_is_renewed(scene: Scene) -> None:
    subscription = await two_tiles(scene)
    await delta(scene, A, "prefix+zstd", b"garbage", "a1", "a2")
    await scene.peer.expect(Unsubscribe)
    updating = asyncio.create_task(subscription.update(bbox=NORTH_EAST))
    await scene.peer.ack("t")
    await scene.peer.expect(SubscribeTiles)
    await scene.peer.ack("t", **ack())
    assert (await scene.peer.expect(UpdateSubscription)).bbox == NORTH_EAST
    await scene.peer.ack("t", tile_count=1)
    await updating


async def test_deltas_are_asked_for_again_on_the_next_connection(scene: Scene) -> None:
    await two_tiles(scene)
    await delta(scene, A, "prefix+zstd", b"garbage", "a1", "a2")
    await renewed(scene)
    scene.peer.break_off()
    assert (await returned(scene)).delta == ["xor+zstd", "patch+webp", "prefix+zstd"]


async def test_a_break_while_it_is_renewed_changes_nothing(scene: Scene) -> None:
    subscription = await two_tiles(scene)
    await delta(scene, A, "prefix+zstd", b"garbage", "a1", "a2")
    await scene.peer.expect(Unsubscribe)
    scene.peer.break_off()
    assert (await returned(scene)).have == {"relief": [(*A, "?"), (*B, "b1")]}
    await scene.peer.tile("t", A, b"aa", "a2")
    assert (await anext(subscription)).version == "a2"


async def test_what_cannot_be_renewed_now_is_taken_up_on_another_connection(scene: Scene) -> None:
    subscription = await two_tiles(scene)
    await delta(scene, A, "prefix+zstd", b"garbage", "a1", "a2")
    await scene.peer.expect(Unsubscribe)
    await scene.peer.ack("t")
    await scene.peer.expect(SubscribeTiles)
    await scene.peer.refuse("t", "redis_unavailable")
    await returned(scene)
    await scene.peer.tile("t", A, b"aa", "a2")
    assert (await anext(subscription)).version == "a2"


async def test_what_may_not_be_renewed_ends(scene: Scene) -> None:
    subscription = await two_tiles(scene)
    await delta(scene, A, "prefix+zstd", b"garbage", "a1", "a2")
    await scene.peer.expect(Unsubscribe)
    await scene.peer.ack("t")
    await scene.peer.expect(SubscribeTiles)
    await scene.peer.refuse("t", "forbidden")
    with pytest.raises(RequestRefused, match="forbidden"):
        await anext(subscription)
    assert scene.client.subscriptions == {}
