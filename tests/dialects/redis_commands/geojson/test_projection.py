"""GeoJSON of publishers in the CRS of a client."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.dialects.redis_commands.geojson.crs import WGS84
from streaming.dialects.redis_commands.geojson.values import Value
from tests.dialects.redis_commands.documents import (
    MERCATOR,
    SQUARE,
    SWISS,
    UTM32,
    boxed,
    collection,
    crs,
    feature,
    geometry,
    near,
    point,
    shown,
    strictly,
    value,
)
from tests.profiles import examples


def test_every_type_is_projected_nested_as_it_was_and_keeps_its_heights() -> None:
    for kind, depth in (("Point", 0), ("MultiPoint", 1), ("LineString", 1), ("MultiLineString", 2), ("Polygon", 2), ("MultiPolygon", 3)):
        coordinates: Any = [0.1, 3.5, 400, 7]
        for _ in range(depth):
            coordinates = [coordinates, coordinates]
        made = shown(feature(geometry(kind, coordinates)))["geometry"]["coordinates"]
        for _ in range(depth):
            assert len(made) == 2
            made = made[1]
        assert made == near([11131.949079327358, 389860.7582541958, 400, 7])


def test_members_of_collections_are_projected_each() -> None:
    inner = {"type": "GeometryCollection", "geometries": [geometry("Point", [0.1, 3.5]), geometry("Circle", [1, 2])]}
    made = shown({"type": "GeometryCollection", "geometries": [geometry("LineString", []), inner, geometry("Point", [2, 3])]})["geometries"]
    assert made[0] == geometry("LineString", [])
    assert made[1]["geometries"][0]["coordinates"] == near([11131.949079327358, 389860.7582541958])
    assert made[1]["geometries"][1] == geometry("Circle", [1, 2])
    assert made[2]["coordinates"] == near([222638.98158654713, 334111.1714019596])


def test_other_members_are_kept() -> None:
    document = feature(geometry("Point", [0, 0], note="here"), id=7, extra={"a": [1.0, None]})
    made = shown(document)
    assert (made["id"], made["extra"], made["geometry"]["note"]) == (7, {"a": [1.0, None]}, "here")
    assert list(made) == list(document)


@pytest.mark.parametrize("where", [geometry("Point", [0, 91]), geometry("MultiPoint", [[0, 0], [0, 91]]), geometry("Point", [1e300, 0])])
def test_what_the_crs_cannot_express_becomes_null(where: Any) -> None:
    made = shown(collection(feature(where, bbox=[0, 0, 1, 1]), point(0, 0)))["features"]
    assert made[0] == feature(None)
    assert made[1]["geometry"]["coordinates"] == near([0, 0])
    assert shown(where) is None


def test_half_the_world_is_no_utm_zone() -> None:
    assert shown(point(-90, 0), UTM32)["geometry"] is None


def test_every_bbox_member_is_projected() -> None:
    degrees, metres = [0, 3, 1, 4], near([0.0, 334111.1714019596, 111319.49079327357, 445640.10965602624])
    made = shown(collection(feature(geometry("Point", [0.1, 3.5], bbox=degrees), bbox=degrees), bbox=degrees))
    assert made["bbox"] == metres
    assert made["features"][0]["bbox"] == metres
    assert made["features"][0]["geometry"]["bbox"] == metres
    assert shown(collection(bbox=degrees))["bbox"] == metres


def test_a_bbox_keeps_its_heights() -> None:
    made = shown(feature(None, bbox=[0, 3, -5, 1, 4, 400]))["bbox"]
    assert made == near([0.0, 334111.1714019596, -5, 111319.49079327357, 445640.10965602624, 400])


def test_a_bbox_encloses_the_box_in_a_crs_where_it_is_bent() -> None:
    left, bottom, right, top = shown(feature(None, bbox=[6, 45, 11, 48]), SWISS)["bbox"]
    for x in (6, 7, 8.5, 10, 11):
        for y in (45, 48):
            easting, northing = shown(point(x, y), SWISS)["geometry"]["coordinates"]
            assert left - 1 <= easting <= right + 1
            assert bottom - 1 <= northing <= top + 1


@pytest.mark.parametrize("bbox", [None, [1, 2, 3], ["a", 1, 2, 3], [0, -95, 1, 95], {}])
def test_a_bbox_that_cannot_be_projected_is_left_out(bbox: Any) -> None:
    assert shown(feature(None, bbox=bbox)) == feature(None)


def test_without_a_projection_the_bytes_are_those_published() -> None:
    text = b'{ "type":"Feature", "geometry":{"type":"Point","coordinates":[1, 2.50]}, "bbox":7 }'
    assert Value(text).content() is text
    assert Value(text).content(WGS84) is not None


def test_a_value_is_written_once_per_crs() -> None:
    one = value(point(0.1, 3.5))
    assert one.content(MERCATOR) is one.content(crs(3857))
    assert one.content(MERCATOR) != one.content(SWISS)


def test_one_answer_does_not_change_another() -> None:
    document = collection(feature(geometry("Polygon", [SQUARE], bbox=[0, 0, 9, 9]), bbox=[0, 0, 9, 9]), bbox=[0, 0, 9, 9])
    one = value(document)
    one.content(MERCATOR)
    one.content(SWISS, boxed().area)
    assert one.content(MERCATOR) == value(document).content(MERCATOR)
    assert json.loads(one.content()) == document


jsons = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4),
)
kinds = st.sampled_from(["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection", "Circle"])


@settings(max_examples=examples(50, long=1000))
@given(kinds, jsons, jsons)
def test_nothing_a_publisher_writes_breaks_boxes_or_projections(kind: str, coordinates: Any, bbox: Any) -> None:
    where = {"type": kind, "coordinates": coordinates, "geometries": coordinates, "bbox": bbox}
    for document in (where, feature(where, bbox=bbox), collection(feature(where), where, coordinates, bbox=bbox)):
        filters = boxed()
        filters.set_projection(UTM32)
        filters.trim = True
        filters.passes(value(document))
        strictly(filters.content(value(document)))
        boxed((0.0, 0.0, 1e6, 1e6), UTM32).passes(value(document))


def test_a_large_geometry_is_no_work_for_ever() -> None:
    ring = [[x / 5000, (x % 2) / 10] for x in range(20_000)]
    started = time.thread_time()
    shown(feature(geometry("Polygon", [[*ring, ring[0]]])))
    assert time.thread_time() - started < 5
