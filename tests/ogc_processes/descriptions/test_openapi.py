"""Published schemas: OpenAPI 3.0 for whoever knows no more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processes.descriptions import Schema
from processes.descriptions.openapi import down_convert
from tests.profiles import examples

from ..schemas import check, need_schemas
from .examples import BBOX, echo


@pytest.mark.parametrize(
    ("schema", "published"),
    [
        ({"const": 3}, {"enum": [3]}),
        ({"const": None}, {"enum": [None], "nullable": True}),
        ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
        ({"exclusiveMinimum": 0}, {"minimum": 0, "exclusiveMinimum": True}),
        ({"minimum": 1, "exclusiveMinimum": 0}, {"minimum": 1}),
        ({"maximum": 9, "exclusiveMaximum": 9}, {"maximum": 9, "exclusiveMaximum": True}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": "null"}, {"nullable": True, "enum": [None]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string", "nullable": True}]}),
        ({"required": []}, {}),
        ({"items": False, "prefixItems": [{"type": "string"}]}, {"maxItems": 1, "items": {"anyOf": [{"type": "string"}]}}),
        ({"$defs": {"a": {"type": "string"}}, "items": {"$ref": "#/$defs/a"}}, {"items": {"type": "string"}}),
        ({"$defs": {"a": {"title": "A"}}, "$ref": "#/$defs/a", "title": "B"}, {"allOf": [{"title": "A"}, {"title": "B"}]}),
        ({"if": {"type": "string"}, "then": {"minLength": 3}, "unevaluatedProperties": False}, {}),
        ({"properties": {"a": True, "b": False}}, {"properties": {"a": {}, "b": {"not": {}}}}),
    ],
)
def test_what_openapi_says_in_another_way(schema: Any, published: Any) -> None:
    assert down_convert(schema) == published


def test_a_schema_within_itself_ends() -> None:
    tree = {"$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"}
    assert down_convert(tree) == {"type": "object", "properties": {"next": {}}}


def test_references_within_references_do_not_multiply_for_ever() -> None:
    definitions = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 8} for n in range(20)} | {"d20": {}}
    assert len(str(down_convert({"$defs": definitions, "$ref": "#/$defs/d0"}))) < 200_000


def test_the_format_of_a_box_stays_first() -> None:
    assert list(echo().document["inputs"]["area"]["schema"]["allOf"]) == [{"format": "ogc-bbox"}, BBOX]


def test_a_document_is_what_the_official_schema_says() -> None:
    need_schemas()
    check("process", echo().document)
    check("processSummary", echo().summary)


_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "abc"])
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
_KINDS = st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])
_NUMBERS = st.integers(-2, 2)
_COUNTS = st.integers(0, 3)


def _deeper(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(schemas, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": _KINDS | st.lists(_KINDS, min_size=1, max_size=3, unique=True),
            **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBERS),
            **dict.fromkeys(("minLength", "maxItems", "minProperties"), _COUNTS),
            "const": _SCALARS,
            "enum": st.lists(_SCALARS, min_size=1, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "properties": st.dictionaries(st.sampled_from("abc"), schemas, max_size=2),
            "additionalProperties": schemas,
            "items": schemas,
            "prefixItems": several,
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": schemas,
            "contains": schemas,
            "$ref": st.just("#/$defs/a"),
        },
    )


_SCHEMAS = st.recursive(st.booleans() | st.fixed_dictionaries({}, optional={"type": _KINDS}), _deeper, max_leaves=6)


@given(schema=_deeper(_SCHEMAS), definition=_SCHEMAS, value=_VALUES)
@settings(max_examples=examples(80, long=500))
def test_the_published_schema_takes_whatever_the_schema_takes(schema: dict[str, Any], definition: Any, value: Any) -> None:
    schema = {**schema, "$defs": {"a": definition}}
    published = down_convert(schema)
    check("schema", published)
    if not Schema(schema).faults(value):
        assert not Schema(_as_2020(published)).faults(value), published


def _as_2020(schema: Any) -> Any:
    """What OpenAPI 3.0 says with `nullable` and boolean bounds, as JSON Schema has it."""
    if isinstance(schema, list):
        return [_as_2020(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    turned = {name: member if name in ("enum", "default", "example") else _as_2020(member) for name, member in schema.items()}
    for bound in ("Minimum", "Maximum"):
        if turned.pop(f"exclusive{bound}", False) is True:
            turned[f"exclusive{bound}"] = turned.pop(bound.lower())
    if turned.pop("nullable", False) is True and "type" in turned:
        turned["type"] = [turned["type"], "null"]
    return turned
