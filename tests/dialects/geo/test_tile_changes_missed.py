"""What was announced while nobody looked is shown all the same to who comes next.

A file may have changed twice when the first change is announced: the tiles of the second one are kept until it is
announced too. If nobody looks at the tileset by then, nobody hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import AsyncClient

from streaming.models import Tileset
from streaming.tiles.change_feed import ChangedArea, announce
from tests.geo_peer import GeoPeer
from tests.tiles.conftest import EUROPE, write_raster

WEST, EAST = (0.0, 40.0, 5.0, 60.0), (15.0, 40.0, 20.0, 60.0)
IN_WEST, IN_EAST = [32, 21, 6], [35, 21, 6]


@pytest.fixture
def path(tmp_path: Path, settings: Any) -> Path:
    settings.GEOSTREAM_TILE_ROOTS = str(tmp_path)
    settings.GEOSTREAM_TILE_REFRESH_SECONDS = 0.0
    settings.GEOSTREAM_TILE_WATCH = False  # it would notice, a moment later; so would the next check
    settings.GEOSTREAM_TILE_CHECK_SECONDS = 60.0
    return painted(tmp_path / "r.tif", west=10, east=10)


def painted(path: Path, west: int, east: int) -> Path:
    pixels = np.full((3, 64, 64), west, np.uint8)
    pixels[:, :, 32:] = east
    write_raster(path.with_suffix(".next"), pixels, EUROPE)
    return path.with_suffix(".next").replace(path)


async def next_tile(peer: GeoPeer) -> dict[str, Any]:
    """The next tile that is sent."""
    while (message := await peer.next())["type"] != "tile_data":
        pass
    return message


async def subscribe(geo: Callable[..., GeoPeer]) -> tuple[GeoPeer, dict[tuple[int, ...], Any]]:
    """A client that has both tiles."""
    peer = geo()
    zooms = {"start": 6, "end": 7}
    ack = await peer.ask(type="subscribe_tiles", subscription_id="t", bbox=EUROPE, zoom_range=zooms, tileset="r", data_encoding="base64")
    assert ack["success"], ack
    found: dict[tuple[int, ...], Any] = {}
    while not {tuple(IN_WEST), tuple(IN_EAST)} <= found.keys():
        message = await next_tile(peer)
        found[tuple(message["tile"])] = message["data"]
    return peer, found


async def missed_a_change(geo: Callable[..., GeoPeer], path: Path) -> Any:
    """Both halves change, the west is announced and shown, then the client leaves, and the east is announced. The east as it was."""
    await Tileset.objects.acreate(name="r", kind="raster", source=str(path), min_zoom=6, max_zoom=6)
    peer, before = await subscribe(geo)
    painted(path, west=200, east=200)
    await announce("r", ChangedArea(WEST))
    while (await next_tile(peer))["tile"] != IN_WEST:
        pass
    await peer.close()
    await announce("r", ChangedArea(EAST))
    return before[tuple(IN_EAST)]


async def test_who_comes_next_sees_it(geo: Callable[..., GeoPeer], path: Path) -> None:
    before = await missed_a_change(geo, path)
    peer, after = await subscribe(geo)
    assert after[tuple(IN_EAST)] != before
    await peer.close()


async def test_it_is_shown_over_http(geo: Callable[..., GeoPeer], path: Path) -> None:
    await Tileset.objects.acreate(name="other", kind="raster", source=str(path), min_zoom=6, max_zoom=6)
    await missed_a_change(geo, path)
    client = AsyncClient()
    tiles = [(await client.get(f"/tiles/{name}/6/35/21.png")).content for name in ("r", "other")]
    assert tiles[0] == tiles[1]
