"""Which tiles show a change of features: those whose square, with the margin they show beyond it, touches the features' boxes.

The margin is a part of a tile, so it is another distance in each zoom. Boxes are projected once, and for each zoom become ranges of
columns and rows; no tile is compared with every box, so that thousands of changes are laid on a viewport within milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from streaming.core.bbox import Box
from streaming.core.items import Item

from .grid import MAX_LATITUDE, Tile, TileRange
from .mvt import EXTENT, MARGIN

_REACH = (MARGIN + 1) / EXTENT
"""In tiles. One unit more than is shown: the boxes are projected here by themselves, and must not miss by the last digit."""


def boxes_of_change(old: Item | None, new: Item | None) -> list[Box]:
    """The boxes in degrees in which a step from one item to the next can be seen: where it was and where it is; none if all stayed."""
    if old is not None and new is not None and old.value == new.value:
        return []
    return list(dict.fromkeys(item.box for item in (old, new) if item is not None and item.box is not None))


class ChangedBoxes:
    """The tiles of all zooms in which a change of features with these boxes can be seen. A box may cross the antimeridian."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self._squares = _squares([part for box in boxes for part in _parts(box)])
        self._ranges: dict[int, NDArray[np.int64]] = {}

    def __contains__(self, tile: object, /) -> bool:
        assert isinstance(tile, Tile)
        west, north, east, south = self._of_zoom(tile.z).T
        return bool(((west <= tile.x) & (tile.x <= east) & (north <= tile.y) & (tile.y <= south)).any())

    def __bool__(self) -> bool:
        return len(self._squares) > 0

    def intersection(self, tiles: Collection[Tile]) -> set[Tile]:
        """Those of the tiles that are touched."""
        by_zoom: dict[int, set[Tile]] = {}
        for tile in tiles:
            by_zoom.setdefault(tile.z, set()).add(tile)
        return {tile for z, of_zoom in by_zoom.items() for tile in self._among(z, of_zoom)}

    def _among(self, z: int, tiles: set[Tile]) -> set[Tile]:
        found: set[Tile] = set()
        for touched in self._near(z, tiles):
            if len(touched) < len(tiles):
                found.update(tile for tile in touched.tiles() if tile in tiles)
            else:
                found.update(tile for tile in tiles if touched.west <= tile.x <= touched.east and touched.north <= tile.y <= touched.south)
        return found

    def _near(self, z: int, tiles: set[Tile]) -> Iterator[TileRange]:
        """The ranges, each once, that touch the rectangle around the tiles."""
        columns, rows = zip(*((tile.x, tile.y) for tile in tiles), strict=True)
        west, north, east, south = (ranges := self._of_zoom(z)).T
        near = ranges[(west <= max(columns)) & (east >= min(columns)) & (north <= max(rows)) & (south >= min(rows))]
        return (TileRange(z, *edges) for edges in dict.fromkeys(map(tuple, near.tolist())))

    def _of_zoom(self, z: int) -> NDArray[np.int64]:
        """For each box the first column and row and the last ones that show it."""
        ranges = self._ranges.get(z)
        if ranges is None:
            size = 1 << z
            first = np.ceil(self._squares[:, :2] * size - 1 - _REACH)
            last = np.floor(self._squares[:, 2:] * size + _REACH)
            ranges = self._ranges[z] = np.clip(np.hstack((first, last)), 0, size - 1).astype(np.int64)
        return ranges


def _parts(box: Box) -> list[Box]:
    west, south, east, north = box
    return [box] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def _squares(boxes: list[Box]) -> NDArray[np.float64]:
    """From degrees to the square from (0, 0) in the north-west to (1, 1); what is beyond its edge is moved to it."""
    west, south, east, north = np.array(boxes, np.float64).reshape(-1, 4).T
    down = [0.5 - np.arcsinh(np.tan(np.radians(np.clip(edge, -MAX_LATITUDE, MAX_LATITUDE)))) / (2 * np.pi) for edge in (north, south)]
    return np.column_stack((west / 360 + 0.5, down[0], east / 360 + 0.5, down[1]))
