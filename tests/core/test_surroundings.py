"""`S_DWITHIN` of any literal geometry: metres between the nearest parts of two geometries.

What is right is known from elsewhere: shapely's plane distance of dense outlines in an azimuthal projection around them (near), and the
nearest of many places by pyproj (far).
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Proj
from shapely.geometry.base import BaseGeometry

from streaming.core.expressions import compile_expression
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.items import Item
from streaming.core.surroundings import Surroundings
from tests.profiles import examples

GEOD = Geod(ellps="WGS84")
SQUARE = shapely.Polygon([(0, 40), (20, 40), (20, 50), (0, 50)], [[(5, 45), (12, 45), (12, 49), (5, 49)]])


def geojson(geometry: BaseGeometry) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.decode(shapely.to_geojson(geometry))
    return made


def matches(literal: BaseGeometry | dict[str, Any], radius_m: float, subject: BaseGeometry | None) -> bool:
    """With the property on either side, in JSON and in text; within the filter's boxes."""
    geometry = None if subject is None else geojson(subject)
    item = Item('"a"', msgspec.json.encode({"type": "Feature", "id": "a", "geometry": geometry, "properties": None}), 0)
    given = literal if isinstance(literal, dict) else geojson(literal)
    property_ = {"property": "geometry"}
    filters = [
        compile_filter(FilterSpec(filter={"op": "s_dwithin", "args": [*sides, float(radius_m)]}))
        for sides in ((property_, given), (given, property_))
    ]
    if not isinstance(literal, dict):
        text = shapely.to_wkt(literal, rounding_precision=-1)
        filters.append(compile_filter(FilterSpec(filter=f"S_DWITHIN(geometry, {text}, {float(radius_m)!r})")))
    found = {one.matches(item) for one in filters}
    assert len(found) == 1
    if True in found and subject is not None:
        west, south, east, north = subject.bounds
        assert any(box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south for box in filters[0].boxes or ())
    return found.pop()


def by_shapely(one: BaseGeometry, other: BaseGeometry) -> float:
    """The distance of what is within some kilometres: edges are cut into pieces of metres, then projected."""
    x, y = shapely.centroid(shapely.union(one, other)).coords[0]
    project = Proj(proj="aeqd", lon_0=x, lat_0=y, ellps="WGS84")
    dense = (
        shapely.transform(shapely.segmentize(each, 1e-3), lambda places: np.stack(project(*places.T), axis=1)) for each in (one, other)
    )
    distance: float = shapely.distance(*dense)
    return distance


_offsets = st.integers(-500, 500).map(lambda number: number / 10_000)
places = st.tuples(_offsets, _offsets)
shapes = st.one_of(
    places.map(shapely.Point),
    st.lists(places, min_size=2, max_size=5).map(shapely.LineString),
    st.lists(places, min_size=1, max_size=5).map(shapely.MultiPoint),
    st.lists(places, min_size=4, max_size=6).map(lambda some: shapely.convex_hull(shapely.MultiPoint(some))),
    st.tuples(places, places).map(lambda some: shapely.box(*map(min, *some), *map(max, *some))),
).filter(lambda shape: bool(shape.is_valid))


@settings(max_examples=examples(40, long=800))
@given(shapes, shapes, places, st.floats(-175, 175), st.floats(-80, 80))
def test_distances_are_those_of_shapely_in_a_projection(
    one: BaseGeometry, other: BaseGeometry, apart: tuple[float, float], longitude: float, latitude: float
) -> None:
    one = shapely.transform(one, lambda positions: np.add(positions, [longitude, latitude]))
    other = shapely.transform(other, lambda positions: np.add(positions, [longitude + apart[0] * 3, latitude + apart[1] * 3]))
    metres = by_shapely(one, other)
    assert matches(one, metres + 0.2 + metres * 1e-5, other)
    assert metres < 1 or not matches(one, max(0.001, metres - 0.2 - metres * 1e-5), other)


def nearest(one: BaseGeometry, other: BaseGeometry, pieces: int = 150) -> float:
    """The least distance between many places of two outlines, by pyproj alone."""
    ways = [shapely.line_interpolate_point(each, np.linspace(0, 1, pieces), normalized=True) for each in (one, other)]
    a, b = (shapely.get_coordinates(way) for way in ways)
    pairs = np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))
    return float(GEOD.inv(*(column.copy() for places in pairs for column in places.T))[2].min())


far = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


@settings(max_examples=examples(20, long=500))
@given(st.tuples(far, far), st.tuples(far, far))
def test_lines_around_the_world_are_judged_by_their_nearest_places(one: Any, other: Any) -> None:
    line, subject = shapely.LineString(one), shapely.LineString(other)
    metres = 0.0 if line.intersects(subject) else nearest(line, subject)
    radius = min(20_004_000, metres + 1)
    assert matches(line, radius, subject)
    assert metres < 500_000 or not matches(line, metres - 500_000, subject)


@pytest.mark.parametrize(
    ("literal", "subject", "metres"),
    [
        (shapely.LineString([(179.9, 0), (179.95, 1)]), shapely.Point(-179.95, 1), GEOD.inv(179.95, 1, -179.95, 1)[2]),
        (shapely.box(-180, -1, -179.99, 1), shapely.LineString([(179.5, 0), (179.98, 0)]), GEOD.inv(179.98, 0, -180, 0)[2]),
        (shapely.Point(180, 5), shapely.box(-180, 0, -179, 10), 0.001),
        (shapely.LineString([(0, 89), (0, 89.5)]), shapely.LineString([(180, 89), (180, 89.5)]), GEOD.inv(0, 89.5, 180, 89.5)[2]),
        (shapely.LineString([(-100, 90), (100, 90)]), shapely.Point(20, 89.9), GEOD.inv(20, 89.9, 0, 90)[2]),
        (SQUARE, shapely.Point(8.54, 47.37), GEOD.inv(8.54, 47.37, 8.54, 49)[2]),
        (SQUARE, shapely.Point(15, 47), 0.001),
        (shapely.Point(8.54, 47.37), SQUARE, GEOD.inv(8.54, 47.37, 8.54, 49)[2]),
        (shapely.GeometryCollection([shapely.Point(0, 0), SQUARE]), shapely.Point(-1, 0), GEOD.inv(0, 0, -1, 0)[2]),
        (shapely.MultiPoint([(10, 10), (50, 50)]), shapely.LineString([(50, 51), (50, 52)]), GEOD.inv(50, 50, 50, 51)[2]),
    ],
)
def test_antimeridian_poles_holes_and_parts(literal: BaseGeometry, subject: BaseGeometry, metres: float) -> None:
    slack = 2 if literal.geom_type == "Polygon" or subject.geom_type == "Polygon" else 0.1
    assert matches(literal, metres * 1.001 + slack, subject)
    assert metres < 1 or not matches(literal, metres * 0.9, subject)


def test_heights_are_ignored() -> None:
    line = shapely.LineString([(0, 0, 7), (1, 0, 9000)])
    assert matches(line, 1, shapely.Point(0.5, 0, -5))


def test_a_box_is_a_geometry_too() -> None:
    subject = shapely.Point(-169, 0)
    metres = GEOD.inv(-170, 0, -169, 0)[2]
    for box in ([170, -10, -170, 10], [-170, 0, -170, 0]):
        assert matches({"bbox": box}, metres + 1, subject)
        assert not matches({"bbox": box}, metres - 1, subject)
    assert compile_expression("S_DWITHIN(BBOX(170, -10, -170, 10), place, 1000)").matches({"place": geojson(shapely.Point(175, 0))})


def test_what_has_no_place_is_near_nothing() -> None:
    assert not matches(SQUARE, 20_004_000, None)
    assert not matches(SQUARE, 20_004_000, shapely.MultiPoint())
    assert not compile_expression("S_DWITHIN(LINESTRING(0 0, 1 1), place, 5)").matches({"place": {"type": "Nothing"}})


def test_a_filter_is_indexed_by_the_surroundings_of_each_part() -> None:
    boxes = Surroundings(shapely.MultiPoint([(10, 0), (179.9995, 60)]), 111.3).boxes
    assert np.allclose(
        boxes, [(9.999, -0.001, 10.001, 0.001), (179.9975, 59.999, 180, 60.001), (-180, 59.999, -179.9985, 60.001)], atol=1e-4
    )
    many = shapely.MultiPoint([(number, 0) for number in range(20)])
    assert len(Surroundings(many, 1).boxes) == 1
    assert Surroundings(shapely.box(-170, 0, 170, 10), 2_000_000).boxes[0][::2] == (-180, 180)


def test_long_outlines_take_no_longer_than_they_need() -> None:
    steps = np.random.default_rng(1).normal(size=(22_000, 2)) * 0.01
    literal = shapely.LineString(np.add(np.cumsum(steps[:2000], axis=0), [8, 47]))
    subject = shapely.LineString(np.add(np.cumsum(steps[2000:], axis=0), [9, 47]))
    project = Proj(proj="aeqd", lon_0=8.5, lat_0=47, ellps="WGS84")
    metres = shapely.distance(*(shapely.transform(line, lambda xy: np.stack(project(*xy.T), axis=1)) for line in (literal, subject)))
    for radius, found in ((metres * 1.01, True), (metres * 0.99, False)):
        surroundings = Surroundings(literal, radius)
        began = time.thread_time()
        assert surroundings.touches(subject) is found
        assert time.thread_time() - began < 1


def test_hostile_outlines_take_a_bounded_time() -> None:
    zigzag = np.tile([-170.0, 170.0], 1000)
    literal = shapely.LineString(np.stack([zigzag, np.linspace(10, 10.001, 2000)], axis=1))
    subject = shapely.LineString(np.stack([zigzag, np.linspace(11, 11.001, 2000)], axis=1))
    surroundings = Surroundings(literal, GEOD.inv(0, 10.001, 0, 11)[2] - 0.5)
    began = time.thread_time()
    assert not surroundings.touches(subject)
    assert time.thread_time() - began < 5
