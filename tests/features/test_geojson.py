"""GeoJSON coming in: what is kept, what is refused and where it says the fault is."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.errors import StreamError
from streaming.core.items import Item
from streaming.features.geojson import deletion, feature_id, parse_feature

POINT = {"type": "Point", "coordinates": [10, 20]}


def feature(**members: Any) -> dict[str, Any]:
    return {"type": "Feature", "id": "a", "geometry": None, "properties": {}, **members}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def refusal(raw: bytes | dict[str, Any], code: str = "invalid_feature", **limits: int) -> str:
    with pytest.raises(StreamError) as caught:
        parse_feature(raw, **limits)
    assert caught.value.code == code
    return caught.value.message


def test_the_value_is_canonical() -> None:
    raw = '{ "type":"Feature", "properties":{"b":1,"a":"ü"}, "id":"a", "name":[1, 2], "geometry":{"type":"Point","coordinates":[10,20,0]}}'
    key, value = parse_feature(raw.encode())
    assert key == '"a"'
    assert value.decode() == (
        '{"geometry":{"coordinates":[10.0,20.0,0.0],"type":"Point"},"id":"a","name":[1,2],"properties":{"a":"ü","b":1},"type":"Feature"}'
    )


@pytest.mark.parametrize("identity", ["4067f2", 7, 0, -1, 2**63 - 1, "7", "ü", 'say "hi"', "a\\b", " ", "日本", "a" * 256])
def test_an_id_stays_what_it_was(identity: str | int) -> None:
    key, value = parse_feature(feature(id=identity))
    assert feature_id(key) == identity
    assert type(feature_id(key)) is type(identity)
    assert json.loads(deletion(key))["id"] == identity
    assert f'"id":{key},' in value.decode()


@pytest.mark.parametrize("identity", [None, True, 7.0, [], {}, "", "a" * 257, "a\nb", "\x00", "a\x7f", "\x85", 2**63, -(2**63) - 1])
def test_a_bad_id_is_refused(identity: Any) -> None:
    assert "id" in refusal(feature(id=identity))
    assert "id" in refusal(encoded(feature(id=identity)))


def test_a_feature_without_id_is_told_that_it_needs_one() -> None:
    assert "needs an id" in refusal(b'{"type":"Feature","geometry":null,"properties":null}')


def test_null_properties_stay_null_and_missing_ones_become_null() -> None:
    assert b'"properties":null' in parse_feature(feature(properties=None))[1]
    assert b'"properties":null' in parse_feature(b'{"type":"Feature","id":1,"geometry":null}')[1]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"type": "feature"}, "type: must be 'Feature'"),
        ({"properties": []}, "properties: must be an object or null"),
        ({"geometry": []}, "geometry: must be an object or null"),
        ({"bbox": [1, 2, 3]}, "bbox: must be a list of 4 or 6 numbers"),
        ({"bbox": "world"}, "bbox"),
    ],
)
def test_members_of_the_wrong_type_are_refused(members: dict[str, Any], reason: str) -> None:
    assert reason in refusal(encoded(feature(**members)))


def test_a_missing_geometry_is_refused() -> None:
    assert "geometry: missing" in refusal(b'{"type":"Feature","id":1,"properties":{}}')


GEOMETRIES: list[dict[str, Any]] = [
    POINT,
    {"type": "Point", "coordinates": [180, -90, 8848.86]},
    {"type": "MultiPoint", "coordinates": [[0, 0]]},
    {"type": "MultiPoint", "coordinates": []},
    {"type": "LineString", "coordinates": [[0, 0], [1, 1, 5]]},
    {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
    {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]},
    {"type": "GeometryCollection", "geometries": [POINT, {"type": "GeometryCollection", "geometries": []}]},
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_geometry_type_is_accepted_with_coordinates_as_floats(geometry: dict[str, Any]) -> None:
    key, value = parse_feature(encoded(feature(geometry=geometry)))
    assert json.loads(value)["geometry"] == geometry
    assert parse_feature(feature(geometry=geometry)) == (key, value)
    assert not any(part.strip("[]").lstrip("-").isdigit() for part in value.decode().partition('"id"')[0].split(","))
    Item(key, value, 0).geometry  # noqa: B018 (what is accepted can be built)


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        ({"type": "Circle", "coordinates": [0, 0]}, "geometry.type: 'Circle' is not one of the seven geometry types"),
        ({"coordinates": [0, 0]}, "geometry.type: None"),
        ({"type": ["Point"]}, "geometry.type"),
        ({"type": "Point"}, "geometry.coordinates: a position is a list of 2 or 3 numbers"),
        ({"type": "Point", "coordinates": [1]}, "geometry.coordinates: a position"),
        ({"type": "Point", "coordinates": ["1", 2]}, "geometry.coordinates[0]: '1' is not a number"),
        ({"type": "Point", "coordinates": [1, True]}, "geometry.coordinates[1]: True is not a number"),
        ({"type": "Point", "coordinates": [1, 2, None]}, "geometry.coordinates[2]: None is not a number"),
        ({"type": "Point", "coordinates": [180.1, 0]}, "geometry.coordinates: longitude 180.1 is outside -180 to 180"),
        ({"type": "Point", "coordinates": [0, -91]}, "geometry.coordinates: latitude -91.0 is outside -90 to 90"),
        ({"type": "Point", "coordinates": [10**400, 0]}, "geometry.coordinates[0]: the number is too large"),
        ({"type": "MultiPoint", "coordinates": [[0, 0], [0, 91]]}, "geometry.coordinates[1]: latitude 91.0"),
        ({"type": "MultiPoint", "coordinates": [[0, 0], [0]]}, "geometry.coordinates[1]: expected array of length >= 2"),
        ({"type": "LineString", "coordinates": [[0, 0]]}, "geometry.coordinates: expected array of length >= 2"),
        ({"type": "LineString", "coordinates": [[0, 0], [1, 2, 3, 4], 5]}, "geometry.coordinates[2]: expected array"),
        ({"type": "MultiPoint", "coordinates": [[[3], 4, 5, 6]]}, "geometry.coordinates[0][0]: expected float"),
        ({"type": "Point", "coordinates": [180.00000001, 0]}, "geometry.coordinates: longitude 180.00000001 is outside"),
        ({"type": "MultiPoint", "coordinates": [[0, -90.00000001]]}, "geometry.coordinates[0]: latitude -90.00000001 is outside"),
        ({"type": "LineString", "coordinates": [[0, 0], [1, None]]}, "geometry.coordinates[1][1]: expected float"),
        (
            {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[0, 0], [-200, 1]]]},
            "geometry.coordinates[1][1]: longitude -200.0",
        ),
        ({"type": "Polygon", "coordinates": [[], []]}, "geometry.coordinates[0]: expected array of length >= 4"),
        ({"type": "LineString", "coordinates": [[]]}, "geometry.coordinates"),
        ({"type": "Point", "coordinates": None}, "geometry.coordinates: a position"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}, "geometry.coordinates[0]: the ring is not closed"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 0]]]}, "geometry.coordinates[0]: expected array of length >= 4"),
        (
            {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 1]]]]},
            "geometry.coordinates[0][0]: the ring is not closed",
        ),
        ({"type": "GeometryCollection"}, "geometry.geometries: must be a list"),
        (
            {"type": "GeometryCollection", "geometries": [POINT, {"type": "Point", "coordinates": [1]}]},
            "geometry.geometries[1].coordinates",
        ),
    ],
)
def test_a_bad_geometry_is_refused_with_its_place(geometry: Any, reason: str) -> None:
    assert reason in refusal(encoded(feature(geometry=geometry)))
    assert reason in refusal(feature(geometry=geometry))


def test_collections_cannot_be_nested_without_end() -> None:
    geometry: dict[str, Any] = POINT
    for _ in range(9):
        geometry = {"type": "GeometryCollection", "geometries": [geometry]}
    assert "nested more than 8 deep" in refusal(encoded(feature(geometry=geometry)))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"nonsense", b'{"type":"Feature"}x', b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\xff"}', b'{"a":"\\ud800"}']
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    assert "not JSON" in refusal(raw)


@pytest.mark.parametrize("raw", [b"null", b"[]", b"7", b'"Feature"'])
def test_what_is_not_an_object_is_refused(raw: bytes) -> None:
    assert "JSON object" in refusal(raw)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_from_python_must_be_finite(number: float) -> None:
    assert "properties.speed: " in refusal(feature(properties={"speed": number}))
    assert "geometry.coordinates[1]: " in refusal(feature(geometry={"type": "Point", "coordinates": [0, number]}))


@pytest.mark.parametrize("value", [{1, 2}, object(), b"x", {1: 2}, "\ud800"])
def test_values_from_python_must_be_json(value: Any) -> None:
    refusal(feature(properties={"value": value}))


def test_tuples_from_python_are_lists_and_the_dict_is_not_changed() -> None:
    mine = feature(geometry={"type": "Point", "coordinates": (10, 20)})
    assert b"[10.0,20.0]" in parse_feature(mine)[1]
    assert mine["geometry"]["coordinates"] == (10, 20)


@pytest.mark.parametrize("place", ["properties", "extra"])
@pytest.mark.parametrize("depth", [70, 900, 5000])
def test_deep_nesting_is_refused(place: str, depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    refusal(f'{{"type":"Feature","id":1,"geometry":null,"{place}":{deep}}}'.encode())


@pytest.mark.parametrize(
    "geometry", ['"type":"Point","coordinates":[1,2],"x":', '"type":"GeometryCollection","geometries":[],"coordinates":']
)
def test_deep_nesting_within_a_geometry_is_refused(geometry: str) -> None:
    assert "nested too deeply" in refusal(f'{{"type":"Feature","id":1,"geometry":{{{geometry}{"[" * 70 + "]" * 70}}}}}'.encode())


def test_a_python_value_that_holds_itself_is_refused() -> None:
    mine = feature()
    mine["properties"]["me"] = mine
    assert "nested too deeply" in refusal(mine)


def test_too_large_a_feature_is_refused() -> None:
    raw = encoded(feature(properties={"a": "x" * 200}))
    assert "more than the 200 allowed" in refusal(raw, code="too_large", max_bytes=200)
    assert "more than the 200 allowed" in refusal(json.loads(raw), code="too_large", max_bytes=200)


def test_a_deletion_is_canonical_too() -> None:
    assert deletion('"a"') == b'{"geometry":null,"id":"a","properties":{},"type":"Feature"}'
    assert parse_feature(deletion("7")) == ("7", deletion("7"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
identities = st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)
features = st.builds(
    lambda identity, geometry, properties, extra: {**extra, **feature(id=identity, geometry=geometry, properties=properties)},
    identities,
    st.none() | st.sampled_from(GEOMETRIES),
    st.none() | st.dictionaries(st.text(max_size=5), json_values, max_size=4),
    st.dictionaries(st.text(max_size=5).filter(lambda name: name not in ("bbox", "crs")), json_values, max_size=2),
)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_keys(value[name]) for name in reversed(value)}
    return [reversed_keys(member) for member in value] if isinstance(value, list) else value


@given(features)
def test_parsing_is_idempotent(wanted: dict[str, Any]) -> None:
    key, value = parse_feature(encoded(wanted))
    assert parse_feature(value) == (key, value)
    assert json.loads(value) == wanted


@given(features)
def test_the_order_of_keys_and_the_way_in_do_not_matter(wanted: dict[str, Any]) -> None:
    assert parse_feature(encoded(wanted)) == parse_feature(reversed_keys(wanted))


@given(st.binary(max_size=60) | json_values.map(encoded) | json_values.map(lambda value: encoded(feature(geometry=value))))
def test_anything_is_parsed_or_refused(raw: bytes) -> None:
    try:
        parse_feature(raw)
    except StreamError as error:
        assert error.code in ("invalid_feature", "invalid_crs")
