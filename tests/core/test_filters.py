"""Filters: space, time and pairs, each alone and together; CQL2 is in test_filters_cql2.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import shape

from streaming.core.errors import StreamError
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.items import Item

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}
TRIANGLE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]}


def item(geometry: dict[str, Any] | None = None, arrived: int = 0, **properties: Any) -> Item:
    feature = {"type": "Feature", "id": "a", "geometry": geometry, "properties": properties}
    return Item('"a"', json.dumps(feature).encode(), arrived)


def point(x: float, y: float, **properties: Any) -> Item:
    return item({"type": "Point", "coordinates": [x, y]}, **properties)


def line(*positions: list[float]) -> Item:
    return item({"type": "LineString", "coordinates": positions})


def matches(subject: Item, **spec: Any) -> bool:
    return compile_filter(FilterSpec(**spec)).matches(subject)


def refusal(**spec: Any) -> tuple[str, str]:
    with pytest.raises(StreamError) as caught:
        compile_filter(FilterSpec(**spec))
    return caught.value.code, caught.value.message


def test_an_empty_filter_matches_everything_everywhere() -> None:
    everything = compile_filter(FilterSpec())
    assert everything.matches(item())
    assert everything.boxes is None


@pytest.mark.parametrize("place", [(0, 0), (10, 10), (0, 10), (10, 5), (5, 5)])
def test_edges_of_a_box_are_inside(place: tuple[float, float]) -> None:
    assert matches(point(*place), bbox=[0, 0, 10, 10])


@pytest.mark.parametrize("place", [(-0.001, 5), (10.001, 5), (5, -0.001), (5, 10.001)])
def test_points_beside_a_box_do_not_match(place: tuple[float, float]) -> None:
    assert not matches(point(*place), bbox=[0, 0, 10, 10])


@pytest.mark.parametrize(
    ("x", "inside"), [(170, True), (175, True), (180, True), (-180, True), (-175, True), (-170, True), (0, False), (169, False)]
)
def test_a_box_may_cross_the_antimeridian(x: float, inside: bool) -> None:
    crossing = compile_filter(FilterSpec(bbox=[170, -10, -170, 10]))
    assert crossing.matches(point(x, 0)) is inside
    assert crossing.boxes == ((170, -10, 180, 10), (-180, -10, -170, 10))


def test_a_diagonal_whose_bounds_overlap_but_that_misses_the_box_does_not_match() -> None:
    assert not matches(line([0, 0], [10, 10]), bbox=[6, 0, 10, 4])
    assert matches(line([0, 0], [10, 10]), bbox=[4, 4, 6, 6])


def test_a_shape_within_the_box_or_around_it_matches() -> None:
    assert matches(item(SQUARE), bbox=[-1, -1, 11, 11])
    assert matches(item(SQUARE), bbox=[4, 4, 5, 5])
    assert matches(item(SQUARE), bbox=[5, 5, 5, 5])


def test_a_collection_matches_by_any_of_its_members() -> None:
    collection = item(
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [0, 0]}, {"type": "Point", "coordinates": [9, 9]}]}
    )
    assert matches(collection, bbox=[8, 8, 10, 10])
    assert not matches(collection, bbox=[4, 4, 5, 5])


@pytest.mark.parametrize("spec", [{"bbox": [-180, -90, 180, 90]}, {"geometry": SQUARE}])
def test_a_feature_without_geometry_matches_no_spatial_filter(spec: dict[str, Any]) -> None:
    assert not matches(item(), **spec)


@pytest.mark.parametrize(
    ("bbox", "reason"),
    [
        ([0, 0, 1], "has 3 members"),
        ([0, 0, 0, 1, 1, 1], "boxes with heights are not supported"),
        ([0, 0, float("nan"), 1], "east is nan, not a finite number"),
        ([float("-inf"), 0, 1, 1], "west is -inf"),
        ([0, 2, 1, 1], "south (2) is greater than north (1)"),
        ([-181, 0, 1, 1], "west is -181, outside -180 to 180"),
        ([0, 0, 1, 90.5], "north is 90.5, outside -90 to 90"),
        ([0, 0, "1", 1], "east is '1', not a finite number"),
        ([0, True, 1, 1], "south is True, not a finite number"),
        ("0,0,1,1", "must be a list"),
    ],
)
def test_a_bad_box_is_refused_with_its_reason(bbox: Any, reason: str) -> None:
    code, message = refusal(bbox=bbox)
    assert code == "invalid_bbox"
    assert reason in message


def test_a_polygon_matches_what_intersects_it() -> None:
    assert matches(point(1, 1), geometry=TRIANGLE)
    assert matches(point(5, 5), geometry=TRIANGLE), "its edge is inside"
    assert not matches(point(9, 9), geometry=TRIANGLE), "within its bounds only"
    assert matches(line([-1, -1], [1, 1]), geometry=TRIANGLE)
    assert not matches(line([9, 9], [9, 8]), geometry=TRIANGLE)


def test_a_hole_is_outside() -> None:
    ring = {"type": "Polygon", "coordinates": [*SQUARE["coordinates"], [[2, 2], [8, 2], [8, 8], [2, 8], [2, 2]]]}
    assert not matches(point(5, 5), geometry=ring)
    assert matches(point(1, 1), geometry=ring)


def test_parts_of_a_multi_polygon_are_indexed_separately() -> None:
    east = [[[170, 0], [180, 0], [180, 1], [170, 1], [170, 0]]]
    west = [[[-180, 0], [-170, 0], [-170, 1], [-180, 1], [-180, 0]]]
    both = compile_filter(FilterSpec(geometry={"type": "MultiPolygon", "coordinates": [east, west]}))
    assert both.boxes == ((170, 0, 180, 1), (-180, 0, -170, 1))
    assert both.matches(point(-175, 0.5))


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        ({"type": "Point", "coordinates": [0, 0]}, "must be a GeoJSON Polygon or MultiPolygon"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}, "Self-intersection"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1]]]}, "coordinates[0]: the ring is not closed"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}, "coordinates[0]: expected array of length >= 4"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [200, 1], [1, 0], [0, 0]]]}, "coordinates[0][1]: longitude 200.0 is outside"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [float("nan"), 1], [1, 0], [0, 0]]]}, "coordinates[0][1][0]: nan is not a finite"),
        ({"type": "MultiPolygon", "coordinates": []}, "has no polygon"),
        ({"type": "Polygon"}, "coordinates"),
        ("POLYGON((0 0,1 0,1 1,0 0))", "must be a GeoJSON Polygon"),
    ],
)
def test_a_bad_polygon_is_refused_with_its_reason(geometry: Any, reason: str) -> None:
    code, message = refusal(geometry=geometry)
    assert code == "invalid_geometry"
    assert reason in message


def test_a_polygon_of_too_many_vertices_is_refused() -> None:
    circle = json.loads(shapely.to_geojson(shapely.Point(0, 0).buffer(1, quad_segs=20)))
    compile_filter(FilterSpec(geometry=circle), max_vertices=81)
    with pytest.raises(StreamError, match="has 81 vertices, more than the 80 allowed"):
        compile_filter(FilterSpec(geometry=circle), max_vertices=80)


def test_box_and_polygon_are_bounded_by_what_they_have_in_common() -> None:
    assert compile_filter(FilterSpec(bbox=[5, 5, 20, 20], geometry=SQUARE)).boxes == ((5, 5, 10, 10),)
    assert compile_filter(FilterSpec(bbox=[50, 50, 60, 60], geometry=SQUARE)).boxes == ()
    assert compile_filter(FilterSpec(bbox=[170, 0, 5, 5], geometry=SQUARE)).boxes == ((0, 0, 5, 5),)


coordinate = st.integers(-12, 12).map(float)
positions = st.lists(st.tuples(coordinate, coordinate).map(list), min_size=4, max_size=6)


@given(positions, coordinate, coordinate, st.integers(1, 8), st.integers(1, 8))
def test_a_box_agrees_with_shapely(track: list[list[float]], west: float, south: float, width: int, height: int) -> None:
    box = [west, south, west + width, south + height]
    for geometry in ({"type": "LineString", "coordinates": track}, {"type": "MultiPoint", "coordinates": track}):
        assert matches(item(geometry), bbox=box) == bool(shape(geometry).intersects(shapely.box(*box)))


@given(positions, coordinate, coordinate)
def test_nothing_outside_the_boxes_of_a_filter_matches(track: list[list[float]], x: float, y: float) -> None:
    compiled = compile_filter(FilterSpec(bbox=[-5, -5, 5, 5], geometry=TRIANGLE))
    for subject in (line(*track), point(x, y)):
        west, south, east, north = subject.box or (0, 0, 0, 0)
        inside = any(west <= box[2] and east >= box[0] and south <= box[3] and north >= box[1] for box in compiled.boxes or ())
        assert inside or not compiled.matches(subject)


@pytest.mark.parametrize(
    ("wanted", "value", "equal"),
    [
        ("bus", "bus", True),
        ("bus", "Bus", False),
        ("7", 7, True),
        ("7", 7.0, True),
        ("7.0", 7, True),
        ("7", "7", True),
        ("7.0", "7", False),
        ("7.5", 7.5, True),
        ("1", True, False),
        ("0", False, False),
        ("true", True, True),
        ("false", False, True),
        ("true", "true", True),
        ("True", True, False),
        ("true", 1, False),
        ("null", None, False),
        ("12345678901234567891", 12345678901234567891, True),
        ("a", ["a"], False),
    ],
)
def test_pairs_compare_as_text(wanted: str, value: Any, equal: bool) -> None:
    assert matches(item(p=value), filters=[("p", wanted)]) is equal


def test_every_pair_must_match_and_a_missing_property_never_does() -> None:
    bus = item(kind="bus", line=7)
    assert matches(bus, filters=[("kind", "bus"), ("line", "7")])
    assert not matches(bus, filters=[("kind", "bus"), ("line", "8")])
    assert not matches(bus, filters=[("kind", "bus"), ("line", "7"), ("colour", "red")])


@pytest.mark.parametrize("filters", [[("a",)], [("a", 1)], ["ab"], [("a", "b", "c")]])
def test_pairs_that_are_not_pairs_of_texts_are_refused(filters: Any) -> None:
    assert refusal(filters=filters)[0] == "invalid_filter"


@pytest.mark.parametrize(
    ("interval", "time", "inside"),
    [
        ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00Z", True),
        ("2024-05-01T12:00:00Z", "2024-05-01T14:00:00+02:00", True),
        ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00.5Z", False),
        ("2024-05-01T12:00:00Z/2024-05-01T13:00:00Z", "2024-05-01T13:00:00Z", True),
        ("2024-05-01T12:00:00Z/2024-05-01T13:00:00Z", "2024-05-01T13:00:00.000001Z", False),
        ("2024-05-01T12:00:00Z/..", "2999-01-01T00:00:00Z", True),
        ("../2024-05-01T12:00:00Z", "1999-01-01T00:00:00Z", True),
        ("/2024-05-01T12:00:00Z", "2024-05-01T12:00:01Z", False),
        ("2024-05-01", "2024-05-01T23:59:59.999Z", True),
        ("2024-05-01/2024-05-02", "2024-05-03T00:00:00Z", False),
        ("2024-05-01T12:00:00Z", 1714564800000, True),
        ("../..", "yesterday", False),
        ("../..", "2024-05-01T12:00:00", True),
        ("../..", True, False),
        ("../..", None, False),
        ("../..", 0, True),
    ],
)
def test_time_is_judged_on_the_time_property(interval: str, time: Any, inside: bool) -> None:
    assert matches(item(at=time), datetime=interval, time_property="at") is inside


def test_without_a_time_property_the_arrival_counts() -> None:
    assert matches(item(arrived=1714564800000), datetime="2024-05-01T12:00:00Z")
    assert not matches(item(arrived=1714564800001), datetime="../2024-05-01T12:00:00Z")


@pytest.mark.parametrize(
    "interval",
    ["yesterday", "1714564800", "2024-13-01T00:00:00Z", "2024-05-02/2024-05-01", "a/b/c", "", "..", "2024-05-01T12:00:00Z/later"],
)
def test_a_bad_interval_is_refused(interval: str) -> None:
    assert refusal(datetime=interval)[0] == "invalid_datetime"


def test_a_leap_second_is_the_next_minute() -> None:
    assert matches(item(at="2016-12-31T23:59:60Z"), datetime="2017-01-01T00:00:00Z", time_property="at")


def test_conditions_are_joined_by_and() -> None:
    spec = {"bbox": [0, 0, 10, 10], "filters": [("kind", "bus")], "filter": "speed > 5", "datetime": "1970-01-01", "geometry": TRIANGLE}
    assert matches(point(1, 1, kind="bus", speed=6), **spec)
    assert not matches(point(9, 9, kind="bus", speed=6), **spec)
    assert not matches(point(1, 1, kind="tram", speed=6), **spec)
    assert not matches(point(1, 1, kind="bus", speed=5), **spec)
    assert not matches(item({"type": "Point", "coordinates": [1, 1]}, arrived=86_400_000, kind="bus", speed=6), **spec)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"bbox": [0, 0, 1, 1]}, {"bbox": (0.0, -0.0, 1.0, 1.0)}),
        ({"filters": [("a", "1"), ("b", "2")]}, {"filters": [["b", "2"], ["a", "1"], ["a", "1"]]}),
        ({"datetime": "2024-05-01T12:00:00Z/.."}, {"datetime": "2024-05-01T14:00:00+02:00/"}),
        (
            {"geometry": SQUARE},
            {"geometry": {"coordinates": [[[0.0, 0.0], [10, 0], [10, 10], [0, 10], [0, 0]]], "type": "Polygon", "name": "x"}},
        ),
        ({"filter": "speed > 5"}, {"filter": {"op": ">", "args": [{"property": "speed"}, 5]}, "filter_lang": "cql2-json"}),
        ({"time_property": "at"}, {}),
    ],
)
def test_equal_filters_have_equal_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert compile_filter(FilterSpec(**one)).key == compile_filter(FilterSpec(**other)).key


def test_different_filters_have_different_keys() -> None:
    specs: list[dict[str, Any]] = [
        {},
        {"bbox": [0, 0, 1, 1]},
        {"bbox": [0, 0, 1, 2]},
        {"geometry": SQUARE},
        {"geometry": TRIANGLE},
        {"filters": [("a", "1")]},
        {"datetime": "2024-05-01"},
        {"datetime": "2024-05-01", "time_property": "at"},
        {"filter": "a = 1"},
    ]
    assert len({compile_filter(FilterSpec(**spec)).key for spec in specs}) == len(specs)
