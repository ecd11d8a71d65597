"""Tiles rendered in a second of a core's time by one thread, and milliseconds of it until a layer's source has taken up changes.

The relief: every tile of a zoom (spread evenly over the world, where there are more), read, enlarged and encoded, 256 x 256 pixels.
Layers: features with five properties, positions as dense as traffic around towns, in all tiles of a zoom that show one (again: spread).
Down to zoom 5 one tile holds all of the layer; low zooms are thinned. *whole*: that tile with all features, as from
`GEOSTREAM_TILE_WHOLE_ZOOM` on, and as `mapbox-vector-tile` encodes it from what is projected, cut and rounded already. "first ms" is the
first tile of all, at zoom 0, for which properties are read. "open ms" is making the source from items in memory, "update ms" what
`LayerSource.updated` takes for 10 features that moved, again and again; the longest is the one in which it merges all it has gathered.
All of it is processor time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import django
import mapbox_vector_tile  # type: ignore[import-untyped]
import numpy as np
from django.test import override_settings
from shapely import Point

from streaming.core.items import Item
from streaming.tiles.grid import WORLD, Tile, tile_position, tile_ranges
from streaming.tiles.sources.base import TileSource
from streaming.tiles.sources.layer import LayerSource
from streaming.tiles.sources.raster import RasterOptions, RasterSource

RELIEF = Path(__file__).parents[1] / "streaming" / "demo" / "relief.tif"
MOST_TILES = 64
SECONDS = 2.0
"""Of each row, at least."""
FEATURES = (10_000, 100_000, 1_000_000)
MOST_UPDATED = 100_000
CHANGED = 10
"""Features of one update; there are updates until three tenths of the layer have changed, so that all of it is merged at least once."""
LAYER_ZOOMS = (0, 5, 8, 10, 12)
WHOLE = Tile(5, 16, 11)
TOWNS = 50
SWITZERLAND = (5.9, 45.8, 10.5, 47.8)


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows; `share` takes less time for each."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "geostream.settings")
    django.setup()
    for format in ("png", "webp"):
        source = RasterSource([RELIEF], RasterOptions(format))
        for z in range(6):
            yield _row(f"relief, {format}", z, _rates(source, _spread(WORLD, z), SECONDS * share))
        source.close()
    for count in FEATURES[: None if share == 1 else 1]:
        yield from _layer(count, share)


def _layer(count: int, share: float) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(1)
    towns = random.uniform(SWITZERLAND[:2], SWITZERLAND[2:], (TOWNS, 2))
    items = [_item(number, towns, random) for number in range(count)]
    started = time.thread_time()
    source = LayerSource("traffic", items)
    opened = time.thread_time()
    source.render(0, 0, 0)
    first = time.thread_time()
    update = ""
    if count <= MOST_UPDATED:
        update = _updated(source, count, lambda number: _item(number, towns, random), round(count * 0.3 / CHANGED))
    for z in LAYER_ZOOMS:
        rates = _rates(source, _spread(SWITZERLAND, z), SECONDS * share)
        once = (round((opened - started) * 1000), update, round((first - opened) * 1000)) if z == LAYER_ZOOMS[0] else ()
        yield _row(f"layer of {count:,}, mvt", z, rates, *once)
    if count == FEATURES[0]:
        yield from _whole(source, items, share)


def _whole(source: LayerSource, items: list[Item], share: float) -> Iterator[dict[str, Any]]:
    """The tile that has all features, by two encoders."""
    with override_settings(GEOSTREAM_TILE_WHOLE_ZOOM=0):
        yield _row(f"whole, {len(items):,}, mvt", WHOLE.z, _rates(source, [WHOLE], SECONDS * share))
    features = []
    for item in items:
        assert item.box is not None
        x, y = tile_position(item.box[0], item.box[1], WHOLE.z)
        point = Point(round((x - WHOLE.x) * 4096), round((y - WHOLE.y) * 4096))
        features.append({"geometry": point, "properties": item.properties, "id": item.feature["id"]})
    started = time.thread_time()
    data = mapbox_vector_tile.encode({"name": "traffic", "features": features}, default_options={"y_coord_down": True})
    took = time.thread_time() - started
    rates = {"tiles/s": round(1 / took, 1), "ms/tile": round(took * 1000, 1), "kB/tile": round(len(data) / 1000, 1)}
    yield _row("whole, mapbox-vector-tile", WHOLE.z, rates)


def _updated(source: LayerSource, count: int, moved: Callable[[int], Item], times: int) -> str:
    random = np.random.default_rng(2)
    found = []
    for _ in range(times):
        changes = {str(number): moved(number) for number in random.choice(count, CHANGED, replace=False).tolist()}
        started = time.thread_time()
        source, _ = source.updated(changes)
        found.append((time.thread_time() - started) * 1000)
    return f"{median(found):.2f} / {sum(found) / len(found):.2f} / {max(found):.1f}"


def _rates(source: TileSource, tiles: list[Tile], seconds: float) -> dict[str, Any]:
    """The mean over rounds of all tiles that are not empty; the first round, in which files are read and labels made, does not count."""
    shown = [tile for tile in tiles if source.render(*tile) is not None]
    rendered, size, started = 0, 0, time.thread_time()
    while (elapsed := time.thread_time() - started) < seconds:
        for tile in shown:
            size += len(source.render(*tile) or b"")
        rendered += len(shown)
    return {
        "tiles/s": round(rendered / elapsed),
        "ms/tile": round(elapsed / rendered * 1000, 2),
        "kB/tile": round(size / rendered / 1000, 1),
    }


def _row(
    source: str, zoom: int, rates: dict[str, Any], opened: int | None = None, update: str = "", first: int | None = None
) -> dict[str, Any]:
    return {
        "source": source,
        "zoom": zoom,
        **rates,
        "open ms": opened,
        "first ms": first,
        "update ms: p50 / mean / longest": update,
    }


def _spread(box: tuple[float, float, float, float], z: int) -> list[Tile]:
    tiles = [tile for part in tile_ranges(box, z) for tile in part.tiles()]
    return tiles[:: -(-len(tiles) // MOST_TILES)]


def _item(number: int, towns: Any, random: Any) -> Item:
    lon, lat = towns[number % TOWNS] + random.normal(0, 0.1, 2)
    properties = {
        "line": f"{number % 40}",
        "speed_kmh": round(float(random.uniform(0, 120)), 1),
        "heading": int(random.integers(360)),
        "occupied": bool(random.integers(2)),
        "operator": f"operator {number % 12}",
    }
    geometry = {"type": "Point", "coordinates": [round(float(lon), 6), round(float(lat), 6)]}
    feature = {"type": "Feature", "id": number, "geometry": geometry, "properties": properties}
    return Item(str(number), json.dumps(feature, separators=(",", ":")).encode(), 0)
