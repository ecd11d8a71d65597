"""How the world is divided into cells."""

from __future__ import annotations

import json
import random
from typing import Any

import h3
import pytest
import shapely

from streaming.core.geometry import check_geometry
from streaming.features.aggregates.grids import GRIDS, Grid, H3Grid, SquareGrid, box_of

from .h3_vectors import VECTORS, vectors

PLACES = [(0.0, 0.0), (180.0, 0.0), (-180.0, 0.0), (179.999, -16.0), (0.0, 90.0), (0.0, -90.0), (12.0, 89.0), (8.5, 47.4), (-122.4, 37.8)]


def shape_of(geometry: dict[str, Any]) -> Any:
    return shapely.from_geojson(json.dumps(geometry))


@pytest.mark.parametrize("resolution", [0, 1, 3, 7, 15])
@pytest.mark.parametrize("kind", GRIDS.values())
def test_a_place_is_in_the_area_of_its_cell(kind: type[Grid], resolution: int) -> None:
    grid = kind(resolution)
    for x, y in PLACES:
        if kind is SquareGrid and abs(y) > 85:
            continue
        geometry = grid.geometry_of(grid.cell(x, y))
        check_geometry(geometry)
        area = shape_of(geometry)
        assert shapely.is_valid(area)
        assert min(shapely.distance(area, shapely.Point(x + turn, y)) for turn in (-360, 0, 360)) < 1e-6
        assert shapely.bounds(area).tolist() == pytest.approx(box_of(geometry))


@pytest.mark.parametrize("resolution", [0, 1])
def test_the_cells_of_the_world_cover_it_once(resolution: int) -> None:
    """Also at the antimeridian and around the poles."""
    grid = H3Grid(resolution)
    cells = [int(cell, 16) for base in h3.get_res0_cells() for cell in h3.cell_to_children(base, resolution)]
    areas = [shape_of(grid.geometry_of(cell)) for cell in cells]
    assert sum(map(shapely.area, areas)) == pytest.approx(360 * 180, rel=1e-6)
    assert shapely.area(shapely.union_all(areas)) == pytest.approx(360 * 180, rel=1e-6)


def test_cells_are_those_of_h3() -> None:
    draw = random.Random(1)
    for _ in range(200):
        x, y, resolution = draw.uniform(-180, 180), draw.uniform(-90, 90), draw.randrange(16)
        grid = H3Grid(resolution)
        assert grid.id_of(grid.cell(x, y)) == h3.latlng_to_cell(y, x, resolution)


def test_squares_are_map_tiles() -> None:
    grid = SquareGrid(3)
    assert grid.id_of(grid.cell(8.5, 47.4)) == "3/4/2"
    assert grid.id_of(grid.cell(-180, 89)) == "3/0/0"
    assert grid.id_of(grid.cell(180, -89)) == "3/7/7"


@pytest.mark.parametrize(("kind", "smallest", "largest"), [(H3Grid, 28, 76), (SquareGrid, 31, 65)])
def test_the_cells_of_a_zoom_are_some_tens_of_pixels_wide(kind: type[Grid], smallest: float, largest: float) -> None:
    for zoom in range(1, 21):
        resolution = kind.resolution_at(zoom)
        metres = 3**0.5 * h3.average_hexagon_edge_length(resolution, "m") if kind is H3Grid else 40_075_017 / 2**resolution
        assert smallest <= metres / (40_075_017 / 256 / 2**zoom) <= largest


def test_the_cells_that_javascript_is_asked_about_are_these() -> None:
    assert json.loads(json.dumps(vectors())) == json.loads(VECTORS.read_text())
