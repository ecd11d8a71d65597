"""Which tiles show a change of features, compared with what tiles really show."""

from __future__ import annotations

import json
import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.items import Item
from streaming.tiles.changed_boxes import ChangedBoxes
from streaming.tiles.grid import Tile, tile_box
from streaming.tiles.mvt import EXTENT
from streaming.tiles.sources.layer import LayerSource


def at(lon: float, lat: float) -> tuple[float, float, float, float]:
    return (lon, lat, lon, lat)


def grid(z: int) -> list[Tile]:
    return [Tile(z, x, y) for x, y in product(range(1 << z), repeat=2)]


def test_a_point_in_the_middle_touches_one_tile_of_each_zoom() -> None:
    lon, lat = tile_box(4, 9, 6)[0] + 5, (tile_box(4, 9, 6)[1] + tile_box(4, 9, 6)[3]) / 2
    assert ChangedBoxes([at(lon, lat)]).intersection([tile for z in range(5) for tile in grid(z)]) == {
        Tile(0, 0, 0), Tile(1, 1, 0), Tile(2, 2, 1), Tile(3, 4, 3), Tile(4, 9, 6),
    }  # fmt: skip


@pytest.mark.parametrize(("units", "shown"), [(79, True), (90, False)])
def test_a_tile_shows_what_is_within_its_margin(units: int, shown: bool) -> None:
    west, south, east, north = tile_box(5, 10, 10)
    changed = ChangedBoxes([at(west - (east - west) * units / EXTENT, (south + north) / 2)])
    assert Tile(5, 9, 10) in changed
    assert (Tile(5, 10, 10) in changed) is shown


def test_a_large_box_touches_all_it_covers() -> None:
    assert ChangedBoxes([(-180, -90, 180, 90)]).intersection(grid(5)) == set(grid(5))


def test_a_box_across_the_antimeridian_touches_both_sides() -> None:
    assert {tile.x for tile in ChangedBoxes([(170, 10, -170, 20)]).intersection(grid(3))} == {0, 7}


def test_beyond_the_edge_of_the_map_is_at_the_edge() -> None:
    assert ChangedBoxes([at(0.1, 90)]).intersection(grid(2)) == {Tile(2, 2, 0), Tile(2, 1, 0)}


def test_no_boxes_touch_nothing() -> None:
    assert not ChangedBoxes([])
    assert Tile(0, 0, 0) not in ChangedBoxes([])
    assert ChangedBoxes([]).intersection(grid(2)) == set()
    assert ChangedBoxes([at(0, 0)]).intersection([]) == set()


@given(st.floats(-180, 180), st.floats(-90, 90), st.integers(0, 30))
def test_tiles_around_a_point_are_touched_if_they_show_it(lon: float, lat: float, z: int) -> None:
    feature = {"type": "Feature", "id": 1, "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": {}}
    source = LayerSource("things", [Item("1", json.dumps(feature).encode(), 0)])
    size = 1 << z
    column, row = int((lon + 180) / 360 * size), _row(lat, z)
    near = [Tile(z, x, y) for x in range(column - 2, column + 3) for y in range(row - 2, row + 3) if 0 <= x < size and 0 <= y < size]
    shown = {tile for tile in near if source.render(*tile)}
    assert shown
    assert shown <= ChangedBoxes([at(lon, lat)]).intersection(near)


def test_each_and_all_agree() -> None:
    chance = random.Random(1)
    boxes = []
    for _ in range(50):
        lon, lat, reach = chance.uniform(-180, 170), chance.uniform(-88, 80), chance.choice((0, 0, 1, 10))
        boxes.append((lon, lat, lon + reach, lat + reach))
    changed = ChangedBoxes(boxes)
    tiles = [tile for z in (0, 3, 5) for tile in grid(z)] + [Tile(9, x, y) for x in range(200, 230) for y in range(150, 180)]
    assert changed.intersection(tiles) == {tile for tile in tiles if tile in changed}


def _row(lat: float, z: int) -> int:
    """By halving, not by the formula that is tested."""
    low, high = 0, (1 << z) - 1
    while low < high:
        middle = (low + high) // 2
        if tile_box(z, 0, middle)[1] < lat:
            high = middle
        else:
            low = middle + 1
    return low
