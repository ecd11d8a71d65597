"""The API definition: whole, without another document, and as the processes are now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from processes.catalogue import ProcessCatalogue
from processes.descriptions import Schema
from processes.jobs.service import Jobs
from processes.models import Process
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.descriptions.test_openapi import _as_2020

from .conftest import SITE, Api, describe

OPENAPI = "application/vnd.oai.openapi+json;version=3.0"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref" and isinstance(member, str):
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def resolved(document: Any, value: Any) -> Any:
    """A part of the document with what its references lead to."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            found = document
            for step in value["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            return resolved(document, found)
        return {name: resolved(document, member) for name, member in value.items()}
    return [resolved(document, member) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("*/*", OPENAPI), (OPENAPI, OPENAPI), ("application/json", "application/json"), ("text/html;q=0.1, */*;q=0.2", OPENAPI)],
)
async def test_it_is_openapi_for_who_takes_it(api: Api, accept: str, media_type: str) -> None:
    answer = await api.get("/api", accept=accept)
    assert (answer.status_code, answer["Content-Type"]) == (200, media_type)


async def test_it_needs_no_other_document(api: Api, runtime: Runtime) -> None:
    local = {"schema": {"$defs": {"a": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/a"}}}
    await describe(runtime, "local", description={"inputs": {"x": local}})
    document = await api.json("/api")
    assert document["openapi"].startswith("3.0.") and document["servers"] == [{"url": SITE}]
    found = set(references(document))
    assert found and all(each.startswith("#/components/") for each in found)
    resolved(document, document)


async def test_it_is_what_the_schema_of_openapi_says(api: Api, runtime: Runtime) -> None:
    definitions = pytest.importorskip("schemathesis.specs.openapi.definitions", reason="needs schemathesis")
    await describe(runtime, "echo", description=ECHO)
    errors = [error.message for error in definitions.OPENAPI_30_VALIDATOR.iter_errors(await api.json("/api"))]
    assert not errors


async def test_names_of_operations_are_different(api: Api, runtime: Runtime) -> None:
    for name in ("echo", "echo-2"):
        await describe(runtime, name, description=ECHO)
    paths = (await api.json("/api"))["paths"]
    names = [operation["operationId"] for path in paths.values() for method, operation in path.items() if method != "parameters"]
    assert len(set(names)) == len(names)


async def test_processes_are_in_it_as_they_come_and_go(api: Api, runtime: Runtime) -> None:
    assert "/processes/echo/execution" not in (await api.json("/api"))["paths"]
    await describe(runtime, "echo", description=ECHO)
    assert "/processes/echo/execution" in (await api.json("/api"))["paths"]
    await runtime.service(Jobs).read(lambda: Process.objects.all().delete())
    await runtime.service(ProcessCatalogue).announce()
    assert "/processes/echo/execution" not in (await api.json("/api"))["paths"]


async def test_a_process_has_the_schemas_of_its_inputs(api: Api, runtime: Runtime) -> None:
    await describe(runtime, "echo", description=ECHO)
    document = await api.json("/api")
    body = resolved(document, document["paths"]["/processes/echo/execution"]["post"]["requestBody"])
    assert body["required"]
    schema = Schema(_as_2020(body["content"]["application/json"]["schema"]))
    for inputs in ({"text": "a"}, {"text": {"value": "a"}}, {"text": {"href": "http://a/b"}}, {"text": "a", "numbers": [1], "pause": 0}):
        assert not schema.faults({"inputs": inputs, "response": "raw", "outputs": {"text": {"transmissionMode": "value"}}})
    for inputs in ({}, {"text": 1}, {"text": "a", "more": 1}, {"text": "a", "numbers": "b"}, {"text": "a", "pause": -1}):
        assert schema.faults({"inputs": inputs})
    assert schema.faults({}) and schema.faults({"inputs": {"text": "a"}, "outputs": {"none": {}}})


async def test_every_answer_of_execution_is_in_it(api: Api, runtime: Runtime) -> None:
    await describe(runtime, "echo", description=ECHO)
    responses = (await api.json("/api"))["paths"]["/processes/echo/execution"]["post"]["responses"]
    assert {"200", "201", "204", "400", "401", "403", "404", "406", "413", "415", "429", "500", "503", "504"} <= set(responses)
    assert {"text/plain", "application/json", "multipart/related", "image/tiff; application=geotiff"} <= set(responses["200"]["content"])
    assert "Location" in responses["201"]["headers"]


async def test_its_paths_are_those_there_are(api: Api) -> None:
    paths = (await api.json("/api"))["paths"]
    for path, operations in paths.items():
        there = re.sub(r"\{(\w+)\}", "nothing", path).rstrip("/")
        options = await api.request("OPTIONS", there)
        assert {name.upper() for name in operations if name != "parameters"} <= set(options["Allow"].split(", ")), path
