"""Vector tiles of a layer, as `mapbox-vector-tile` reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest

from streaming.core.items import Item
from streaming.tiles.mvt import MARGIN
from streaming.tiles.sources.layer import LayerSource

COUNTRIES = Path(__file__).parents[2] / "streaming" / "static" / "streaming" / "demo" / "countries-110m.geojson"


def item(id: Any, geometry: dict[str, Any] | None, **properties: Any) -> Item:
    feature = {"type": "Feature", "id": id, "geometry": geometry, "properties": properties}
    return Item(json.dumps(id), json.dumps(feature).encode(), 0)


def at(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def read(data: bytes | None) -> list[dict[str, Any]]:
    assert data is not None
    found: list[dict[str, Any]] = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})["things"]["features"]
    return found


def tile(*items: Item, place: tuple[int, int, int] = (0, 0, 0)) -> list[dict[str, Any]]:
    return read(LayerSource("things", items).render(*place))


def test_a_point_is_where_it_should_be() -> None:
    (feature,) = tile(item(7, at(0, 0), name="Null"))
    assert feature["geometry"] == {"type": "Point", "coordinates": [2048, 2048]}
    assert (feature["id"], feature["properties"]) == (7, {"name": "Null"})


def test_a_text_id_becomes_a_property() -> None:
    (feature,) = tile(item("a", at(0, 0)))
    assert feature["properties"] == {"id": "a"}


@pytest.mark.parametrize("value", ["text", "", "ü", 0, 1, -1, 2**40, -(2**40), 1.5, -0.25, True, False])
def test_values_keep_their_type(value: Any) -> None:
    (feature,) = tile(item(1, at(0, 0), value=value))
    assert feature["properties"] == {"value": value}
    assert type(feature["properties"]["value"]) is type(value)


def test_null_is_left_out_and_lists_become_json() -> None:
    (feature,) = tile(item(1, at(0, 0), none=None, list=[1, 2], huge=2**70))
    assert feature["properties"] == {"list": "[1,2]", "huge": float(2**70)}


def test_a_line_is_cut_at_the_margin() -> None:
    (feature,) = tile(item(1, {"type": "LineString", "coordinates": [[-170, 10], [170, 10]]}), place=(1, 0, 0))
    assert max(x for x, _ in feature["geometry"]["coordinates"]) == 4096 + MARGIN


def test_a_polygon_keeps_its_hole() -> None:
    outer = [[-90, -40], [90, -40], [90, 40], [-90, 40], [-90, -40]]
    hole = [[-10, -10], [-10, 10], [10, 10], [10, -10], [-10, -10]]
    (feature,) = tile(item(1, {"type": "Polygon", "coordinates": [outer, hole]}))
    assert feature["geometry"]["type"] == "Polygon"
    assert len(feature["geometry"]["coordinates"]) == 2


def test_several_parts_stay_one_feature() -> None:
    (feature,) = tile(item(1, {"type": "MultiPoint", "coordinates": [[0, 0], [90, 0]]}))
    assert feature["geometry"]["coordinates"] == [[2048, 2048], [3072, 2048]]


def test_a_collection_becomes_a_feature_of_each_kind() -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [90, 0]]}
    features = tile(item(1, {"type": "GeometryCollection", "geometries": [at(0, 0), line]}))
    assert {feature["geometry"]["type"] for feature in features} == {"Point", "LineString"}


def test_a_polygon_that_crosses_itself_does_no_harm() -> None:
    bow = [[0, 0], [40, 40], [40, 0], [0, 40], [0, 0]]
    assert len(tile(item(1, {"type": "Polygon", "coordinates": [bow]}))) == 1


def test_what_is_beyond_the_edge_of_the_map_is_moved_to_it() -> None:
    (feature,) = tile(item(1, at(0, 90)))
    assert feature["geometry"]["coordinates"] == [2048, 0]


def test_features_elsewhere_and_without_place_are_not_in_it() -> None:
    source = LayerSource("things", [item(1, at(90, 45)), item(2, None)])
    assert source.render(2, 0, 0) is None
    assert len(read(source.render(2, 3, 1))) == 1


def test_what_is_too_small_to_be_seen_is_left_out() -> None:
    speck = [[1, 1], [1.0001, 1], [1.0001, 1.0001], [1, 1]]
    assert LayerSource("things", [item(1, {"type": "Polygon", "coordinates": [speck]})]).render(0, 0, 0) is None


def test_an_empty_layer_has_no_tiles() -> None:
    assert LayerSource("things", []).render(0, 0, 0) is None


def test_all_countries_are_on_the_map() -> None:
    features = json.loads(COUNTRIES.read_text())["features"]
    source = LayerSource("things", [item(index, each["geometry"], **each["properties"]) for index, each in enumerate(features)])
    drawn = read(source.render(0, 0, 0))
    assert {each["properties"]["name"] for each in drawn} == {each["properties"]["name"] for each in features}
    assert {each["geometry"]["type"] for each in drawn} == {"Polygon", "MultiPolygon"}
