"""Grids: how the world is divided into cells, H3 or the squares of map tiles.

A cell is a number within one grid (an H3 index, or the place of a square in its zoom); clients see its id. Which cell a place is in is
decided by the `h3` package alone, so that every other library of H3 agrees.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import pairwise, repeat
from math import asinh, atan, degrees, floor, pi, radians, sinh, tan
from typing import Any, ClassVar

import h3.api.basic_int as h3

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.core.wrapping import wrapped

Position = list[float]

DECIMALS = 7
"""Of the coordinates of a cell: a centimetre."""
MAX_ZOOM = 30
MERCATOR_LATITUDE = 85.05112877980659
"""Where the squares of map tiles end. What is beyond counts in the first or last row."""
FINER = 3
"""A square is an eighth of the tile of its zoom wide: 32 pixels."""
H3_PER_ZOOM = 0.7125
"""An H3 cell is the square root of 7 times as wide as one of the next resolution, a zoom doubles: log 2 / log 7 ** 0.5."""


class Grid(ABC):
    """The cells of one resolution."""

    by: ClassVar[str]
    max_resolution: ClassVar[int]

    def __init__(self, resolution: int) -> None:
        self.resolution = resolution

    @classmethod
    @abstractmethod
    def resolution_at(cls, zoom: float) -> int:
        """The resolution whose cells are some tens of pixels wide on a map of this zoom (tiles of 256 pixels)."""

    def cells(self, longitudes: Iterable[float], latitudes: Iterable[float]) -> list[int]:
        """The cells that places are in."""
        return list(map(self.cell, longitudes, latitudes))

    @abstractmethod
    def cell(self, longitude: float, latitude: float) -> int:
        """The cell that a place is in."""

    @abstractmethod
    def id_of(self, cell: int) -> str:
        """What clients know it by."""

    @abstractmethod
    def geometry_of(self, cell: int) -> dict[str, Any]:
        """Its area as a GeoJSON Polygon, or a MultiPolygon if it is split at the antimeridian."""


class H3Grid(Grid):
    """The hexagons, and twelve pentagons, of H3. A cell's id is its H3 index."""

    by = "h3"
    max_resolution = 15

    @classmethod
    def resolution_at(cls, zoom: float) -> int:
        """See `Grid`."""
        return min(max(floor((zoom - 1.0) * H3_PER_ZOOM), 0), cls.max_resolution)

    def cell(self, longitude: float, latitude: float) -> int:
        """By the `h3` package."""
        found: int = h3.latlng_to_cell(latitude, longitude, self.resolution)
        return found

    def cells(self, longitudes: Iterable[float], latitudes: Iterable[float]) -> list[int]:
        """`cell`, without a call of Python for each."""
        return list(map(h3.latlng_to_cell, latitudes, longitudes, repeat(self.resolution)))

    def id_of(self, cell: int) -> str:
        """The H3 index in hexadecimal."""
        return f"{cell:x}"

    def geometry_of(self, cell: int) -> dict[str, Any]:
        """Its edges, straight in degrees; an area that holds a pole reaches up to it."""
        corners = h3.cell_to_boundary(cell)
        longitudes = [corner[1] for corner in corners]
        if max(longitudes) - min(longitudes) < 180.0:  # nearly all
            inside = [[round(longitude, DECIMALS), round(latitude, DECIMALS)] for latitude, longitude in corners]
            return {"type": "Polygon", "coordinates": [[*inside, inside[0]]]}
        ring = _continuous([longitude, latitude] for latitude, longitude in corners)
        goes_round = abs(ring[-1][0] - ring[0][0]) > 180.0
        area = {"type": "Polygon", "coordinates": [_around_pole(ring)]} if goes_round else wrapped("Polygon", [ring])
        return area | {"coordinates": _rounded(area["coordinates"])}


class SquareGrid(Grid):
    """The squares of map tiles (Web Mercator). A cell's id is that of the tile: `z/x/y`, rows from the north."""

    by = "grid"
    max_resolution = MAX_ZOOM

    def __init__(self, resolution: int) -> None:
        super().__init__(resolution)
        self._side = 1 << resolution

    @classmethod
    def resolution_at(cls, zoom: float) -> int:
        """See `Grid`."""
        return min(max(floor(zoom) + FINER, 0), cls.max_resolution)

    def cell(self, longitude: float, latitude: float) -> int:
        """A place on the edge between two squares is in that to the east or south."""
        side = self._side
        column = int((longitude / 360.0 + 0.5) * side)
        inside = max(-MERCATOR_LATITUDE, min(latitude, MERCATOR_LATITUDE))
        row = int((0.5 - asinh(tan(radians(inside))) / (2.0 * pi)) * side)
        return min(max(row, 0), side - 1) * side + min(max(column, 0), side - 1)

    def id_of(self, cell: int) -> str:
        """`z/x/y`."""
        row, column = divmod(cell, self._side)
        return f"{self.resolution}/{column}/{row}"

    def geometry_of(self, cell: int) -> dict[str, Any]:
        """The square of the tile."""
        row, column = divmod(cell, self._side)
        west, east = (each / self._side * 360.0 - 180.0 for each in (column, column + 1))
        north, south = (degrees(atan(sinh(pi * (1.0 - 2.0 * each / self._side)))) for each in (row, row + 1))
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return {"type": "Polygon", "coordinates": _rounded([ring])}


GRIDS: dict[str, type[Grid]] = {grid.by: grid for grid in (H3Grid, SquareGrid)}


def grid_of(by: str, resolution: int | None, zoom: float | None) -> Grid:
    """The grid that a client asks for, by its resolution or by the zoom of the map that it is for. `StreamError("bad_request")`."""
    kind = GRIDS.get(by)
    if kind is None:
        raise StreamError("bad_request", f"aggregates are by {' or '.join(GRIDS)}, not by {by[:40]!r}")
    if (resolution is None) == (zoom is None):
        raise StreamError("bad_request", "an aggregate needs either a resolution or the zoom of the map that it is for")
    if zoom is not None:
        if not 0.0 <= zoom <= MAX_ZOOM:
            raise StreamError("bad_request", f"zoom must be from 0 to {MAX_ZOOM}")
        return kind(kind.resolution_at(zoom))
    if resolution is None or not 0 <= resolution <= kind.max_resolution:
        raise StreamError("bad_request", f"the resolution of {by} must be from 0 to {kind.max_resolution}")
    return kind(resolution)


def box_of(geometry: dict[str, Any]) -> Box:
    """The bounds of a cell's area."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    xs, ys = zip(*[position for rings in polygons for position in rings[0]], strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _continuous(corners: Iterable[Position]) -> list[Position]:
    """A closed ring whose longitudes go on beyond 180 degrees instead of jumping."""
    ring = list(corners)
    ring.append(list(ring[0]))
    for before, here in pairwise(ring):
        here[0] += 360.0 * round((before[0] - here[0]) / 360.0)
    return ring


def _around_pole(ring: list[Position]) -> list[Position]:
    """The ring of an area with a pole in it, from one side of the antimeridian to the other, and back along the pole."""
    pole = 90.0 if ring[0][1] > 0.0 else -90.0
    inside = abs(pole) - 10**-DECIMALS  # a corner may be at the pole itself
    corners = sorted([(x + 180.0) % 360.0 - 180.0, max(-inside, min(y, inside))] for x, y in ring[:-1])
    (west, first), (east, last) = corners[0], corners[-1]
    edge = last + (first - last) * (180.0 - east) / (west + 360.0 - east)
    across = [[-180.0, edge], *corners, [180.0, edge]]
    around = [*across, [180.0, pole], [-180.0, pole], across[0]]
    return around if pole > 0.0 else around[::-1]


def _rounded(coordinates: Any) -> Any:
    return [_rounded(each) for each in coordinates] if isinstance(coordinates, list | tuple) else round(coordinates, DECIMALS)
