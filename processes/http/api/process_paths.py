"""Execution in the API definition: of any process, and of each with its own inputs and outputs."""

from __future__ import annotations

from typing import Any

from processes.catalogue import Offer
from processes.descriptions import InputDescription
from processes.descriptions.media_types import JSON, TEXT
from processes.descriptions.openapi import down_convert

from .schemas import SCHEMAS, Schema, listed, of, ref
from .schemas import TEXT as TEXT_SCHEMA

REFUSALS = (400, 401, 403, 404, 406, 410, 413, 415, 429, 500, 503, 504)
PREFERENCES = "respond-async, wait=n, handling=strict, return=minimal, return=representation"


def execution() -> dict[str, Any]:
    """Of any process."""
    return _execution("execute", "Execute a process", "", ref("execute"), [], required=False)


def execution_of(offer: Offer) -> dict[str, Any]:
    """Of one process."""
    description = offer.description
    request = {**SCHEMAS["execute"]["properties"], "inputs": _inputs(description.inputs.values())}
    outputs = {name: ref("outputRequest") for name in description.outputs}
    request["outputs"] = {"type": "object", "properties": outputs, "additionalProperties": False}
    required = any(each.at_least for each in description.inputs.values())
    media_types = [kind for each in description.outputs.values() for kind in each.schema.media_types]
    return _execution(
        f"execute_{offer.identifier}",
        f"Execute {description.title}",
        str(description.data.get("description", "")),
        of(request, *(["inputs"] if required else [])),
        media_types,
        required=required,
    )


def _execution(name: str, summary: str, description: str, schema: Schema, media_types: list[str], required: bool) -> dict[str, Any]:
    kinds: dict[str, Any] = {JSON: {"schema": {}}, TEXT: {"schema": TEXT_SCHEMA}, "multipart/related": {"schema": TEXT_SCHEMA}}
    content = {**kinds, **{kind: {"schema": {}} for kind in media_types or ["*/*"]}}
    headers = {
        name: {"schema": TEXT_SCHEMA, "description": text}
        for name, text in (("Link", "The job, and links to outputs"), ("Preference-Applied", "What was done as the client prefers"))
    }
    job = {"description": "The job", "content": {JSON: {"schema": ref("statusInfo")}}}
    location = {"Location": {"schema": TEXT_SCHEMA, "description": "Where the job is"}}
    return {
        "operationId": name,
        "tags": ["Processes"],
        "summary": summary,
        **({"description": description} if description else {}),
        "parameters": [{"name": "Prefer", "in": "header", "description": PREFERENCES, "schema": TEXT_SCHEMA}],
        "requestBody": {"required": required, "content": {JSON: {"schema": schema}}},
        "responses": {
            "200": {"description": "The results", "headers": headers, "content": content},
            "201": {**job, "headers": {**headers, **location}},
            "204": {"description": "Links to the results, as headers", "headers": headers},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in REFUSALS},
            "default": {"$ref": "#/components/responses/default"},
        },
    }


def _inputs(described: Any) -> Schema:
    inputs: list[InputDescription] = list(described)
    required = [each.id for each in inputs if each.at_least]
    return of({each.id: _input(each) for each in inputs}, *required, additionalProperties=False)


def _input(described: InputDescription) -> Schema:
    value = down_convert(described.schema.data, pure=True)
    media_type: Schema = {"type": "string", "enum": list(described.schema.media_types)} if described.schema.media_types else TEXT_SCHEMA
    qualified = of({"value": value, "mediaType": media_type, "encoding": TEXT_SCHEMA}, "value")
    occurrence: Schema = {"anyOf": [value, qualified, ref("reference")]}
    texts = {name: described.data[name] for name in ("title", "description") if name in described.data}
    if described.at_most == 1:
        return {**texts, **occurrence}
    several = {
        **listed(occurrence),
        "minItems": described.at_least,
        **({} if described.at_most is None else {"maxItems": described.at_most}),
    }
    return {**texts, "anyOf": [*([occurrence] if described.at_least <= 1 else []), several]}
