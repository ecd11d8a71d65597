"""The grid: which tiles a box touches, how many they are and in which order they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from math import atan, degrees, pi, sinh
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.tiles.grid import EDGE, Tile, count_tiles, tile_box, tile_exists, tile_ranges, touches, viewport_tiles

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "dialects" / "geo" / "vectors.json").read_text())
WORLD = (-180.0, -90.0, 180.0, 90.0)
MANY = 10_000_000
UNLIKE_UPSTREAM = {"antimeridian bbox is not wrapped"}
"""Upstream, such a box matches nothing. It also cuts degrees off at six digits, which no vector shows: here edges are where they are."""


def in_view(case: dict[str, Any]) -> bool:
    x, y, z = case["tile"]
    zooms = range(case["zoom_range"]["start"], case["zoom_range"]["end"])
    return Tile(z, x, y) in viewport_tiles(case["bbox"], zooms, MANY)


@pytest.mark.parametrize("case", VECTORS["tile_match"], ids=lambda case: case["label"])
def test_a_view_holds_the_tiles_that_upstream_matches(case: dict[str, Any]) -> None:
    assert in_view(case) is (case["matches"] is not (case["label"] in UNLIKE_UPSTREAM))


def test_each_case_that_is_unlike_upstream_crosses_the_antimeridian() -> None:
    assert {case["label"] for case in VECTORS["tile_match"] if case["bbox"][0] > case["bbox"][2]} == UNLIKE_UPSTREAM


@pytest.mark.parametrize("case", VECTORS["bbox_to_tiles"], ids=lambda case: case["label"])
def test_a_box_holds_the_tiles_that_upstream_finds(case: dict[str, Any]) -> None:
    found = [[tile.x, tile.y] for part in tile_ranges(tuple(case["bbox"]), case["zoom"]) for tile in part.tiles()]
    assert found == case["tiles"]


def test_the_world_has_no_rows_beyond_the_edge() -> None:
    assert count_tiles(WORLD, range(2, 3)) == 16


def test_a_box_beyond_the_edge_holds_nothing() -> None:
    assert count_tiles((-180, 86, 180, 90), range(4)) == 0


def shares_a_point(box: Box, tile: Tile) -> bool:
    """By comparing degrees, tile by tile."""
    west, south, east, north = box
    left, bottom, right, top = tile_box(*tile)
    if bottom > north + EDGE or top < south - EDGE:
        return False
    reaches_west, reaches_east = right >= west - EDGE, left <= east + EDGE
    return (reaches_west or reaches_east) if west > east else (reaches_west and reaches_east)


def column_edge(z: int, x: int) -> float:
    return x / (1 << z) * 360 - 180


def row_edge(z: int, y: int) -> float:
    """As other programs have it, which is not always `tile_box`'s to the last digit."""
    return degrees(atan(sinh(pi * (1 - 2 * y / (1 << z)))))


LONGITUDES = st.one_of(st.integers(-1800, 1800).map(lambda n: n / 10), st.integers(0, 64).map(lambda x: column_edge(6, x)))
LATITUDES = st.one_of(
    st.integers(-900, 900).map(lambda n: n / 10),
    st.integers(0, 64).map(lambda y: row_edge(6, y)),
    st.integers(0, 63).map(lambda y: tile_box(6, 0, y)[1]),
)
BOXES = st.tuples(LONGITUDES, LATITUDES, LONGITUDES, LATITUDES).map(lambda box: (box[0], min(box[1], box[3]), box[2], max(box[1], box[3])))


@given(BOXES, st.integers(0, 6))
def test_a_view_holds_what_shares_a_point_with_the_box_and_each_tile_once(box: Box, z: int) -> None:
    found = viewport_tiles(box, range(z, z + 1), MANY)
    everywhere = [Tile(z, x, y) for x, y in product(range(1 << z), repeat=2)]
    assert set(found) == {tile for tile in everywhere if shares_a_point(box, tile)} == {tile for tile in everywhere if touches(box, *tile)}
    assert len(found) == len(set(found)) == count_tiles(box, range(z, z + 1))


@pytest.mark.parametrize("z", [3, 11, 19, 25, 30])
@pytest.mark.parametrize("row", [row_edge, lambda z, y: tile_box(z, 0, y)[3]], ids=["another formula", "tile_box"])
def test_the_neighbours_of_a_tile_touch_it_on_all_sides(z: int, row: Callable[[int, int], float]) -> None:
    for x, y in [(3, 2), (5, 6), ((1 << z) - 2, 1), ((1 << z) * 5 // 8, (1 << z) * 3 // 8)]:
        box = (column_edge(z, x), row(z, y + 1), column_edge(z, x + 1), row(z, y))
        assert [part[1:] for part in tile_ranges(box, z)] == [(x - 1, y - 1, x + 1, y + 1)]


@pytest.mark.parametrize("z", [3, 11, 19, 25])
def test_what_ends_within_a_tile_does_not_touch_its_neighbours(z: int) -> None:
    x, y = (1 << z) * 5 // 8, (1 << z) * 3 // 8
    west, south, east, north = tile_box(z, x, y)
    inset = (east - west) / 64
    assert [part[1:] for part in tile_ranges((west + inset, south + inset, east - inset, north - inset), z)] == [(x, y, x, y)]


def test_a_box_that_ends_at_the_antimeridian_does_not_touch_what_is_beyond() -> None:
    assert {tile.x for tile in viewport_tiles([170.0, 1.0, 180.0, 2.0], range(4, 5), 100)} == {15}
    assert {tile.x for tile in viewport_tiles([170.0, 1.0, -180.0, 2.0], range(4, 5), 100)} == {15, 0}


def test_a_million_tiles_are_counted_without_being_listed() -> None:
    assert count_tiles(WORLD, range(30, 31)) == 1 << 60


def test_a_tile_holds_the_middle_of_its_box() -> None:
    west, south, east, north = tile_box(7, 67, 44)
    middle = ((west + east) / 2, (south + north) / 2)
    assert tile_ranges((*middle, *middle), 7)[0][1:3] == (67, 44)


def test_a_view_begins_with_the_lowest_zoom_and_the_centre() -> None:
    tiles = viewport_tiles([-45.0, -45.0, 100.0, 45.0], range(0, 5), 1024)
    assert [tile.z for tile in tiles] == sorted(tile.z for tile in tiles)
    at_four = [tile for tile in tiles if tile.z == 4]
    assert at_four[0].x == 9 and at_four[0].y in (7, 8)
    assert abs(at_four[-1].x - 9) >= 3


def test_the_centre_of_a_view_across_the_antimeridian_is_there() -> None:
    tiles = viewport_tiles([160.0, -5.0, -160.0, -1.0], range(5, 6), 1024)
    assert {tiles[0].x, tiles[1].x} == {0, 31}


def test_the_end_of_the_zooms_is_not_in_the_view() -> None:
    assert {tile.z for tile in viewport_tiles(WORLD, range(1, 3), 1024)} == {1, 2}


def test_too_many_tiles_are_refused_with_their_number() -> None:
    with pytest.raises(StreamError, match="1,048,576") as caught:
        viewport_tiles(WORLD, range(10, 11), 1024)
    assert caught.value.code == "too_many_tiles"


@pytest.mark.parametrize("bbox", [[float("nan")] * 4, [0, 10, 10, 0], [0, 0, 1]])
def test_a_box_that_is_none_is_refused(bbox: list[float]) -> None:
    with pytest.raises(StreamError) as caught:
        viewport_tiles(bbox, range(3), 1024)
    assert caught.value.code == "invalid_bbox"


@pytest.mark.parametrize("place", [(40, 0, 0), (1, 2, 0), (1, 0, 2), (-1, 0, 0), (2, -1, 0)])
def test_places_outside_the_grid(place: tuple[int, int, int]) -> None:
    assert not tile_exists(*place)


def test_zooms_beyond_the_grid_hold_nothing() -> None:
    assert count_tiles(WORLD, range(31, 45)) == 0
