"""What tests of tile subscriptions share: rasters, and peers that look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streaming.models import Tileset
from tests.geo_peer import GeoPeer
from tests.tiles.conftest import EUROPE, plain, write_raster

VIEW = (1.0, 40.0, 20.0, 60.0)
"""One tile of each zoom below 3: EUROPE, but for its western edge, which tiles in the west touch too."""


async def add(name: str, path: Path, **fields: Any) -> Tileset:
    """A raster as a tileset."""
    return await Tileset.objects.acreate(name=name, kind="raster", source=str(path), **{"min_zoom": 0, "max_zoom": 5, **fields})


async def subscribe(peer: GeoPeer, zooms: tuple[int, int] = (0, 3), bbox: Any = VIEW, **extensions: Any) -> dict[str, Any]:
    """Subscribe to `red` as `t`; returns the ack."""
    return await peer.ask(
        type="subscribe_tiles",
        bbox=list(bbox),
        zoom_range={"start": zooms[0], "end": zooms[1]},
        **{"subscription_id": "t", "tileset": "red", "data_encoding": "base64", "progress": True, **extensions},
    )


async def burst(peer: GeoPeer) -> list[dict[str, Any]]:
    """The tiles until all have been sent."""
    tiles = []
    while (message := await peer.next())["type"] != "tiles_ready":
        assert message["type"] == "tile_data", message
        tiles.append(message)
    return tiles


def coords(tiles: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    """(zoom, x, y) of each."""
    return [(tile["tile"][2], tile["tile"][0], tile["tile"][1]) for tile in tiles]


def repaint(path: Path, *colour: int) -> None:
    """One colour all over Europe."""
    write_raster(path, plain(*colour), EUROPE)
