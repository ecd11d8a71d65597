"""The grid: which tiles a box touches, how many they are and in which order they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streaming.core.errors import StreamError
from streaming.tiles.grid import Tile, count, exists, ranges, tile_box, touches, upstream_matches, view

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "dialects" / "geo" / "vectors.json").read_text())
WORLD = (-180.0, -90.0, 180.0, 90.0)


@pytest.mark.parametrize("case", VECTORS["tile_match"], ids=lambda case: case["label"])
def test_tiles_match_as_upstream_matches_them(case: dict[str, Any]) -> None:
    x, y, z = case["tile"]
    zooms = range(case["zoom_range"]["start"], case["zoom_range"]["end"])
    assert upstream_matches(tuple(case["bbox"]), zooms, z, x, y) is case["matches"]


@pytest.mark.parametrize("case", VECTORS["bbox_to_tiles"], ids=lambda case: case["label"])
def test_a_box_holds_the_tiles_that_upstream_finds(case: dict[str, Any]) -> None:
    found = [[tile.x, tile.y] for part in ranges(tuple(case["bbox"]), case["zoom"]) for tile in part.tiles()]
    assert found == case["tiles"]


def test_the_world_has_no_rows_beyond_the_edge() -> None:
    assert count(WORLD, range(2, 3)) == 16


def test_a_box_beyond_the_edge_holds_nothing() -> None:
    assert count((-180, 86, 180, 90), range(4)) == 0


@pytest.mark.parametrize("z", range(6))
def test_a_box_across_the_antimeridian_holds_what_touches_it_on_both_sides(z: int) -> None:
    box = (170.0, -10.0, -170.0, 10.0)
    found = [tile for part in ranges(box, z) for tile in part.tiles()]
    everywhere = [Tile(z, x, y) for x in range(1 << z) for y in range(1 << z)]
    strictly = [tile for tile in everywhere if touches(box, *tile)]
    assert len(found) == len(set(found)) == count(box, range(z, z + 1))
    assert set(found) <= set(strictly)


def test_a_million_tiles_are_counted_without_being_listed() -> None:
    assert count(WORLD, range(30, 31)) == 1 << 60


def test_a_tile_holds_the_middle_of_its_box() -> None:
    west, south, east, north = tile_box(7, 67, 44)
    middle = ((west + east) / 2, (south + north) / 2)
    assert ranges((*middle, *middle), 7)[0][1:3] == (67, 44)


def test_a_view_begins_with_the_lowest_zoom_and_the_centre() -> None:
    tiles = view([-45.0, -45.0, 100.0, 45.0], range(0, 5), 1024)
    assert [tile.z for tile in tiles] == sorted(tile.z for tile in tiles)
    at_four = [tile for tile in tiles if tile.z == 4]
    assert at_four[0].x == 9 and at_four[0].y in (7, 8)
    assert abs(at_four[-1].x - 9) >= 3


def test_the_centre_of_a_view_across_the_antimeridian_is_there() -> None:
    tiles = view([160.0, -5.0, -160.0, -1.0], range(5, 6), 1024)
    assert {tiles[0].x, tiles[1].x} == {0, 31}


def test_the_end_of_the_zooms_is_not_in_the_view() -> None:
    assert {tile.z for tile in view(WORLD, range(1, 3), 1024)} == {1, 2}


def test_too_many_tiles_are_refused_with_their_number() -> None:
    with pytest.raises(StreamError, match="1,048,576") as caught:
        view(WORLD, range(10, 11), 1024)
    assert caught.value.code == "too_many_tiles"


@pytest.mark.parametrize("bbox", [[float("nan")] * 4, [0, 10, 10, 0], [0, 0, 1]])
def test_a_box_that_is_none_is_refused(bbox: list[float]) -> None:
    with pytest.raises(StreamError) as caught:
        view(bbox, range(3), 1024)
    assert caught.value.code == "invalid_bbox"


@pytest.mark.parametrize("place", [(40, 0, 0), (1, 2, 0), (1, 0, 2), (-1, 0, 0), (2, -1, 0)])
def test_places_outside_the_grid(place: tuple[int, int, int]) -> None:
    assert not exists(*place)


def test_zooms_beyond_the_grid_hold_nothing() -> None:
    assert count(WORLD, range(31, 45)) == 0
