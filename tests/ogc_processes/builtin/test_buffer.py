"""`buffer`: what is said of the distance is measured with geodesics, which no projection has a part in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

import streaming
from processes.builtin.buffer import buffered
from processes.worker import BadInput
from tests.profiles import examples

from .conftest import Call, collection, feature

GEOD = Geod(ellps="WGS84")
COUNTRIES = Path(streaming.__file__).parent / "static/streaming/demo/countries-110m.geojson"


def distances(geometry: Any, places: Any, step: float) -> Any:
    """Metres from places to the nearest position of a geometry whose edges are cut to `step` degrees."""
    near = shapely.get_coordinates(shapely.segmentize(geometry, step))
    closest = np.argsort(-(on_sphere(places) @ on_sphere(near).T), axis=1)[:, :20]  # of the ellipsoid one of these
    return np.array(
        [
            GEOD.inv(np.full(len(some), x), np.full(len(some), y), *near[some].T)[2].min()
            for (x, y), some in zip(places, closest, strict=True)
        ]
    )


def on_sphere(places: Any) -> Any:
    longitude, latitude = np.radians(np.asarray(places)).T
    return np.column_stack((np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)))


def edge(area: Any, most: int = 200) -> Any:
    """Positions of an area's boundary, without those that are no boundary on the Earth."""
    places = shapely.get_coordinates(shapely.segmentize(area.boundary, shapely.length(area.boundary) / most))
    return places[(np.abs(places[:, 0]) < 180 - 1e-9) & (np.abs(places[:, 1]) < 90 - 1e-9)]


def area_of(area: Any) -> float:
    return abs(GEOD.geometry_area_perimeter(shapely.orient_polygons(area))[0])


@pytest.mark.parametrize(
    ("wkt", "distance", "step"),
    [
        ("POINT (7 46)", 100.0, 1.0),
        ("POINT (7 46)", 2_000_000.0, 1.0),
        ("POINT (179.99 -16)", 50_000.0, 1.0),
        ("POINT (0 90)", 500_000.0, 1.0),
        ("POINT (30 -89.5)", 1_000_000.0, 1.0),
        ("LINESTRING (0 60, 1.2 60.4, 1 60.6)", 500.0, 0.0001),
        ("LINESTRING (-60 50, 10 50)", 100_000.0, 0.01),
        ("LINESTRING (0 80, 170 85)", 500_000.0, 0.05),
        ("MULTILINESTRING ((170 10, 180 12), (-180 12, -170 14))", 50_000.0, 0.01),
        ("POLYGON ((8 46, 9 46, 9 47, 8 47, 8 46))", 5_000.0, 0.001),
        ("POLYGON ((-10 40, 30 40, 30 60, -10 60, -10 40))", 20_000.0, 0.01),
        ("MULTIPOINT ((0 0), (120 40))", 300_000.0, 1.0),
        ("GEOMETRYCOLLECTION (POINT (0 0), LINESTRING (1 0, 2 0))", 10_000.0, 0.001),
    ],
)
def test_the_edge_is_where_the_distance_is(wkt: str, distance: float, step: float) -> None:
    geometry = shapely.from_wkt(wkt)
    area = buffered(geometry, distance)
    assert area.is_valid and shapely.box(-180, -90, 180, 90).covers(area)
    found = distances(geometry.boundary if "POLYGON" in wkt else geometry, edge(area), step)
    assert found.min() == pytest.approx(distance, rel=0.005) and found.max() == pytest.approx(distance, rel=0.005)


@pytest.mark.parametrize("wkt", ["POINT (7 46)", "POINT (180 70)", "POINT (-179.9 -3)", "POINT (12 89.9)", "POINT (0 -90)"])
@pytest.mark.parametrize("distance", [10.0, 100_000.0, 3_000_000.0])
def test_a_circle_is_as_large_everywhere(wkt: str, distance: float) -> None:
    radius = 6_371_007.2  # of the sphere with the area of the Earth
    cap = 2 * np.pi * radius**2 * (1 - np.cos(distance / radius))
    polygon = 64 / (2 * np.pi) * np.sin(2 * np.pi / 64)  # the circle has 64 corners
    assert area_of(buffered(shapely.from_wkt(wkt), distance)) == pytest.approx(cap * polygon, rel=0.012)  # the Earth is no sphere


def test_a_negative_distance_shrinks() -> None:
    area = shapely.box(8, 46, 9, 47)
    smaller = buffered(area, -2_000.0)
    assert area.contains(smaller)
    assert distances(area.boundary, edge(smaller), 0.0005) == pytest.approx(2_000.0, rel=0.005)
    assert buffered(area, -100_000.0).is_empty
    assert buffered(shapely.Point(0, 0), -1.0).is_empty


def test_what_is_split_at_the_antimeridian_has_no_edge_there() -> None:
    split = shapely.from_wkt(
        "MULTIPOLYGON (((170 -10, 180 -10, 180 10, 170 10, 170 -10)), ((-180 -10, -170 -10, -170 10, -180 10, -180 -10)))"
    )
    smaller = buffered(split, -100_000.0)
    whole = buffered(shapely.box(-10, -10, 10, 10), -100_000.0)
    assert area_of(smaller) == pytest.approx(area_of(whole), rel=1e-6)
    assert smaller.bounds[0] == -180 and smaller.bounds[2] == 180


@pytest.mark.long_form(only=True)
def test_countries_grow_and_shrink(call: Call) -> None:
    """Antarctica has the pole, Russia and Fiji are on both sides of the antimeridian."""
    countries = json.loads(COUNTRIES.read_text())
    some = collection(*(each for each in countries["features"] if each["properties"]["name"] in ("Antarctica", "Russia", "Fiji", "Chad")))
    before = [shapely.from_geojson(json.dumps(each["geometry"])) for each in some["features"]]
    for distance in (5_000.0, -5_000.0):
        made = call("buffer", features=some, distance=distance)
        after = [shapely.from_geojson(json.dumps(each["geometry"])) for each in made["features"]]
        assert [each["properties"] for each in made["features"]] == [each["properties"] for each in some["features"]]
        for old, new in zip(before, after, strict=True):
            assert new.is_valid
            smaller, larger = (old, new) if distance > 0 else (new, old)
            assert smaller.difference(larger).area < 1e-6 * smaller.area and larger.area > smaller.area


def test_features_dissolve(call: Call) -> None:
    points = collection(*(feature({"type": "Point", "coordinates": [x, 0]}, x) for x in (0, 1, 90)))
    assert len(call("buffer", features=points, distance=60_000)["features"]) == 3
    (together,) = call("buffer", features=points, distance=60_000, dissolve=True)["features"]
    assert len(together["geometry"]["coordinates"]) == 2


def test_a_geometry_a_feature_and_a_collection_are_taken(call: Call) -> None:
    point = {"type": "Point", "coordinates": [7, 46]}
    made = [call("buffer", features=each, distance=10) for each in (point, feature(point), collection(feature(point, 5, name="a")))]
    assert made[0] == made[1]
    (kept,) = made[2]["features"]
    assert (kept["id"], kept["properties"]) == (5, {"name": "a"})


def test_what_has_no_geometry_stays_without(call: Call) -> None:
    made = call("buffer", features=collection(feature(None), feature({"type": "Polygon", "coordinates": []})), distance=10)
    assert [each["geometry"] for each in made["features"]] == [None, None]


@pytest.mark.parametrize(
    ("features", "distance", "name", "reason"),
    [
        ({"type": "Nonsense"}, 1, "features", "must be a GeoJSON"),
        ({"type": "Point", "coordinates": [200, 0]}, 1, "features", "longitude 200"),
        ({"type": "FeatureCollection", "features": 3}, 1, "features", "must be a list"),
        (collection(feature(None), {"type": "Nothing"}), 1, "features", r"features\[1\]"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 2]]]}, 1, "features", "not closed"),
        ({"type": "Point", "coordinates": [0, 0]}, 0, "distance", "must not be 0"),
    ],
)
def test_bad_input_is_named(call: Call, features: Any, distance: float, name: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as error:
        call("buffer", features=features, distance=distance)
    assert error.value.input == name


def test_the_size_is_bounded(call: Call, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_FEATURES, settings.GEOSTREAM_PROCESS_POSITIONS = 2, 3
    point = feature({"type": "Point", "coordinates": [0, 0]})
    with pytest.raises(BadInput, match="3 features are more than the 2"):
        call("buffer", features=collection(point, point, point), distance=1)
    with pytest.raises(BadInput, match="4 positions are more than the 3"):
        call("buffer", features={"type": "LineString", "coordinates": [[0, 0], [1, 1], [2, 2], [3, 3]]}, distance=1)


@settings(max_examples=examples(30, long=1000))
@given(
    st.floats(-180, 180), st.floats(-90, 90), st.floats(0.5, 6.5).map(lambda exponent: 10**exponent), st.floats(0, 360), st.floats(0, 2)
)  # fmt: skip
def test_places_are_in_it_that_are_near_enough(longitude: float, latitude: float, distance: float, azimuth: float, part: float) -> None:
    area = buffered(shapely.Point(longitude, latitude), distance, segments=32)
    assert area.is_valid
    x, y, _ = GEOD.fwd(longitude, latitude, azimuth, distance * part)
    if abs(part - 1) > 0.01:
        assert area.intersects(shapely.Point(x, y)) == (part < 1)
