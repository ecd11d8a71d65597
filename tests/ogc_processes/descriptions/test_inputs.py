"""The inputs of an execute request: in whatever way they are written, in one form."""

from __future__ import annotations

from typing import Any

import pytest

from processes.descriptions.formats import CRS84, CRS84H

from .examples import TIFF, described, echo

MANY = {"minOccurs": 0, "maxOccurs": "unbounded"}
TWO_TYPES = {
    "oneOf": [
        {"type": "string", "contentMediaType": "application/gml+xml"},
        {"type": "object", "required": ["type"], "contentMediaType": "application/geo+json"},
        {"type": "string", "contentEncoding": "binary", "contentMediaType": "application/zip"},
    ]
}
OBJECT = {"type": "object", "required": ["a"]}


def stored(schema: Any, value: Any, **more: Any) -> list[dict[str, Any]]:
    """What a job gets for a value of the input `x`, which must be right."""
    given, faults = described(schema, **more).read_inputs({"x": value})
    assert not faults, faults
    return [each.stored() for each in given["x"]]


def faults(schema: Any, value: Any, **more: Any) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.detail) for fault in described(schema, **more).read_inputs({"x": value})[1]]


@pytest.mark.parametrize("value", ["text", 1, 1.5, True, [1, 2], None])
def test_what_is_no_object_is_a_value(value: Any) -> None:
    assert stored({}, value) == [{"value": value}]


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ({"value": "a"}, {"value": "a"}),
        ({"value": "a", "mediaType": "text/plain"}, {"value": "a", "mediaType": "text/plain"}),
        ({"value": "a", "format": {"mediaType": "text/plain", "encoding": "utf-8"}}, {"value": "a", "mediaType": "text/plain"}),
    ],
)
def test_qualified_values_are_unwrapped(raw: Any, normal: Any) -> None:
    assert stored({"type": "string"}, raw) == [normal]


def test_an_object_is_taken_bare_and_qualified() -> None:
    assert stored(OBJECT, {"a": 1}) == stored(OBJECT, {"value": {"a": 1}}) == [{"value": {"a": 1}}]


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ({"href": "http://a/b"}, {"href": "http://a/b"}),
        ({"href": "http://a/b", "type": "text/plain"}, {"href": "http://a/b", "type": "text/plain"}),
        ({"href": "http://a/b", "format": {"mediaType": "text/plain"}}, {"href": "http://a/b", "type": "text/plain"}),
        ({"href": "http://a/b", "value": 1}, {"href": "http://a/b"}),
    ],
)
def test_an_object_with_href_is_a_link(raw: Any, normal: Any) -> None:
    assert stored({"type": "string"}, raw) == [normal]


@pytest.mark.parametrize("raw", [{"href": 1}, {"href": ""}, {"href": "http://a", "type": 1}, {"href": "http://a", "type": "image/png"}])
def test_a_link_that_is_none_is_refused(raw: Any) -> None:
    assert faults({"type": "string"}, raw)


def test_a_box_is_given_its_crs() -> None:
    area = {"bbox": [1, 2, 3, 4]}
    given, wrong = echo().read_inputs({"text": "", "area": area})
    assert not wrong and given["area"][0].value == {**area, "crs": CRS84}
    given, wrong = echo().read_inputs({"text": "", "area": {"value": {"bbox": [1, 2, 3, 4, 5, 6]}}})
    assert not wrong and given["area"][0].value["crs"] == CRS84H


@pytest.mark.parametrize(
    ("area", "pointer"),
    [
        ({"bbox": [1, 2, 3]}, "/area/bbox"),
        ({"bbox": [1, 5, 3, 4]}, "/area/bbox"),
        ({"bbox": [1, 2, 3, True]}, "/area/bbox/3"),
        ({"bbox": [1, 2, 3, 4], "crs": "EPSG:25832"}, "/area/crs"),
        ([1, 2, 3, 4], "/area"),
        ({"value": {"bbox": "x"}}, "/area/value/bbox"),
    ],
)
def test_a_box_that_is_none_is_refused(area: Any, pointer: str) -> None:
    assert [fault.pointer for fault in echo().read_inputs({"text": "", "area": area})[1]] == [pointer]


def test_other_crss_are_taken_where_the_process_says_so() -> None:
    crs = {"type": "string", "enum": [CRS84, "http://www.opengis.net/def/crs/EPSG/0/25832"]}
    schema = {"allOf": [{"format": "ogc-bbox"}, {"type": "object", "properties": {"crs": crs}}]}
    assert stored(schema, {"bbox": [1, 2, 3, 4], "crs": crs["enum"][1]})
    assert faults(schema, {"bbox": [1, 2, 3, 4], "crs": "http://www.opengis.net/def/crs/EPSG/0/4326"})


def test_bytes_are_base64() -> None:
    given, wrong = echo().read_inputs({"text": "", "blob": {"value": "aGk=", "encoding": "base64", "mediaType": "image/tiff"}})
    assert not wrong and given["blob"][0].stored() == {"value": "aGk=", "mediaType": "image/tiff", "encoding": "base64"}
    assert echo().read_inputs({"text": "", "blob": "aGk="})[0]["blob"][0].encoding == "base64"


@pytest.mark.parametrize("raw", ["aG", "a b", {"value": "aGk=", "encoding": "hex"}, {"value": "aGk=", "mediaType": "image/png"}, 3])
def test_bytes_that_are_not_base64_or_of_another_type_are_refused(raw: Any) -> None:
    assert [fault.input for fault in echo().read_inputs({"text": "", "blob": raw})[1]] == ["blob"]


def test_the_media_type_selects_the_branch() -> None:
    assert stored(TWO_TYPES, {"value": {"type": "Point"}, "mediaType": "application/geo+json"})
    assert stored(TWO_TYPES, {"value": "<a/>", "mediaType": "application/gml+xml"})
    assert faults(TWO_TYPES, {"value": "<a/>", "mediaType": "application/geo+json"}) == [("/x/value", 'it is not of type "object"')]
    assert "is not supported" in faults(TWO_TYPES, {"value": "<a/>", "mediaType": "text/csv"})[0][1]


def test_without_a_media_type_the_first_branch_that_fits_is_taken() -> None:
    assert stored(TWO_TYPES, "<a/>") == [{"value": "<a/>"}]
    assert stored(TWO_TYPES, {"type": "Point"}) == [{"value": {"type": "Point"}}]


def test_a_parameter_of_the_media_type_may_be_left_out_but_not_be_another() -> None:
    schema = {"type": "string", "contentEncoding": "binary", "contentMediaType": TIFF}
    assert stored(schema, {"value": "", "mediaType": "image/tiff"}) and stored(
        schema, {"value": "", "mediaType": "Image/TIFF;application=geotiff"}
    )
    assert faults(schema, {"value": "", "mediaType": "image/tiff; application=other"})


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("geojson-geometry", {"type": "Point", "coordinates": [1, 2]}, {"type": "Feature"}),
        ("geojson-geometry", {"type": "GeometryCollection", "geometries": []}, {"type": "GeometryCollection", "geometries": [3]}),
        ("geojson-feature", {"type": "Feature", "geometry": None, "properties": None}, {"type": "Point", "coordinates": []}),
        ("geojson-feature-collection", {"type": "FeatureCollection", "features": []}, {"type": "FeatureCollection"}),
        (
            "http://www.opengis.net/def/format/ogcapi-processes/0/geojson-feature-collection",
            {"type": "FeatureCollection", "features": []},
            {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Square"}}]},
        ),
    ],
)
def test_formats_that_have_a_meaning_are_checked(kind: str, right: Any, wrong: Any) -> None:
    assert stored({"type": "object", "format": kind}, right) == [{"value": right}]
    assert faults({"type": "object", "format": kind}, wrong)


# -- how often ------------------------------------------------------------------


def test_one_value_of_several_is_taken_bare_and_in_a_list() -> None:
    assert stored({"type": "integer"}, 3, **MANY) == stored({"type": "integer"}, [3], **MANY) == [{"value": 3}]
    assert stored({"type": "integer"}, [3, {"value": 4}], **MANY) == [{"value": 3}, {"value": 4}]


def test_a_list_is_one_value_where_the_schema_is_of_a_list() -> None:
    lists = {"type": "array", "items": {"type": "integer"}}
    assert stored(lists, [1, 2]) == [{"value": [1, 2]}]
    assert stored(lists, [[1], [2]], **MANY) == [{"value": [1]}, {"value": [2]}]
    assert stored(lists, [1, 2], **MANY) == [{"value": [1, 2]}]


def test_too_few_and_too_many_are_refused() -> None:
    assert faults({"type": "integer"}, [1], minOccurs=2, maxOccurs=3) == [("/x", "2 or more values are needed, not 1")]
    assert faults({"type": "integer"}, [1] * 4, minOccurs=2, maxOccurs=3) == [("/x", "at most 3 values are taken, not 4")]
    assert faults({"type": "integer"}, 1, minOccurs=2, maxOccurs=3)
    assert faults({"type": "integer"}, [1]) == [("/x", 'it is not of type "integer"')]


def test_everything_that_is_wrong_is_named_with_its_input_and_its_place() -> None:
    _, wrong = echo().read_inputs({"pause": -1, "numbers": [1, "a", 2.5], "colour": "red"})
    assert [(fault.input, fault.pointer) for fault in wrong] == [
        ("colour", "/colour"),
        ("text", "/text"),
        ("pause", "/pause"),
        ("numbers", "/numbers/1"),
        ("numbers", "/numbers/2"),
    ]


@pytest.mark.parametrize(("schema", "value"), [({"enum": ["a", "b"]}, "c"), ({"type": "string", "format": "date-time"}, "yesterday")])
def test_values_outside_of_an_enum_or_a_format_are_refused(schema: Any, value: Any) -> None:
    assert faults(schema, value)


def test_faults_are_counted_to_an_end() -> None:
    assert len(faults({"type": "array", "items": {"type": "integer"}}, ["a"] * 10_000)) == 100
