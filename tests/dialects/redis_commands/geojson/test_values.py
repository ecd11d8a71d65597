"""What is read of what publishers write, and which boxes it is in."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.dialects.redis_commands.geojson.crs import WGS84
from streaming.dialects.redis_commands.geojson.values import MAX_DEPTH, BadValue, Value
from tests.dialects.redis_commands.documents import (
    BOX,
    ETRS89,
    MERCATOR,
    SQUARE,
    Box,
    boxed,
    collection,
    feature,
    geometry,
    passes,
    point,
    shown,
    value,
)
from tests.profiles import examples


@pytest.mark.parametrize("text", [b"", b" ", b"hello", b"NaN", b"[Infinity]", b"1e999", b'"\xff"', b"{", b"1 2", b"[" * 5000 + b"]" * 5000])
def test_what_cannot_be_handed_on_is_refused(text: bytes) -> None:
    with pytest.raises(BadValue):
        Value(text)


def test_depth_is_bounded() -> None:
    def nested(levels: int) -> bytes:
        return b'{"text":"' + b"[" * 300 + b'","a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    Value(nested(MAX_DEPTH))
    with pytest.raises(BadValue, match="deep"):
        Value(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("text", [b"1", b'"s"', b"null", b"[]", b'{"dup": 1, "dup": 2}', b'{"big": 12345678901234567890123, "f": 1.0}'])
def test_what_is_no_geojson_passes_and_goes_out_as_it_came(text: bytes) -> None:
    filters = boxed()
    filters.set_projection(MERCATOR)
    assert filters.passes(Value(text))
    assert filters.content(Value(text)) == text


@pytest.mark.parametrize(
    "document",
    [
        {"type": ["Feature"]},
        {"type": "FeatureCollection"},
        {"type": "FeatureCollection", "features": {}},
        {"type": "Topology"},
        [point(9, 9)],
    ],
)
def test_what_only_looks_like_geojson_is_none(document: Any) -> None:
    assert passes(document)
    assert shown(document) == document


@pytest.mark.parametrize(
    ("where", "inside"),
    [
        (geometry("Point", [1, 2]), True),
        (geometry("Point", [3, 4]), True),
        (geometry("Point", [3.0001, 4]), False),
        (geometry("Point", [2, 3, 400, 7]), True),
        (geometry("MultiPoint", [[0, 0], [2, 3]]), True),
        (geometry("MultiPoint", [[0, 0], [9, 9]]), False),
        (geometry("LineString", [[0, 3], [9, 3]]), True),
        (geometry("LineString", [[0, 4], [9, 4]]), True),
        (geometry("LineString", [[0, 3.5], [3.5, 7]]), False),
        (geometry("LineString", [[2, 3]]), True),
        (geometry("LineString", [[2, 3], [2, 3]]), True),
        (geometry("MultiLineString", [[[0, 0], [9, 0]], [[0, 3], [9, 3]], []]), True),
        (geometry("Polygon", [SQUARE]), True),
        (geometry("Polygon", [SQUARE[:-1]]), True),
        (geometry("Polygon", [SQUARE, [[0.5, 1], [5, 1], [5, 5], [0.5, 5], [0.5, 1]]]), False),
        (geometry("Polygon", [SQUARE, [[1.5, 2.5], [2.5, 2.5], [2.5, 3.5], [1.5, 2.5]]]), True),
        (geometry("Polygon", [SQUARE, [[2, 3]], []]), True),
        (geometry("Polygon", [[[2, 3], [9, 9]]]), True),
        (geometry("Polygon", [[[0, 3.5], [3.5, 7], [0, 7], [0, 3.5]]]), False),
        (geometry("Polygon", [[[0, 0], [5, 5], [5, 0], [0, 5], [0, 0]]]), True),
        (geometry("MultiPolygon", [[[[0, 0], [0, 1], [1, 1], [0, 0]]], [[[2, 3], [9, 3], [9, 9], [2, 3]]]]), True),
        ({"type": "GeometryCollection", "geometries": [geometry("Point", [9, 9]), geometry("Point", [2, 3])]}, True),
        ({"type": "GeometryCollection", "geometries": [geometry("Point", [9, 9]), geometry("Point", [])]}, False),
        (
            {
                "type": "GeometryCollection",
                "geometries": [{"type": "GeometryCollection", "geometries": [geometry("LineString", [[0, 3], [9, 3]])]}],
            },
            True,
        ),
    ],
)
def test_a_geometry_is_in_the_closed_box_if_it_touches_it(where: Any, inside: bool) -> None:
    assert passes(feature(where)) is inside
    assert passes(where) is inside
    assert passes(collection(point(99, 9), feature(where))) is inside


@pytest.mark.parametrize(
    "where",
    [
        None,
        geometry("Point", []),
        geometry("LineString", []),
        geometry("Polygon", [[]]),
        geometry("MultiPolygon", [[], [[]]]),
        {"type": "GeometryCollection", "geometries": []},
        geometry("Circle", [99, 9]),
        {"type": "GeometryCollection", "geometries": [geometry("Circle", [2, 3]), geometry("Point", [99, 9])]},
    ],
)
def test_what_has_no_place_always_passes(where: Any) -> None:
    assert passes(feature(where))
    assert passes(collection(feature(where), point(99, 9)))


BROKEN = [
    "Point",
    [],
    geometry("Point", None),
    geometry("Point", [1]),
    geometry("Point", ["1", "2"]),
    geometry("Point", [1, None]),
    geometry("Point", [[1, 2]]),
    geometry("Polygon", [[1, 2], [3, 4]]),
    geometry("Point", [10**400, 1]),
    {"type": "GeometryCollection"},
    {"type": "GeometryCollection", "geometries": [geometry("Point", [2, 3]), None]},
]


@pytest.mark.parametrize("where", BROKEN, ids=str)
def test_a_geometry_nobody_can_read_is_in_no_box_and_null_elsewhere(where: Any) -> None:
    assert value(feature(where)).invalid
    assert not passes(feature(where))
    assert passes(collection(feature(where), point(2, 3)))
    assert shown(feature(where))["geometry"] is None
    assert shown(feature(where), WGS84)["geometry"] == where


@pytest.mark.parametrize("member", [None, 7, [], {}, {"type": "Station"}, {"type": "Feature"}])
def test_strange_members_of_collections_pass_and_stay(member: Any) -> None:
    assert passes(collection(member, point(99, 9)))
    assert shown(collection(member))["features"] == [member]


def test_an_empty_collection_passes() -> None:
    assert passes(collection())


@pytest.mark.parametrize("box", [(3.0, 2.0, 1.0, 4.0), (1.0, 4.0, 3.0, 2.0)])
def test_a_swapped_box_holds_nothing_that_is_between_its_sides(box: Box) -> None:
    assert not passes(point(2, 3), box)


@pytest.mark.parametrize("box", [(-inf, -inf, inf, inf), (-inf, 3.0, inf, 3.0), (2.0, 3.0, 2.0, 3.0), (2.0, -inf, 2.0, inf)])
def test_boxes_may_be_infinite_or_thin(box: Box) -> None:
    assert passes(point(2, 3), box)
    assert passes(feature(geometry("LineString", [[0, 1], [4, 5]])), box)
    assert passes(feature(geometry("Polygon", [SQUARE])), box)


@pytest.mark.parametrize(
    ("x", "inside"), [(170, True), (179.5, True), (180, True), (-180, True), (-170, True), (0, False), (-169, False), (169, False)]
)
def test_in_degrees_a_box_may_cross_the_antimeridian(x: float, inside: bool) -> None:
    pacific = (170.0, -10.0, -170.0, 10.0)
    assert passes(point(x, 0), pacific) is inside
    assert passes(feature(geometry("LineString", [[x, -20], [x, 20]])), pacific) is inside
    assert passes(point(x, 0), pacific, ETRS89) is inside
    assert not passes(point(x, 11), pacific)


def test_what_spans_the_world_without_touching_the_two_sides_is_outside() -> None:
    low = geometry("LineString", [[-180, -20], [0, 20], [180, -20]])
    assert not passes(low, (170.0, -10.0, -170.0, 10.0))


def test_in_metres_left_of_right_is_empty() -> None:
    assert not passes(point(0.1, 3.5), (20000.0, 300000.0, 0.0, 400000.0), MERCATOR)
    assert passes(point(0.1, 3.5), (0.0, 300000.0, 20000.0, 400000.0), MERCATOR)


def test_what_the_crs_of_the_box_cannot_express_is_not_in_it() -> None:
    assert not passes(point(0, 91), (-inf, -inf, inf, inf), MERCATOR)


sides = st.tuples(st.integers(-8, 8), st.integers(-8, 8)).map(sorted)
rings = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=6)


@settings(max_examples=examples(50, long=1000))
@given(sides, sides, rings, st.sampled_from(["LineString", "Polygon", "MultiPoint"]))
def test_the_box_test_is_that_of_the_geometry_library(xs: list[int], ys: list[int], positions: Any, kind: str) -> None:
    drawn = {"LineString": shapely.LineString, "Polygon": shapely.Polygon, "MultiPoint": shapely.MultiPoint}[kind](positions)
    if not drawn.is_valid:
        return
    coordinates = [positions] if kind == "Polygon" else positions
    box = (float(xs[0]), float(ys[0]), float(xs[1]), float(ys[1]))
    touching = shapely.box(*box) if box[0] < box[2] and box[1] < box[3] else shapely.LineString([box[:2], box[2:]])
    if box[:2] == box[2:]:
        touching = shapely.Point(box[:2])
    assert passes(geometry(kind, coordinates), box) is bool(touching.intersects(drawn))


def test_the_many_of_a_collection_are_judged_like_each_alone() -> None:
    members = [
        point(2, 3),
        point(179, 3),
        point(0, 91),
        feature(None),
        feature(geometry("LineString", [[0, 3], [9, 3]])),
        feature(geometry("LineString", [[0, 3.5], [3.5, 7]])),
        feature("broken"),
        feature(geometry("Circle", [99, 9])),
    ]
    for box in (BOX, (170.0, -10.0, -170.0, 10.0), (3.0, 4.0, 1.0, 2.0), (-inf, -inf, inf, inf)):
        area = boxed(box).area
        alone = [member for member in members if passes(member, box)]
        assert json.loads(value(collection(*members)).content(trim=area))["features"] == alone
