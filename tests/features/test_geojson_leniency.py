"""What RFC 7946 lets a reader accept: rounding errors, spare numbers, empty geometries; and longitudes that go on."""

from __future__ import annotations

import json
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.affinity import translate

from streaming.core.errors import StreamError
from streaming.features.geojson import DEFAULT_RULES, FeatureRules, parse_feature, read_feature

WRAP = FeatureRules(wrap_longitude=True)


def stored(geometry: Any, rules: FeatureRules = DEFAULT_RULES, **members: Any) -> Any:
    feature = {"type": "Feature", "id": "a", "geometry": geometry, "properties": None, **members}
    found = json.loads(parse_feature(json.dumps(feature).encode(), rules=rules)[1])
    assert json.loads(parse_feature(feature, rules=rules)[1]) == found
    assert json.loads(parse_feature(json.dumps(found).encode(), rules=rules)[1]) == found
    return found


def geometry(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (geometry("Point", [8, 47, 400, 1533099600]), geometry("Point", [8, 47, 400])),
        (geometry("Point", [8, 47, 400, "2018-08-01T05:00:00Z", None]), geometry("Point", [8, 47, 400])),
        (geometry("LineString", [[8, 47, 400, 1], [9, 47]]), geometry("LineString", [[8, 47, 400], [9, 47]])),
        (geometry("MultiPoint", [[8, 47], [9, 47, 5, 6, 7, 8]]), geometry("MultiPoint", [[8, 47], [9, 47, 5]])),
        (
            geometry("MultiPolygon", [[[[0, 0, 1, 2], [1, 0, 1, 2], [1, 1, 1, 2], [0, 0, 1, 9]]]]),
            geometry("MultiPolygon", [[[[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 0, 1]]]]),
        ),
        (geometry("Point", [180.00000000000014, 10]), geometry("Point", [180, 10])),
        (geometry("Point", [-180.00000000000014, -90.00000000000003]), geometry("Point", [-180, -90])),
        (geometry("LineString", [[180.0000000009, 10], [170, 90.00000000000001]]), geometry("LineString", [[180, 10], [170, 90]])),
        (
            geometry("Polygon", [[[180.00000000000014, 0], [180, 5], [170, 0], [180.00000000000014, 0]]]),
            geometry("Polygon", [[[180, 0], [180, 5], [170, 0], [180, 0]]]),
        ),
    ],
)
def test_spare_numbers_are_left_out_and_rounding_errors_cut_off(given_: Any, kept: Any) -> None:
    assert stored(given_)["geometry"] == kept


@pytest.mark.parametrize("empty", [geometry("Point", []), geometry("LineString", []), geometry("Polygon", []), geometry("Polygon", [[]])])
def test_an_empty_geometry_is_null(empty: Any) -> None:
    assert stored(empty)["geometry"] is None
    collection = {"type": "GeometryCollection", "geometries": [empty, geometry("Point", [1, 2]), empty]}
    assert stored(collection)["geometry"] == {"type": "GeometryCollection", "geometries": [geometry("Point", [1, 2])]}


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (geometry("Point", [181, 5]), geometry("Point", [-179, 5])),
        (geometry("Point", [359.75, 5, 7]), geometry("Point", [-0.25, 5, 7])),
        (geometry("Point", [-541, 5]), geometry("Point", [179, 5])),
        (geometry("MultiPoint", [[170, 1], [190, 2]]), geometry("MultiPoint", [[170, 1], [-170, 2]])),
        (geometry("LineString", [[181, 0], [182, 1]]), geometry("LineString", [[-179, 0], [-178, 1]])),
        (
            geometry("LineString", [[179, 0, 100], [181, 2, 300]]),
            geometry("MultiLineString", [[[179, 0, 100], [180, 1, 200]], [[-180, 1, 200], [-179, 2, 300]]]),
        ),
        (
            geometry("LineString", [[-179, 0], [-181, 2], [-179, 4]]),
            geometry("MultiLineString", [[[-179, 0], [-180, 1]], [[180, 1], [179, 2], [180, 3]], [[-180, 3], [-179, 4]]]),
        ),
        (
            geometry("MultiLineString", [[[0, 0], [1, 1]], [[179, 0], [181, 2]]]),
            geometry("MultiLineString", [[[0, 0], [1, 1]], [[179, 0], [180, 1]], [[-180, 1], [-179, 2]]]),
        ),
        (geometry("LineString", [[170, 0], [180, 0]]), geometry("LineString", [[170, 0], [180, 0]])),
        (geometry("LineString", [[180, 0], [190, 0]]), geometry("LineString", [[-180, 0], [-170, 0]])),
        (
            {"type": "GeometryCollection", "geometries": [geometry("Point", [1, 1]), geometry("Point", [190, 1])]},
            {"type": "GeometryCollection", "geometries": [geometry("Point", [1, 1]), geometry("Point", [-170, 1])]},
        ),
    ],
)
def test_longitudes_that_go_on_are_wrapped_where_the_layer_says_so(given_: Any, kept: Any) -> None:
    assert stored(given_, WRAP)["geometry"] == kept


def test_elsewhere_they_are_refused() -> None:
    with pytest.raises(StreamError, match=r"longitude 181\.0 is outside -180 to 180"):
        stored(geometry("Point", [181, 5]))


def test_a_bbox_is_not_kept_with_wrapped_coordinates() -> None:
    assert "bbox" not in stored(geometry("Point", [181, 5]), WRAP, bbox=[181, 5, 181, 5])
    assert "bbox" in stored(geometry("Point", [179, 5]), WRAP, bbox=[179, 5, 179, 5])


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        (geometry("Point", [181, 91]), "latitude 91"),
        (geometry("LineString", [[181, 0], [181, 91]]), "latitude 91"),
        (geometry("LineString", [[0, 0], [4000, 0]]), "more than ten turns"),
        (geometry("Point", [1e15, 0]), "more than ten turns"),
        (geometry("LineString", [[181, 0]]), "length >= 2"),
        (geometry("Polygon", [[[170, 0], [190, 10], [170, 10], [190, 0], [170, 0]]]), "cannot be split at the antimeridian"),
        ({"type": "GeometryCollection", "geometries": [geometry("Point", [181, 0]), geometry("Point", ["a", 0])]}, "'a' is not a number"),
    ],
)
def test_what_cannot_be_wrapped_is_refused(given_: Any, reason: str) -> None:
    with pytest.raises(StreamError) as caught:
        stored(given_, WRAP)
    assert caught.value.code == "invalid_feature"
    assert reason in caught.value.message


def unwrapped(made: Any, west: float) -> Any:
    """The parts again side by side, the westernmost beginning at `west` or east of it."""
    parts = shapely.get_parts(shapely.from_geojson(json.dumps(made)))
    moved = [translate(part, 360 * turn) for part in parts for turn in (-2, -1, 0, 1, 2)]
    return shapely.union_all(moved)


places = st.tuples(st.integers(-500, 500), st.integers(-80, 80))


@given(st.lists(places, min_size=2, max_size=6, unique=True))
def test_a_split_line_is_the_line(positions: list[tuple[int, int]]) -> None:
    line = shapely.LineString(positions)
    made = stored(geometry("LineString", positions), WRAP)["geometry"]
    parts = shapely.from_geojson(json.dumps(made))
    assert parts.length == pytest.approx(line.length)
    assert unwrapped(made, 0).buffer(1e-6).contains(line)


@given(places, st.integers(1, 300), st.integers(1, 60))
def test_a_split_polygon_is_the_polygon_wound_as_the_rfc_wants_it(corner: tuple[int, int], width: int, height: int) -> None:
    shell = shapely.box(corner[0], corner[1], corner[0] + width, min(90, corner[1] + height))
    hole = shapely.box(corner[0] + width / 4, corner[1] + 0.25, corner[0] + width / 2, corner[1] + 0.5)
    ring = shapely.Polygon(shell.exterior, [hole.exterior])
    made = stored(json.loads(shapely.to_geojson(ring)), WRAP)["geometry"]
    parts = shapely.from_geojson(json.dumps(made))
    assert shapely.is_valid(parts)
    assert parts.area == pytest.approx(ring.area)
    assert unwrapped(made, 0).buffer(1e-6).contains(ring)
    if made["type"] == "MultiPolygon":
        assert all(part.exterior.is_ccw for part in shapely.get_parts(parts))


@pytest.mark.parametrize(
    ("time", "warned"), [("soon", True), (1e300, True), (True, True), ("2018-08-01 05:00", False), (1533099600, False), (None, False)]
)
def test_a_time_that_is_none_is_taken_with_a_warning(time: Any, warned: bool) -> None:
    feature = {"type": "Feature", "id": "a", "geometry": None, "properties": {"t": time}}
    warning = read_feature(feature, 1000, FeatureRules(time_property="t"))[2]
    assert (warning is not None) is warned
    assert warning is None or "is no time" in warning
    assert read_feature(feature, 1000, FeatureRules())[2] is None
