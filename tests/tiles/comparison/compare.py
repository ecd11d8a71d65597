"""The comparison of one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streaming.tiles.grid import Tile, tile_position
from streaming.tiles.sources.raster import RasterOptions, RasterSource

from .reference import Pixels, Reference

MAX_DIFFERENCE = 1.0
"""The mean difference of a band, of 255."""
MIN_EQUAL_ALPHA = 0.999


@dataclass(frozen=True, slots=True)
class Difference:
    """How one tile differs from GDAL's. `colours` is the mean of the band that differs most, where both are opaque."""

    tile: Tile
    filled: float
    colours: float
    largest: int
    equal_alpha: float

    @property
    def small(self) -> bool:
        """Whether it is as small as it has to be."""
        return self.colours < MAX_DIFFERENCE and self.equal_alpha >= MIN_EQUAL_ALPHA


def compare(path: Path, zooms_above: tuple[int, ...] = (0, 1)) -> list[Difference]:
    """The differences of the tile in the middle, at the zoom that loses no detail and at some above it."""
    reference = Reference(path)
    source = RasterSource([path], RasterOptions(rescale=reference.stretch()))
    try:
        west, south, east, north = source.metadata.bounds
        middle = ((west + east) / 2 if west <= east else (west + east + 360) / 2, (south + north) / 2)
        found = []
        for zoom in dict.fromkeys(max(source.metadata.max_zoom - above, 0) for above in zooms_above):
            x, y = (int(number) for number in tile_position(*middle, zoom))
            tile = Tile(zoom, x % (1 << zoom), y)
            found.append(_difference(tile, source.pixels(*tile), reference.tile(*tile)))
        return found
    finally:
        source.close()


def _difference(tile: Tile, ours: Pixels | None, gdal: Pixels) -> Difference:
    ours = np.zeros_like(gdal) if ours is None else ours
    inside = (ours[3] == 255) & (gdal[3] == 255) if (gdal[3] == 255).any() else (ours[3] > 0) & (gdal[3] > 0)
    colours = np.abs(ours[:3].astype(int) - gdal[:3])[:, inside]
    alpha = np.abs(ours[3].astype(int) - gdal[3]) <= 1  # of 255: the last digit
    return Difference(
        tile,
        float((gdal[3] > 0).mean()),
        float(colours.mean(axis=1).max()) if colours.size else 0.0,
        int(colours.max()) if colours.size else 0,
        float(alpha.mean()),
    )
