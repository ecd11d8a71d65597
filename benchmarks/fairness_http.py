"""Clients of REST and of tiles that ask for much, or send much: situations of `fairness`.

"answers": requests that were answered. "last s": how long one took; the median.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .fairness import Situation
from .fairness_geo import LARGE, prepare_large
from .http import Poster
from .stack import Server
from .tile_folders import RELIEF

READERS, PUBLISHERS, WATCHERS = 4, 2, 16
SENT = 50_000
"""Features of a document that is published, 9 MB."""
FILTER = "speed < 0.9 AND name LIKE '%vehicle%'"
LINES, VERTICES = 20, 20_000
LAYER_ZOOMS, RASTER_ZOOMS = (3, 7), (2, 5)


def prepare_layer_tiles(server: Server) -> None:
    """Vector tiles of a large layer."""
    from streaming.models import Tileset

    prepare_large(server)
    Tileset.objects.create(name="large", kind="layer", source="large")


def prepare_raster(server: Server) -> None:
    """A relief that is cut into tiles when they are asked for."""
    from streaming.models import Tileset

    folder = server.folder / "tiles"
    folder.mkdir(exist_ok=True)
    copy = folder / "relief.tif"
    copy.write_bytes(Path(RELIEF).read_bytes())
    Tileset.objects.create(name="relief", kind="raster", source=str(copy), min_zoom=0, max_zoom=RASTER_ZOOMS[1])


async def reads(server: Server, seconds: float) -> dict[str, Any]:
    """A page of a large layer, filtered."""
    query = urlencode({"filter": FILTER, "limit": 10_000})
    return await _clients(READERS, seconds, lambda: _get(server, f"/api/layers/large/features?{query}"))


async def writes(server: Server, seconds: float) -> dict[str, Any]:
    """Documents with many features, which are others each time."""
    return await _published(server, seconds, [_collection(number) for number in range(4)])


async def long_lines(server: Server, seconds: float) -> dict[str, Any]:
    """Documents with few features of very many vertices, which are others each time."""
    return await _published(server, seconds, [_lines(number) for number in range(4)])


async def layer_tiles(server: Server, seconds: float) -> dict[str, Any]:
    """Vector tiles of a large layer, each another one."""
    return await _clients(WATCHERS, seconds, lambda: _get(server, f"/tiles/large/{_tile(*LAYER_ZOOMS)}.pbf", may_be_empty=True))


async def raster_tiles(server: Server, seconds: float) -> dict[str, Any]:
    """Tiles of an image, each another one."""
    return await _clients(WATCHERS, seconds, lambda: _get(server, f"/tiles/relief/{_tile(*RASTER_ZOOMS)}.png", may_be_empty=True))


async def _published(server: Server, seconds: float, bodies: list[bytes]) -> dict[str, Any]:
    token = await asyncio.to_thread(server.token)
    posters = [await Poster(server.port, f"/api/layers/sent{number}/features", token).open() for number in range(PUBLISHERS)]
    took: list[float] = []
    end = time.monotonic() + seconds

    async def publish(poster: Poster) -> None:
        number = 0
        while (began := time.monotonic()) < end:
            await poster.post(bodies[number % len(bodies)])
            took.append(time.monotonic() - began)
            number += 1

    await asyncio.gather(*map(publish, posters))
    for poster in posters:
        await poster.close()
    return _columns(took)


async def _clients(count: int, seconds: float, request: Callable[[], None]) -> dict[str, Any]:
    """So many clients that ask again as soon as they have an answer."""
    took: list[float] = []
    end = time.monotonic() + seconds

    def ask() -> None:
        while (began := time.monotonic()) < end:
            request()
            took.append(time.monotonic() - began)

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(count) as threads:
        await asyncio.gather(*(loop.run_in_executor(threads, ask) for _ in range(count)))
    return _columns(took)


def _columns(took: list[float]) -> dict[str, Any]:
    return {"answers": len(took), "last s": round(sorted(took)[len(took) // 2], 3)}


def _get(server: Server, path: str, may_be_empty: bool = False) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as answer:
        assert answer.read() or may_be_empty


def _tile(first: int, last: int) -> str:
    z = random.randint(first, last)
    return f"{z}/{random.randrange(1 << z)}/{random.randrange(1 << z)}"


def _collection(version: int) -> bytes:
    features = [_feature(number, version, {"type": "Point", "coordinates": _position()}) for number in range(SENT)]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _lines(version: int) -> bytes:
    features = [
        _feature(number, version, {"type": "LineString", "coordinates": [_position() for _ in range(VERTICES)]}) for number in range(LINES)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _feature(number: int, version: int, geometry: dict[str, Any]) -> dict[str, Any]:
    properties = {"name": f"vehicle {number}", "heading": number % 360, "version": version}
    return {"type": "Feature", "id": number, "geometry": geometry, "properties": properties}


def _position() -> list[float]:
    return [round(random.uniform(-170, 170), 6), round(random.uniform(-80, 80), 6)]


SITUATIONS = [
    Situation(f"REST: 4 clients, GETs of 10,000 of {LARGE:,} features with a CQL2 filter", reads, prepare_large),
    Situation("REST: 2 clients, POSTs of 50,000 points (9 MB)", writes),
    Situation("REST: 2 clients, POSTs of 20 lines of 20,000 vertices (9 MB)", long_lines),
    Situation(f"tiles: 16 clients, vector tiles of a layer of {LARGE:,}", layer_tiles, prepare_layer_tiles),
    Situation("tiles: 16 clients, tiles of an image that is cut when asked for", raster_tiles, prepare_raster),
]
