"""Thinning of low zooms: of features that would be drawn over each other, or too small to be seen, only some are in a tile.

As tippecanoe does it: of the points in one pixel one is kept, and cells grow until the tile has room for the rest; what
is smaller than a pixel is left out. Which points are kept depends on nothing but the points of the tile, so tiles stay
the same as long as these do.
"""

from __future__ import annotations

import numpy as np

from .attributes import Rows
from .mvt import EXTENT, MARGIN, Units

PIXEL = 8
"""Units of a pixel, of tiles that are drawn 512 pixels wide."""


def first_of_cells(units: Units, cell: int = PIXEL) -> Rows:
    """The rows of the first point in each square cell of so many units."""
    side = (EXTENT + 2 * MARGIN) // cell + 1
    columns, rows = np.clip((units + MARGIN) // cell, 0, side - 1).T
    cells = columns * side + rows
    first = np.full(side * side, len(units))
    first[cells[::-1]] = np.arange(len(units))[::-1]  # of several the last one is assigned, which is the first here
    return np.sort(first[first < len(units)])


def thinned(units: Units, most: int) -> Rows:
    """The rows of the points that are kept: one of a pixel, and of larger cells where those are too many."""
    of_pixels = first_of_cells(units)
    kept, cell = of_pixels, float(PIXEL)
    while len(kept) > most and cell < EXTENT:
        cell *= 2**0.5  # about half as many
        kept = of_pixels[first_of_cells(units[of_pixels], round(cell))]
    return kept
