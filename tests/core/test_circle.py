"""Circles as filters: distances are geodesics of WGS 84, to the nearest part of a feature, over poles and antimeridian too."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from streaming.core.circle import MAX_RADIUS, compile_circle
from streaming.core.errors import StreamError
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.items import Item
from tests.core.test_filters import item, point
from tests.profiles import examples

GEOD = Geod(ellps="WGS84")
ZURICH = [8.54, 47.37]
longitudes = st.floats(-180, 180)
latitudes = st.floats(-90, 90)
radii = st.floats(1, 3e6) | st.floats(1, MAX_RADIUS)


def matches(geometry: dict[str, Any] | None, center: Any, radius_m: Any) -> bool:
    """By the filter, by the filter's boxes, and by S_DWITHIN, which must agree."""
    subject = Item('"a"', msgspec.json.encode({"type": "Feature", "id": "a", "geometry": geometry, "properties": None}), 0)
    circle = compile_filter(FilterSpec(center=center, radius_m=radius_m))
    within = compile_filter(
        FilterSpec(filter={"op": "s_dwithin", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": center}, radius_m]})
    )
    assert np.allclose(circle.boxes or (), within.boxes or (), rtol=1e-12, atol=1e-12)
    found = circle.matches(subject)
    assert within.matches(subject) == found
    if found:
        west, south, east, north = subject.box or (0, 0, 0, 0)
        assert any(box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south for box in circle.boxes or ())
    return found


def line(*positions: list[float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": list(positions)}


def distance_to(geometry: dict[str, Any], center: list[float]) -> float:
    """The distance to the nearest place on the edges, by pyproj alone: of a thousand on each, then of a thousand around the nearest."""
    corners = np.asarray(geometry["coordinates"] if geometry["type"] == "LineString" else geometry["coordinates"][0])
    return min(_distance_to_edge(start, end, center) for start, end in pairwise(corners))


def _distance_to_edge(start: np.ndarray, end: np.ndarray, center: list[float], step: float = 0.001) -> float:
    fractions = np.arange(0, 1 + step, step)
    coarse = _distances(start + (end - start) * fractions[:, None], center)
    nearest = int(coarse.argmin())
    around = np.linspace(fractions[max(nearest - 1, 0)], fractions[min(nearest + 1, len(fractions) - 1)], 1000)
    return min(coarse.min(), _distances(start + (end - start) * around[:, None], center).min())


def _distances(places: np.ndarray, center: list[float]) -> np.ndarray:
    return np.asarray(GEOD.inv(*np.broadcast_to(center, places.shape).T, *places.T)[2])


def test_a_point_is_inside_up_to_the_geodesic_distance() -> None:
    berne = {"type": "Point", "coordinates": [7.447447, 46.947974]}
    metres = GEOD.inv(*ZURICH, *berne["coordinates"])[2]  # 95,5 km; on a sphere 95,3
    assert matches(berne, ZURICH, metres + 0.01)
    assert not matches(berne, ZURICH, metres - 0.01)


@pytest.mark.parametrize(
    ("center", "place"),
    [([179.99, 0], [-179.99, 0]), ([-180, 60], [180, 60]), ([0, 89.99], [180, 89.99]), ([10, -89.999], [-120, -89.998])],
)
def test_a_circle_goes_over_the_antimeridian_and_the_poles(center: list[float], place: list[float]) -> None:
    assert matches({"type": "Point", "coordinates": place}, center, 2300)
    assert not matches({"type": "Point", "coordinates": [center[0], center[1] * 0.9 + 3]}, center, 2300)


@pytest.mark.parametrize(
    "geometry",
    [
        line([8, 47], [9, 47.8]),
        line([-170, 10], [170, 80]),
        {"type": "Polygon", "coordinates": [[[9, 47], [10, 47], [10, 48], [9, 47]]]},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [0, 0]}, line([8, 47, 5], [9, 47.8])]},
        {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[8, 47], [9, 47.8]]]},
    ],
)
def test_the_nearest_part_of_a_feature_counts(geometry: dict[str, Any]) -> None:
    nearest = geometry if geometry["type"] in ("LineString", "Polygon") else line([8, 47], [9, 47.8])
    metres = distance_to(nearest, ZURICH)
    assert matches(geometry, ZURICH, metres + 1)
    assert not matches(geometry, ZURICH, metres - 1)


def test_a_circle_within_a_polygon_touches_it_but_not_in_its_hole() -> None:
    ring = [[0, 40], [20, 40], [20, 50], [0, 50], [0, 40]]
    hole = [[5, 45], [12, 45], [12, 49], [5, 49], [5, 45]]
    assert matches({"type": "Polygon", "coordinates": [ring]}, ZURICH, 1)
    assert not matches({"type": "Polygon", "coordinates": [ring, hole]}, ZURICH, 1000)
    assert matches({"type": "Polygon", "coordinates": [ring, hole]}, ZURICH, 300_000)


def test_what_has_no_place_is_in_no_circle() -> None:
    assert not matches(None, ZURICH, MAX_RADIUS)
    assert not matches({"type": "MultiPoint", "coordinates": []}, ZURICH, MAX_RADIUS)


@given(longitudes, latitudes, longitudes, latitudes, radii)
def test_points_are_judged_as_pyproj_measures(x: float, y: float, longitude: float, latitude: float, radius: float) -> None:
    metres = GEOD.inv(longitude, latitude, x, y)[2]
    assert matches({"type": "Point", "coordinates": [x, y]}, [longitude, latitude], radius) == (metres <= radius)


@given(longitudes, latitudes, radii, st.floats(0, 360))
def test_the_boxes_hold_the_whole_circle(longitude: float, latitude: float, radius: float, azimuth: float) -> None:
    x, y, _ = GEOD.fwd(longitude, latitude, azimuth, radius * 0.999999)
    assert matches({"type": "Point", "coordinates": [x, y]}, [longitude, latitude], radius)


@settings(max_examples=examples(30, long=1000))
@given(st.lists(st.tuples(longitudes, latitudes), min_size=2, max_size=4), longitudes, latitudes, radii)
def test_lines_are_judged_by_their_nearest_place(
    positions: list[tuple[float, float]], longitude: float, latitude: float, radius: float
) -> None:
    wanted = line(*map(list, positions))
    nearest = distance_to(wanted, [longitude, latitude])
    found = matches(wanted, [longitude, latitude], radius)
    if nearest <= radius:
        assert found
    if found:
        assert nearest <= radius + 50  # what lies between the places measured


def test_a_hostile_line_along_the_circle_takes_a_bounded_time() -> None:
    around = [GEOD.fwd(*ZURICH, azimuth, 2_000_010)[:2] for azimuth in np.linspace(0, 360, 20_000)]
    circle = compile_circle(ZURICH, 2_000_000)
    began = time.thread_time()
    assert not circle.touches(shapely.LineString(around))
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"center": ZURICH}, "are given together"),
        ({"radius_m": 5}, "are given together"),
        ({"center": [1], "radius_m": 5}, "center must be [longitude, latitude]"),
        ({"center": "8.5,47", "radius_m": 5}, "center must be"),
        ({"center": [8.5, math.nan], "radius_m": 5}, "center must be"),
        ({"center": [8.5, True], "radius_m": 5}, "center must be"),
        ({"center": [181, 0], "radius_m": 5}, "outside the world"),
        ({"center": ZURICH, "radius_m": 0}, "above 0"),
        ({"center": ZURICH, "radius_m": -5}, "above 0"),
        ({"center": ZURICH, "radius_m": math.inf}, "a number of metres"),
        ({"center": ZURICH, "radius_m": "5"}, "a number of metres"),
        ({"center": ZURICH, "radius_m": 1e8}, "at most 20004000"),
    ],
)
def test_a_circle_that_is_none_is_refused(spec: dict[str, Any], reason: str) -> None:
    with pytest.raises(StreamError) as caught:
        compile_filter(FilterSpec(**spec))
    assert caught.value.code == "invalid_circle"
    assert reason in caught.value.message


def test_equal_circles_are_one_filter_and_join_other_conditions() -> None:
    one, other = (compile_filter(FilterSpec(center=center, radius_m=5)) for center in (ZURICH, tuple(ZURICH)))
    assert one.key == other.key
    assert compile_filter(FilterSpec(center=[0, 0], radius_m=1000, bbox=[5, 5, 6, 6])).boxes == ()
    assert compile_filter(FilterSpec(center=[0, 0], radius_m=1000, filters=[("kind", "bus")])).matches(point(0, 0, kind="bus"))
    assert not compile_filter(FilterSpec(center=[0, 0], radius_m=1000, filters=[("kind", "bus")])).matches(item(kind="bus"))


def test_a_filter_with_a_place_in_it_is_indexed_by_its_bounds() -> None:
    def boxes(expression: str) -> Any:
        return compile_filter(FilterSpec(filter=expression)).boxes

    assert boxes("S_INTERSECTS(geometry, BBOX(1, 2, 3, 4)) AND a = 1") == ((1, 2, 3, 4),)
    assert boxes("S_WITHIN(geometry, BBOX(170, 2, -170, 4))") == ((170, 2, 180, 4), (-180, 2, -170, 4))
    assert boxes("S_INTERSECTS(geometry, BBOX(1, 2, 3, 4)) OR a = 1") is None
    assert boxes("S_DISJOINT(geometry, BBOX(1, 2, 3, 4))") is None
    assert boxes("S_INTERSECTS(place, BBOX(1, 2, 3, 4))") is None
    assert boxes("NOT S_INTERSECTS(geometry, BBOX(1, 2, 3, 4))") is None


def test_in_spatial_functions_geometry_is_the_feature_s_geometry() -> None:
    far = {"type": "Point", "coordinates": [50, 50]}
    feature = {"type": "Feature", "id": 1, "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {"geometry": far}}
    subject = Item("1", msgspec.json.encode(feature), 0)
    assert compile_filter(FilterSpec(filter="S_INTERSECTS(geometry, BBOX(0, 0, 5, 5))")).matches(subject)
