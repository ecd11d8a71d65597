"""Low zooms of a layer's vector tiles lack what would not be seen; which features these are depends on nothing but the layer."""

from __future__ import annotations

import json
import random
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.items import Item
from streaming.tiles.mvt_values import varint
from streaming.tiles.sources.feature_index import by_hash
from streaming.tiles.sources.layer import LayerSource
from streaming.tiles.thinning import PIXEL
from streaming.tiles.varints import encode_varints, varint_sizes


@pytest.fixture(autouse=True)
def thinned_from_the_first(settings: Any) -> None:
    settings.GEOSTREAM_TILE_UNTHINNED_FEATURES = 0


def item(id: int, geometry: Any, **properties: Any) -> Item:
    feature = {"type": "Feature", "id": id, "geometry": geometry, "properties": properties}
    return Item(str(id), json.dumps(feature).encode(), 0)


def point(id: int, lon: float, lat: float) -> Item:
    return item(id, {"type": "Point", "coordinates": [lon, lat]}, name=f"point {id}")


def square(id: int, lon: float, lat: float, size: float) -> Item:
    corners = [[lon, lat], [lon + size, lat], [lon + size, lat + size], [lon, lat + size], [lon, lat]]
    return item(id, {"type": "Polygon", "coordinates": [corners]})


def scattered(count: int) -> list[Item]:
    dice = random.Random(1)
    return [point(id, dice.uniform(-180, 180), dice.uniform(-80, 80)) for id in range(count)]


def read(source: LayerSource, z: int = 0, x: int = 0, y: int = 0) -> list[dict[str, Any]]:
    data = source.render(z, x, y)
    if data is None:
        return []
    found: list[dict[str, Any]] = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})["things"]["features"]
    return found


def test_of_the_points_in_a_pixel_one_is_kept_with_its_id_and_properties() -> None:
    kept = read(LayerSource("things", [point(id, id / 1000, 0) for id in range(1, 9)] + [point(99, 90, 0)]))
    assert len(kept) == 2
    assert all(each["properties"]["name"] == f"point {each['id']}" for each in kept)


def test_no_two_points_of_a_thinned_tile_are_in_one_pixel() -> None:
    places = [each["geometry"]["coordinates"] for each in read(LayerSource("things", [point(id, id / 20, id / 30) for id in range(900)]))]
    cells = {(x // PIXEL, y // PIXEL) for x, y in places}
    assert 20 < len(places) == len(cells)


def test_a_tile_with_few_points_has_all_of_them(settings: Any) -> None:
    settings.GEOSTREAM_TILE_UNTHINNED_FEATURES = 8
    assert len(read(LayerSource("things", [point(id, id / 1000, 0) for id in range(8)]))) == 8
    assert len(read(LayerSource("things", [point(id, id / 1000, 0) for id in range(9)]))) == 1


def test_cells_grow_until_there_is_room(settings: Any) -> None:
    settings.GEOSTREAM_TILE_FEATURES = 100
    assert 30 < len(read(LayerSource("things", scattered(2000)))) <= 100


@pytest.mark.parametrize(("max_zoom", "whole"), [(14, 12), (5, 5)])
def test_from_a_zoom_on_nothing_is_missing(max_zoom: int, whole: int) -> None:
    source = LayerSource("things", [point(id, 0.00001, 0.00001) for id in range(50)], max_zoom)
    middle = 1 << whole >> 1
    assert len(read(source, whole, middle, middle - 1)) == 50
    assert len(read(source, whole - 1, middle >> 1, (middle >> 1) - 1)) == 1
    assert source.metadata.thinned_below == whole


def test_areas_smaller_than_a_pixel_are_left_out_where_they_are() -> None:
    source = LayerSource("things", [square(1, 1, 1, 0.3), square(2, 10, 10, 5)])
    assert [each["id"] for each in read(source)] == [2]
    assert {each["id"] for each in read(source, 2, 2, 1)} == {1, 2}


def test_of_too_many_areas_the_largest_are_kept(settings: Any) -> None:
    settings.GEOSTREAM_TILE_FEATURES = 3
    source = LayerSource("things", [square(id, id * 10, 0, 2 + id % 4) for id in range(12)])
    assert {each["id"] for each in read(source)} == {3, 7, 11}


def test_points_are_above_areas() -> None:
    source = LayerSource("things", [point(1, 20, 20), square(2, 10, 10, 30)])
    assert [each["id"] for each in read(source)] == [2, 1]


def test_it_is_the_same_in_whatever_steps_the_layer_came(settings: Any) -> None:
    settings.GEOSTREAM_TILE_FEATURES = 300
    items = scattered(2000)
    source = LayerSource("things", items[:1500])
    for start in range(0, 2000, 100):
        source, _ = source.updated({each.key: each for each in items[start : start + 100]})
    source, _ = source.updated({each.key: None for each in items[:50]})
    fresh = LayerSource("things", items[50:])
    for tile in ((0, 0, 0), (1, 0, 1), (3, 4, 4)):
        assert source.render(*tile) == fresh.render(*tile)


def test_equal_hashes_are_put_in_the_order_of_keys() -> None:
    keys = ["d", "a", "c", "b", "e"]
    order = by_hash(np.array([7, 7, 1, 7, 0], np.uint32), keys.__getitem__)
    assert [keys[place] for place in order.tolist()] == ["e", "c", "a", "b", "d"]


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300), max_size=20))
def test_varints_of_an_array_are_those_of_its_numbers(numbers: list[int]) -> None:
    array = np.array(numbers, np.uint64)
    assert encode_varints(array) == b"".join(map(varint, numbers))
    assert varint_sizes(array).tolist() == [len(varint(number)) for number in numbers]
