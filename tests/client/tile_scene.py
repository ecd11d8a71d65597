"""What the tests of tile subscriptions share: a subscription to a world of four tiles, and images."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from streaming.client import TileSubscription
from streaming.dialects.geo.messages import SubscribeTiles, TilesetInfo
from streaming.tiles.deltas import Pixels
from tests.client.conftest import Scene

WORLD = (-180, -85, 180, 85)
NORTH_WEST = (-170, 10, -10, 80)
NORTH_EAST = (10, 10, 170, 80)
A, B = (0, 0, 1), (1, 0, 1)
INFO = TilesetInfo("png", "image/png", 256, 0, 5, (-180.0, -85.0, 180.0, 85.0), "")


def ack(*tilesets: str, tile_count: int = 4) -> dict[str, Any]:
    return {"tile_count": tile_count, "tilesets": dict.fromkeys(tilesets or ("relief",), INFO)}


async def subscribe(scene: Scene, bbox: Any = WORLD, zooms: Any = 1, **options: Any) -> TileSubscription:
    task = asyncio.create_task(scene.client.subscribe_tiles(bbox, zooms, subscription_id="t", **options))
    await scene.peer.expect(SubscribeTiles)
    named = options.get("tileset") or "relief"
    await scene.peer.ack("t", **ack(*([named] if isinstance(named, str) else named)))
    return await task


async def returned(scene: Scene, *tilesets: str) -> SubscribeTiles:
    """Let the client come back; its request to resume, already answered."""
    scene.peer = await scene.server.peer()
    request = await scene.peer.expect(SubscribeTiles)
    await scene.peer.ack("t", **ack(*tilesets))
    return request


def painting(seed: int, size: int = 16) -> Pixels:
    """An opaque image of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 4), np.uint8)
    pixels[..., 3] = 255
    return pixels


def png(pixels: Pixels) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
