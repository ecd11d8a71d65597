"""Bytes to bring one tile up to date, and microseconds to make and to apply them: the whole tile anew, or a delta against the old one.

Raster tiles are of 256x256 pixels, rendered as the server renders them; means over several tiles. Three cases:
"hurricane over relief": imagery of a hurricane is painted over the shaded relief, where it was taken;
"hurricane renewed": the tile shows the hurricane already, and part of it is taken anew, in which it has moved by some pixels;
"relief over relief": another part of the relief is painted over.
"region": a square; where the imagery covers only part of the tile, rows from its north. "scattered": as many single pixels anywhere.
The relief has its full detail at zoom 2, the hurricane at zoom 6; beyond, they are enlarged. The hurricane covers at most 14 % of a tile
of zoom 3. The full tile is the PNG; zstd takes the raw pixels, prefix+zstd the PNGs' bytes.

Vector tiles are z5/16/11 with aircraft at recorded positions; those that changed have the position, speed, … that was recorded next:
neighbours in the tile ("region") or any ("scattered"). Of the 10,000, what comes next is nowhere in the tile yet. The full tile is
uncompressed.

"sent" is what goes out to a client that offers xor+zstd, patch+webp and prefix+zstd, "by" its encoding (for most tiles); "saved" compares
it with the full tile. µs are to make and to apply: the fastest of several runs of each tile, then the mean.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from streaming.tiles import deltas, images, prefix_deltas, tile_updates
from streaming.tiles.grid import Tile, tile_position, viewport_tiles
from streaming.tiles.mvt import EXTENT, TileFeature, encode_layer
from streaming.tiles.mvt_values import encode_properties
from streaming.tiles.sources.base import MIME
from streaming.tiles.sources.encoding import encode_image
from streaming.tiles.sources.raster import RasterSource
from streaming.tiles.tile_cache import rendered_tile

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
DEMO = Path(__file__).parents[1] / "streaming" / "demo"
RELIEF = DEMO / "relief.tif"
HURRICANE = DEMO / "hurricane-miriam-2012.tif"
FLIGHTS = DEMO / "flights-switzerland.geojsonl.gz"
OFFERED = frozenset({"xor+zstd", "patch+webp", "prefix+zstd"})
SHARES = (0.01, 0.1, 0.5)
WAYS = ("region", "scattered")
RELIEF_ZOOMS = (2, 5)
ARRIVING_ZOOMS = (3, 5, 6)
RENEWED_ZOOMS = (5, 6)
TILES = 16
SIDE = 256
VECTOR_TILE = Tile(5, 16, 11)
"""Switzerland and around."""
FEATURES = 10_000


class Pair(NamedTuple):
    """A tile as it is, as it could become, and where there is anything new."""

    old: Pixels
    newer: Pixels
    where: Mask


class Row:
    """Timed encodings of versions of tiles, averaged."""

    def __init__(self, repeat: int) -> None:
        self._repeat = repeat
        self._values: dict[str, list[float]] = {}
        self._encodings: Counter[str] = Counter()

    def size(self, name: str, data: bytes) -> None:
        """One more observation of bytes."""
        self._values.setdefault(name, []).append(len(data))

    def timed(self, name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `work`, whose fastest run counts: the machine is shared."""
        seconds = []
        for _ in range(self._repeat):
            started = time.perf_counter()
            result = work(*arguments)
            seconds.append(time.perf_counter() - started)
        self._values.setdefault(name, []).append(min(seconds) * 1e6)
        return result

    def delta(self, encoding: str, base: Any, new: Any) -> None:
        """Make and apply one."""
        delta = self.timed(f"{encoding} make", deltas.encode, encoding, base, new)
        applied = self.timed(f"{encoding} apply", deltas.apply, encoding, base, delta)
        assert np.array_equal(applied, new) if isinstance(new, np.ndarray) else applied == new
        self.size(encoding, delta)

    def sent(self, mime: str, old: bytes, new: bytes) -> None:
        """What a server would send."""
        body = tile_updates.smallest_update(rendered_tile(old, mime), rendered_tile(new, mime), OFFERED)
        self.size("sent", body.data)
        self._encodings[body.encoding or "full"] += 1

    def cells(self, tile: str, way: str, share: float) -> dict[str, Any]:
        """The row of the table."""
        full, sent = self._mean("full"), self._mean("sent")
        assert full and sent
        sizes = ("full", "WebP lossless", "WebP lossy (85)", "zstd", "xor+zstd", "patch+webp", "prefix+zstd", "sent")
        return {
            "tile": tile,
            "changed": f"{share:.0%} {way}",
            **{name: self._mean(name) for name in sizes},
            "by": self._encodings.most_common(1)[0][0],
            "saved": f"{1 - sent / full:.1%}",
            "full µs": self._mean("full make"),
            **{f"{name} µs": self._times(name) for name in ("xor+zstd", "patch+webp", "prefix+zstd")},
        }

    def _times(self, encoding: str) -> str | None:
        make, apply = (self._mean(f"{encoding} {step}") for step in ("make", "apply"))
        return None if make is None else f"{make:,} + {apply:,}"

    def _mean(self, name: str) -> int | None:
        """None if there was no observation."""
        values = self._values.get(name)
        return round(sum(values) / len(values)) if values else None


def raster_row(name: str, pairs: list[Pair], way: str, share: float, repeat: int) -> dict[str, Any] | None:
    """One row, None if no tile can change that much."""
    row, measured = Row(repeat), False
    for number, (old, newer, where) in enumerate(pairs):
        wanted = round(share * where.size)
        if where.sum() < wanted:
            continue
        mask = _scattered(where, wanted, number) if way == "scattered" else _region(where, wanted, number)
        new, measured = np.where(mask[..., None], newer, old), True
        before, after = _png(old), row.timed("full make", _png, new)
        row.size("full", after)
        row.size("WebP lossless", images.lossless_webp(new))
        row.size("WebP lossy (85)", _lossy(new))
        row.size("zstd", zstandard.compress(new.tobytes(), prefix_deltas.LEVEL))
        row.delta("xor+zstd", old, new)
        row.delta("patch+webp", old, new)
        row.delta("prefix+zstd", before, after)
        row.sent(MIME["png"], before, after)
    return row.cells(name, way, share) if measured else None


def vector_row(name: str, write: Callable[[list[Any]], bytes], pairs: list[Any], way: str, share: float, repeat: int) -> dict[str, Any]:
    """One row: records, of which some are the ones that came next."""
    row, random = Row(repeat), np.random.default_rng(1)
    for _ in range(4):
        moved = round(len(pairs) * share) or 1
        start = int(random.integers(len(pairs) - moved))
        chosen = set(range(start, start + moved) if way == "region" else random.choice(len(pairs), moved, replace=False).tolist())
        old = write([before for before, _ in pairs])
        new = row.timed("full make", write, [pair[index in chosen] for index, pair in enumerate(pairs)])
        row.size("full", new)
        row.size("zstd", zstandard.compress(new, prefix_deltas.LEVEL))
        row.delta("prefix+zstd", old, new)
        row.sent(MIME["mvt"], old, new)
    return row.cells(name, way, share)


def _scattered(where: Mask, wanted: int, seed: int) -> Mask:
    mask = np.zeros(where.size, bool)
    mask[np.random.default_rng(seed).choice(np.flatnonzero(where), wanted, replace=False)] = True
    return mask.reshape(where.shape)


def _region(where: Mask, wanted: int, seed: int) -> Mask:
    """A square anywhere if all of the tile can change; else rows from the north."""
    if not where.all():
        return where & (np.cumsum(where).reshape(where.shape) <= wanted)
    side = round(wanted**0.5)
    top, left = np.random.default_rng(seed).integers(SIDE + 1 - side, size=2)
    mask = np.zeros(where.shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def _png(pixels: Pixels) -> bytes:
    return encode_image(np.moveaxis(pixels, 2, 0), "png")


def _lossy(pixels: Pixels) -> bytes:
    return encode_image(np.moveaxis(pixels, 2, 0), "webp")


def _relief(zoom: int, count: int) -> list[Pair]:
    """Tiles spread over the world's middle latitudes, each of which can become another one."""
    span, source = 2**zoom, RasterSource([RELIEF])
    places = [(x * span // 4 + span // 8, y * span // 8 + span // 4) for y in range(4) for x in range(4)][:count]
    tiles = [_pixels(source, Tile(zoom, *at)) for at in places]
    return [Pair(tile, tiles[number - 1], np.ones((SIDE, SIDE), bool)) for number, tile in enumerate(tiles)]


def _arriving(zoom: int, count: int) -> list[Pair]:
    """Tiles of the relief, which can show the hurricane where it was."""
    relief, imagery, both = RasterSource([RELIEF]), RasterSource([HURRICANE]), RasterSource([RELIEF, HURRICANE])
    tiles = viewport_tiles(imagery.metadata.bounds, range(zoom, zoom + 1), 1000)[:count]
    pairs = [(_pixels(relief, tile), _pixels(both, tile), _pixels(imagery, tile)[..., 3] == 255) for tile in tiles]
    return [Pair(*pair) for pair in pairs]


def _renewed(zoom: int, count: int) -> list[Pair]:
    """Tiles that show the hurricane, and can show it a little further to the north-west."""
    return [Pair(newer, np.roll(newer, (-7, -11), (0, 1)), where) for _, newer, where in _arriving(zoom, count)]


def _pixels(source: RasterSource, tile: Tile) -> Pixels:
    found = source.pixels(*tile)
    return np.zeros((SIDE, SIDE, 4), np.uint8) if found is None else np.ascontiguousarray(np.moveaxis(found, 0, 2))


def aircraft() -> list[Any]:
    """Of each aircraft a record of its track and the next one."""
    return [tuple(track[len(track) // 2 :][:2]) for track in _tracks().values() if len(track) > 2]


def _positions() -> list[Any]:
    """Every second record as if it were an aircraft of its own, and the one between, which is nowhere in the tile yet.

    Neighbours are of the same track.
    """
    pairs = (pair for track in _tracks().values() for pair in islice(pairwise(track), 0, None, 2))
    return list(islice(pairs, FEATURES))


def _tracks() -> dict[str, list[Any]]:
    tracks: dict[str, list[Any]] = {}
    with gzip.open(FLIGHTS, "rt", encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            tracks.setdefault(record["id"], []).append(record)
    return tracks


def _geojson(records: list[Any]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": records}, separators=(",", ":")).encode()


def _mvt(records: list[Any]) -> bytes:
    return encode_layer(
        "flights", [TileFeature(_within(record), encode_properties(record["properties"]), index) for index, record in enumerate(records)]
    )


def _within(record: Any) -> tuple[int, int]:
    """The position in units of the tile."""
    longitude, latitude = record["geometry"]["coordinates"][:2]
    x, y = tile_position(longitude, latitude, VECTOR_TILE.z)
    return int((x - VECTOR_TILE.x) * EXTENT), int((y - VECTOR_TILE.y) * EXTENT)


def _cases(count: int) -> Iterator[tuple[Callable[[str, float, int], dict[str, Any] | None], tuple[str, ...]]]:
    """What measures a row, and in which ways the tiles change; scattered pixels only at each image's own detail."""
    if HURRICANE.exists():
        for zoom in ARRIVING_ZOOMS:
            yield partial(raster_row, f"hurricane over relief, zoom {zoom}", _arriving(zoom, count)), WAYS[: 1 + (zoom == 6)]
        for zoom in RENEWED_ZOOMS:
            yield partial(raster_row, f"hurricane renewed, zoom {zoom}", _renewed(zoom, count)), WAYS[: 1 + (zoom == 6)]
    for zoom in RELIEF_ZOOMS:
        yield partial(raster_row, f"relief over relief, zoom {zoom}", _relief(zoom, count)), WAYS[: 1 + (zoom == 2)]
    yield partial(vector_row, "200 aircraft, GeoJSON", _geojson, aircraft()), WAYS
    yield partial(vector_row, "200 aircraft, MVT", _mvt, aircraft()), WAYS
    yield partial(vector_row, f"{FEATURES:,} aircraft, MVT", _mvt, _positions()), WAYS


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows; `share` takes fewer tiles and repetitions."""
    repeat, count = max(2, round(10 * share)), max(3, round(TILES * share))
    for measure, ways in _cases(count):
        for way in ways:
            yield from filter(None, (measure(way, changed, repeat) for changed in SHARES))
