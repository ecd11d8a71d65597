"""Reading what workers register."""

from __future__ import annotations

from typing import Any

import pytest

from processes.descriptions import DescriptionError, ProcessDescription

from .examples import ECHO, described, echo


def faults_of(**changed: Any) -> dict[str, str]:
    with pytest.raises(DescriptionError) as refused:
        ProcessDescription.parse({**ECHO, **changed})
    return {error["pointer"]: error["detail"] for error in refused.value.errors}


def test_a_description_is_read() -> None:
    description = echo()
    assert (description.id, description.version, description.title) == ("echo", "1.0.0", "Echo")
    assert list(description.inputs) == ["text", "pause", "numbers", "blob", "area"] and list(description.outputs) == [
        "text",
        "numbers",
        "blob",
    ]
    assert description.job_control == ("sync-execute", "async-execute", "dismiss") and description.sync and description.asynchronous
    assert (description.inputs["text"].at_least, description.inputs["text"].at_most) == (1, 1)
    assert description.data == ECHO


def test_the_digest_is_of_what_it_says_and_not_of_how_it_is_written() -> None:
    turned = ProcessDescription.parse({name: ECHO[name] for name in reversed(ECHO)})
    other = ProcessDescription.parse({**ECHO, "title": "Other"})
    assert echo().digest == turned.digest != other.digest


def test_all_faults_are_named_at_once() -> None:
    faults = faults_of(
        id="a b",
        version=1,
        title={"en": "Echo"},
        keywords="echo",
        jobControlOptions=["dismiss"],
        outputTransmission=["post"],
        inputs={"a": {"schema": {"type": "strin"}}, "b": {"minOccurs": 2, "schema": {}}, "c d": {"schema": {}}, "e": {}},
    )
    assert set(faults) == {
        *("/id", "/version", "/title", "/keywords", "/jobControlOptions", "/outputTransmission"),
        *("/inputs/a/schema/type", "/inputs/b/maxOccurs", "/inputs/c d", "/inputs/e/schema"),
    }


@pytest.mark.parametrize("data", [None, [], "echo", {"x": float("nan")}])
def test_what_is_no_object_of_json_is_refused(data: Any) -> None:
    with pytest.raises(DescriptionError):
        ProcessDescription.parse(data)


def test_what_is_nested_without_end_is_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(10_000):
        nested = {"properties": {"a": nested}}
    assert "nested too deeply" in faults_of(outputs={"x": {"schema": nested}})[""]


@pytest.mark.parametrize("reference", ["http://127.0.0.1/schema.json", "file:///etc/passwd", "other.json#/a", "#anchor"])
def test_references_lead_within_the_schema(reference: str) -> None:
    faults = faults_of(inputs={"a": {"schema": {"properties": {"b": {"$ref": reference}}}}})
    assert "leads out of the schema" in faults["/inputs/a/schema/properties/b/$ref"]


def test_a_reference_that_leads_nowhere_is_refused() -> None:
    assert "does not exist" in faults_of(inputs={"a": {"schema": {"$ref": "#/$defs/b"}}})["/inputs/a/schema"]


def test_local_definitions_are_used() -> None:
    description = described({"$defs": {"small": {"maximum": 3}}, "type": "integer", "allOf": [{"$ref": "#/$defs/small"}]})
    assert description.inputs["x"].schema.faults(4) and not description.inputs["x"].schema.faults(3)


@pytest.mark.parametrize("pattern", ["(", "a{99999999}{99999999}"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    assert faults_of(inputs={"a": {"schema": {"type": "string", "pattern": pattern}}})


def test_a_schema_that_leads_to_itself_ends() -> None:
    assert described({"allOf": [{"$ref": "#"}], "type": "integer"}).inputs["x"].schema.faults("a")


def test_a_pattern_that_takes_for_ever_ends() -> None:
    assert described({"type": "string", "pattern": r"^(?=(a+)+$)(a|aa)+\1$"}).inputs["x"].schema.faults("a" * 5000 + "b")
