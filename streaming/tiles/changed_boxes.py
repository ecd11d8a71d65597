"""The tiles that show a change of features: all that touch the features' boxes, or have them in their margin.

The margin is a part of a tile, so it is another distance in each zoom. Boxes are projected once, and become ranges of
columns and rows for each zoom. No tile is compared with every box: thousands of changes are laid on a viewport within
milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from streaming.core.bbox import Box
from streaming.core.items import Item

from .grid import MAX_LATITUDE, Tile, TileRange
from .mvt import EXTENT, MARGIN

Positions = NDArray[np.float64]
"""One row for each position: across and down."""
_REACH = (MARGIN + 1) / EXTENT
"""In tiles. One unit more than the margin, because the boxes are projected here and the features elsewhere: last digits
may differ."""


def boxes_of_change(old: Item | None, new: Item | None) -> list[Box]:
    """The boxes in degrees in which the change of an item can be seen: where it was and where it is.

    None if it stayed the same.
    """
    if old is not None and new is not None and old.value == new.value:
        return []
    return list(dict.fromkeys(item.box for item in (old, new) if item is not None and item.box is not None))


def to_unit_square(positions: Positions) -> Positions:
    """Longitudes and latitudes in Web Mercator, on the square from (0, 0) in the north-west to (1, 1).

    Latitudes beyond its edge are moved to the edge.
    """
    latitude = np.radians(np.clip(positions[:, 1], -MAX_LATITUDE, MAX_LATITUDE))
    return np.column_stack((positions[:, 0] / 360 + 0.5, 0.5 - np.arcsinh(np.tan(latitude)) / (2 * np.pi)))


class ChangedBoxes:
    """The tiles of all zooms that show a change within these boxes. A box may cross the antimeridian."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        degrees = np.array([part for box in boxes for part in _split(box)], np.float64).reshape(-1, 4)
        self._squares = np.hstack((to_unit_square(degrees[:, [0, 3]]), to_unit_square(degrees[:, [2, 1]])))
        self._ranges: dict[int, NDArray[np.int64]] = {}

    def __contains__(self, tile: object, /) -> bool:
        assert isinstance(tile, Tile)
        west, north, east, south = self._of_zoom(tile.z).T
        return bool(((west <= tile.x) & (tile.x <= east) & (north <= tile.y) & (tile.y <= south)).any())

    def __bool__(self) -> bool:
        return len(self._squares) > 0

    def intersection(self, tiles: Collection[Tile]) -> set[Tile]:
        """Those of the tiles that show a change."""
        by_zoom: dict[int, set[Tile]] = {}
        for tile in tiles:
            by_zoom.setdefault(tile.z, set()).add(tile)
        return {tile for z, of_zoom in by_zoom.items() for tile in self._intersection(z, of_zoom)}

    def within(self, view: TileRange) -> Iterator[TileRange]:
        """The parts of a rectangle of tiles that show a change, each once."""
        first, last = (ranges := self._of_zoom(view.z))[:, :2], ranges[:, 2:]
        clipped = np.hstack((np.maximum(first, view[1:3]), np.minimum(last, view[3:5])))
        shown = clipped[(clipped[:, :2] <= clipped[:, 2:]).all(axis=1)]
        return (TileRange(view.z, *edges) for edges in dict.fromkeys(map(tuple, shown.tolist())))

    def _intersection(self, z: int, tiles: set[Tile]) -> set[Tile]:
        found: set[Tile] = set()
        for part in self._near(z, tiles):
            if len(part) < len(tiles):
                found.update(tile for tile in part.tiles() if tile in tiles)
            else:
                found.update(tile for tile in tiles if part.contains(tile.x, tile.y))
        return found

    def _near(self, z: int, tiles: set[Tile]) -> Iterator[TileRange]:
        """The ranges, each once, that touch the rectangle around the tiles."""
        columns, rows = zip(*((tile.x, tile.y) for tile in tiles), strict=True)
        west, north, east, south = (ranges := self._of_zoom(z)).T
        near = ranges[(west <= max(columns)) & (east >= min(columns)) & (north <= max(rows)) & (south >= min(rows))]
        return (TileRange(z, *edges) for edges in dict.fromkeys(map(tuple, near.tolist())))

    def _of_zoom(self, z: int) -> NDArray[np.int64]:
        """For each box the first column and row, and the last ones, that show it."""
        ranges = self._ranges.get(z)
        if ranges is None:
            size = 1 << z
            first = np.ceil(self._squares[:, :2] * size - 1 - _REACH)
            last = np.floor(self._squares[:, 2:] * size + _REACH)
            ranges = self._ranges[z] = np.clip(np.hstack((first, last)), 0, size - 1).astype(np.int64)
        return ranges


def _split(box: Box) -> list[Box]:
    """The box, or its two parts on both sides of the antimeridian."""
    west, south, east, north = box
    return [box] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]
