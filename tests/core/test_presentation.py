"""Presentations: other coordinates, fewer properties, made once per item."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streaming.core import projection
from streaming.core.errors import StreamError
from streaming.core.items import Item
from streaming.core.presentation import MOST_FORMS, Presentation, compile_presentation

PLACE = [10.0, 20.0]
MERCATOR = [1113194.9079327357, 2273030.926987689]


def item(geometry: Any, **members: Any) -> Item:
    feature = {"type": "Feature", "id": 1, "geometry": geometry, "properties": {"b": 1, "a": 2, "c": 3}, **members}
    return Item("1", json.dumps(feature).encode(), 0)


def shown(geometry: Any, crs: int | str | None = 3857, properties: Any = None, **members: Any) -> dict[str, Any]:
    feature: dict[str, Any] = json.loads(compile_presentation(crs, properties).geojson(item(geometry, **members)))
    return feature


def close(position: list[float]) -> Any:
    return pytest.approx(position, abs=1e-3)


def test_an_item_keeps_some_of_its_forms_only() -> None:
    subject = item(None)
    for number in range(1000):
        assert json.loads(compile_presentation(None, ["a", f"other{number}"]).geojson(subject))["properties"] == {"a": 2}
    assert len(subject.forms) <= MOST_FORMS


def test_the_default_presentation_is_the_value_itself() -> None:
    subject = item(None)
    assert compile_presentation(None, None) == Presentation()
    assert Presentation().geojson(subject) is subject.value


@pytest.mark.parametrize(
    "crs",
    [
        3857,
        "3857",
        "EPSG:3857",
        "epsg:3857",
        " EPSG:3857 ",
        "http://www.opengis.net/def/crs/EPSG/0/3857",
        "urn:ogc:def:crs:EPSG::3857",
        "[EPSG:3857]",
    ],
)
def test_every_spelling_of_a_crs_is_the_same_presentation(crs: int | str) -> None:
    assert compile_presentation(crs, None) == Presentation(3857)


@pytest.mark.parametrize(
    "crs", ["CRS84", "OGC:CRS84", "http://www.opengis.net/def/crs/OGC/1.3/CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84", 4326, "EPSG:4326"]
)
def test_crs84_and_4326_are_the_default(crs: int | str) -> None:
    assert compile_presentation(crs, None) == Presentation()


@pytest.mark.parametrize("crs", [999999, 0, -1, True, "", "Mercator", "EPSG:", "EPSG:3857x", "EPSG:4978", 5773, 3857.0, "EPSG:٣"])
def test_a_crs_that_does_not_exist_or_is_not_horizontal_is_refused(crs: Any) -> None:
    with pytest.raises(StreamError) as caught:
        compile_presentation(crs, None)
    assert caught.value.code == "invalid_crs"


def test_a_miss_is_remembered() -> None:
    for _ in range(2):
        with pytest.raises(StreamError):
            compile_presentation(999998, None)
    assert isinstance(projection._build(999998), str)
    assert projection._build.cache_info().maxsize == projection.MAX_CACHED_CRS


@pytest.mark.parametrize(
    ("kind", "depth"), [("Point", 0), ("MultiPoint", 1), ("LineString", 1), ("MultiLineString", 2), ("Polygon", 2), ("MultiPolygon", 3)]
)
def test_every_geometry_type_is_projected_and_keeps_its_heights(kind: str, depth: int) -> None:
    coordinates: Any = [*PLACE, 5.0]
    for _ in range(depth):
        coordinates = [coordinates, coordinates]
    projected = shown({"type": kind, "coordinates": coordinates})["geometry"]["coordinates"]
    for _ in range(depth):
        assert len(projected) == 2
        projected = projected[1]
    assert projected == close([*MERCATOR, 5.0])


def test_collections_and_empty_geometries_are_projected() -> None:
    members = [{"type": "Point", "coordinates": PLACE}, {"type": "MultiPoint", "coordinates": []}]
    made = shown({"type": "GeometryCollection", "geometries": members})["geometry"]["geometries"]
    assert made[0]["coordinates"] == close(MERCATOR)
    assert made[1] == members[1]


def test_axes_are_easting_and_northing_whatever_the_crs_says() -> None:
    easting, northing = shown({"type": "Point", "coordinates": [10.0, 52.0]}, crs=3035)["geometry"]["coordinates"]
    assert (easting, northing) == close([4321000.0, 3210000.0])


def test_bbox_members_are_computed_anew() -> None:
    line = {"type": "LineString", "coordinates": [[0.0, 0.0], PLACE], "bbox": [0, 0, 10, 20]}
    made = shown(line, bbox=[0, 0, 10, 20])
    assert made["bbox"] == close([0, 0, *MERCATOR])
    assert made["geometry"]["bbox"] == close([0, 0, *MERCATOR])


def test_what_the_crs_cannot_express_is_shown_without_geometry() -> None:
    half = {"type": "MultiPoint", "coordinates": [PLACE, [-90.0, 0.0]]}
    for geometry in (half, {"type": "GeometryCollection", "geometries": [half]}):
        made = shown(geometry, crs="EPSG:25832", bbox=[-90, 0, 10, 20])
        assert made["geometry"] is None
        assert "bbox" not in made


def test_a_feature_without_geometry_stays_so() -> None:
    assert shown(None)["geometry"] is None


def test_only_the_wanted_properties_are_shown() -> None:
    assert shown(None, None, ["a", "missing"])["properties"] == {"a": 2}
    assert shown(None, None, [])["properties"] == {}


def test_properties_that_are_null_stay_null() -> None:
    subject = Item("1", b'{"geometry":null,"id":1,"properties":null,"type":"Feature"}', 0)
    assert compile_presentation(None, ["a"]).geojson(subject) == subject.value


def test_the_order_of_the_wanted_properties_does_not_matter() -> None:
    assert compile_presentation(None, ["b", "a", "b"]) == compile_presentation(None, ["a", "b"])


@pytest.mark.parametrize("properties", ["name", [1]])
def test_properties_must_be_a_list_of_names(properties: Any) -> None:
    with pytest.raises(StreamError) as caught:
        compile_presentation(None, properties)
    assert caught.value.code == "bad_request"


def test_it_is_made_once_per_item_and_never_changes_it() -> None:
    subject = item({"type": "Point", "coordinates": PLACE}, bbox=[10, 20, 10, 20])
    before = json.dumps(subject.feature)
    first = compile_presentation(3857, ["a"]).geojson(subject)
    assert compile_presentation("EPSG:3857", ("a",)).geojson(subject) is first
    assert json.dumps(subject.feature) == before


def test_keys_are_sorted() -> None:
    text = compile_presentation(None, ["b", "a"]).geojson(item(None)).decode()
    assert text == '{"geometry":null,"id":1,"properties":{"a":2,"b":1},"type":"Feature"}'
