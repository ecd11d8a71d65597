"""Bytes to bring one tile up to date, and microseconds to make and to apply them: the whole tile anew, or a delta against the old one.

Raster: means over RGBA tiles of 256x256 pixels. "region": one square of the tile shows another tile's imagery, as when newly acquired
imagery is painted; "scattered": as many single pixels anywhere do. `full` is the PNG; zstd, prefix+zstd and upstream take the raw pixels.
Vector: one tile with a position of each of some 200 aircraft (not all in the air at once), of which so many are a position further on:
neighbours in the tile ("region") or any ("scattered"). `full` is the tile itself, uncompressed.
"saved" compares `full` with xor+zstd (raster) or prefix+zstd (vector). µs are the fastest of several runs of each tile, then the mean.
"""

from __future__ import annotations

import gzip
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from streaming.tiles import deltas

Tile = NDArray[np.uint8]
DEMO = Path(__file__).parents[1] / "streaming" / "demo"
RELIEF = DEMO / "relief.tif"
FLIGHTS = DEMO / "flights-switzerland.geojsonl.gz"
SHARES = (0.01, 0.1, 0.5)
WAYS = ("region", "scattered")
ZOOMS = (2, 5)
"""Of the relief: close to its own resolution, and enlarged eight times."""
TILES = 16


class Versions:
    """Timed encodings of pairs of versions, averaged."""

    def __init__(self, repeat: int) -> None:
        self._repeat = repeat
        self._sums: dict[str, list[float]] = {}

    def size(self, name: str, data: bytes) -> None:
        """One more observation of bytes."""
        self._sums.setdefault(name, []).append(len(data))

    def timed(self, name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `work`, whose fastest run counts: the machine is shared."""
        seconds = []
        for _ in range(self._repeat):
            started = time.perf_counter()
            result = work(*arguments)
            seconds.append(time.perf_counter() - started)
        self._sums.setdefault(name, []).append(min(seconds) * 1e6)
        return result

    def mean(self, name: str) -> int | None:
        """None if there was no observation."""
        values = self._sums.get(name)
        return round(sum(values) / len(values)) if values else None

    def delta(self, encoding: str, base: Any, new: Any) -> None:
        """Make and apply one."""
        delta = self.timed(f"{encoding} make", deltas.encode, encoding, base, new)
        applied = self.timed(f"{encoding} apply", deltas.apply, encoding, base, delta)
        assert np.array_equal(applied, new) if isinstance(new, np.ndarray) else applied == new
        self.size(encoding, delta)

    def row(self, tile: str, way: str, share: float, best: str) -> dict[str, Any]:
        """The row of the table."""
        full, delta = self.mean("full"), self.mean(best)
        assert full and delta
        return {
            "tile": tile,
            "changed": f"{share:.0%} {way}",
            "full": full,
            "WebP lossless": self.mean("lossless"),
            "WebP lossy (85)": self.mean("lossy"),
            "zstd": self.mean("zstd"),
            "xor+zstd": self.mean("xor+zstd"),
            "prefix+zstd": self.mean("prefix+zstd"),
            "upstream": self.mean("upstream"),
            "saved": f"{1 - delta / full:.1%}",
            "full µs": self.mean("full make"),
            "xor µs": self.mean("xor+zstd make"),
            "prefix µs": self.mean("prefix+zstd make"),
            "apply xor µs": self.mean("xor+zstd apply"),
            "apply prefix µs": self.mean("prefix+zstd apply"),
        }


def measure_raster(name: str, tiles: list[Tile], way: str, share: float, repeat: int) -> dict[str, Any]:
    """One row: each tile, changed so that it shows the next one in part."""
    versions = Versions(repeat)
    for number, base in enumerate(tiles):
        new = np.where(_mask(way, share, number)[..., None], tiles[number - 1], base)
        raw = new.tobytes()
        versions.size("full", versions.timed("full make", _image, new, "PNG"))
        versions.size("lossless", _image(new, "WEBP", LOSSLESS=True))
        versions.size("lossy", _image(new, "WEBP", QUALITY=85))
        versions.size("zstd", zstandard.compress(raw, deltas.LEVEL))
        versions.size("upstream", deltas.encode("upstream", base.tobytes(), raw))
        versions.delta("xor+zstd", base, new)
        versions.delta("prefix+zstd", base.tobytes(), raw)
    return versions.row(name, way, share, "xor+zstd")


def measure_vector(name: str, encode: Callable[[list[Any]], bytes], way: str, share: float, repeat: int) -> dict[str, Any]:
    """One row: aircraft at four points of their tracks, some of them a position further on."""
    versions = Versions(repeat)
    random = np.random.default_rng(1)
    for part in (0.2, 0.4, 0.6, 0.8):
        before, after = _aircraft(part)
        moved = round(len(before) * share) or 1
        start = int(random.integers(len(before) - moved))
        chosen = range(start, start + moved) if way == "region" else random.choice(len(before), moved, replace=False)
        records = list(before)
        for index in chosen:
            records[index] = after[index]
        base, new = encode(before), encode(records)
        versions.size("full", new)
        versions.size("zstd", zstandard.compress(new, deltas.LEVEL))
        versions.size("upstream", deltas.encode("upstream", base, new))
        versions.delta("prefix+zstd", base, new)
    return versions.row(name, way, share, "prefix+zstd")


def _mask(way: str, share: float, seed: int) -> NDArray[np.bool_]:
    random = np.random.default_rng(seed)
    if way == "scattered":
        return random.random((256, 256)) < share
    mask = np.zeros((256, 256), bool)
    side = round(256 * share**0.5)
    top, left = random.integers(257 - side, size=2)
    mask[top : top + side, left : left + side] = True
    return mask


def _image(pixels: Tile, form: str, **options: Any) -> bytes:
    """As the server writes an opaque tile: without alpha."""
    from rio_tiler.utils import render

    return bytes(render(np.moveaxis(pixels[..., :3], 2, 0), img_format=form, **options))


def _relief(zoom: int, count: int) -> list[Tile]:
    """Tiles spread over the world's middle latitudes."""
    from rio_tiler.io import Reader

    span = 2**zoom
    places = [(x * span // 4 + span // 8, y * span // 8 + span // 4) for y in range(4) for x in range(4)][:count]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a world in degrees reaches beyond Mercator's edge
        with Reader(str(RELIEF)) as reader:
            images = [reader.tile(x, y, zoom, tilesize=256) for x, y in places]
    return [_rgba(np.moveaxis(image.data[:3], 0, 2)) for image in images]


def _terrain(count: int) -> list[Tile]:
    """Fractal hills, lit from the north-west and coloured by height: what there is if the relief is not."""
    random = np.random.default_rng(1)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.rfftfreq(256), indexing="ij"))
    frequency[0, 0] = 1
    tiles = []
    for _ in range(count):
        noise = np.fft.rfft2(random.standard_normal((256, 256)))
        heights = np.fft.irfft2(noise / frequency**1.8, s=(256, 256))
        south, east = np.gradient(heights / heights.std())
        light = np.clip(0.7 + 3 * (south + east), 0.2, 1)
        levels = np.interp(heights / heights.std(), (-2, 0, 1, 2), (0, 1, 2, 3))
        colours = [np.interp(levels, range(4), stops) for stops in ((90, 150, 190, 250), (140, 180, 160, 250), (190, 110, 120, 250))]
        tiles.append(_rgba((np.stack(colours, 2) * light[..., None]).astype(np.uint8)))
    return tiles


def _rgba(rgb: NDArray[Any]) -> Tile:
    pixels = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    pixels[..., :3] = rgb
    return pixels


def _aircraft(part: float) -> tuple[list[Any], list[Any]]:
    """Of each aircraft the record at this part of its track, and the next one."""
    tracks: dict[str, list[Any]] = {}
    with gzip.open(FLIGHTS, "rt", encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            tracks.setdefault(record["id"], []).append(record)
    pairs = [track[int((len(track) - 1) * part) :][:2] for track in tracks.values() if len(track) > 1]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _geojson(records: list[Any]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": records}, separators=(",", ":")).encode()


def _mvt(records: list[Any]) -> bytes:
    import mapbox_vector_tile  # type: ignore[import-untyped]

    features = [
        {
            "geometry": f"POINT({' '.join(map(str, record['geometry']['coordinates'][:2]))})",
            "properties": {"id": record["id"], **record["properties"]},
        }
        for record in records
    ]
    options = {"quantize_bounds": (5.6, 45.6, 10.7, 47.9), "extents": 4096}
    return bytes(mapbox_vector_tile.encode({"name": "flights", "features": features}, default_options=options))


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows; `share` takes fewer tiles and repetitions."""
    repeat, count = max(2, round(10 * share)), max(3, round(TILES * share))
    if RELIEF.exists():
        rasters = {f"relief, zoom {zoom}": _relief(zoom, count) for zoom in ZOOMS}
    else:
        rasters = {"synthetic terrain (no relief.tif)": _terrain(count)}
    for way in WAYS:
        for name, tiles in rasters.items():
            for changed in SHARES:
                yield measure_raster(name, tiles, way, changed, repeat)
        for name, encode in (("flights, GeoJSON", _geojson), ("flights, MVT", _mvt)):
            for changed in SHARES:
                yield measure_vector(name, encode, way, changed, repeat)
