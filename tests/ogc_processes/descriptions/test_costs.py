"""Schemas of workers whose validation would not end are refused; what is usual is not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from processes.descriptions import DescriptionError, ProcessDescription

NODE = {"$ref": "#/$defs/node"}


def parse(schema: dict[str, Any]) -> ProcessDescription:
    return ProcessDescription.parse({"id": "a", "version": "1", "inputs": {"value": {"schema": schema}}, "outputs": {}})


def recursive(**node: Any) -> dict[str, Any]:
    return {**NODE, "$defs": {"node": node}}


def doubling(steps: int) -> dict[str, Any]:
    """Each step refers twice to the next one."""
    definitions: dict[str, Any] = {f"d{steps}": {"minimum": 100}}
    for step in range(steps):
        further = {"$ref": f"#/$defs/d{step + 1}"}
        definitions[f"d{step}"] = {"anyOf": [{"allOf": [further, {"minimum": 10}]}, {"allOf": [further, {"minimum": 11}]}]}
    return {"$ref": "#/$defs/d0", "$defs": definitions}


COSTLY = {
    "doubling": doubling(30),
    "members twice": recursive(anyOf=[{"properties": {"c": NODE}}, {"properties": {"c": NODE}}]),
    "members by name and by pattern": recursive(allOf=[{"properties": {"c": NODE}}, {"patternProperties": {"c": NODE}}]),
    "items of items": recursive(allOf=[{"items": NODE}, {"items": {"items": NODE}}]),
    "the root": {"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]},
    "through others": {
        "$ref": "#/$defs/a",
        "$defs": {
            "a": {"items": {"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/c"}]}},
            "b": {"$ref": "#/$defs/a"},
            "c": {"$ref": "#/$defs/a"},
        },
    },
    "written otherwise": recursive(anyOf=[{"items": {"$ref": "#/$defs/%6eode"}}, {"items": {"$ref": "#/%24defs/node"}}]),
    "enum of objects": {"enum": [{"x": number} for number in range(50_000)]},
}
USUAL = {
    "two branches": recursive(properties={"left": NODE, "right": NODE}),
    "any JSON": recursive(anyOf=[{"type": "object", "additionalProperties": NODE}, {"type": "array", "items": NODE}, {"type": "string"}]),
    "itself": {"allOf": [{"$ref": "#"}]},
    "a definition in many places": {"properties": {f"p{number}": NODE for number in range(200)}, "$defs": {"node": {"type": "string"}}},
    "names": {"enum": [f"EPSG:{number}" for number in range(10_000)]},
    "a few steps": doubling(5),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_takes_for_ever_is_refused(name: str) -> None:
    began = time.thread_time()
    with pytest.raises(DescriptionError) as refused:
        parse(COSTLY[name])
    assert refused.value.errors[0]["pointer"] == "/inputs/value/schema"
    assert time.thread_time() - began < 5


@pytest.mark.parametrize("name", USUAL)
def test_what_is_usual_is_not(name: str) -> None:
    parse(USUAL[name]).read_inputs({"value": {"left": {"left": {}}}})
