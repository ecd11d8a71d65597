"""Descriptions as clients read them: `processSummary` and `process` of OGC API - Processes 1.0, without links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .openapi import down_convert

if TYPE_CHECKING:
    from .description import InputDescription, ProcessDescription

_TEXTS = ("title", "description", "keywords", "metadata", "additionalParameters")


def summary(description: ProcessDescription) -> dict[str, Any]:
    """A process in the list."""
    return {
        "id": description.id,
        "version": description.version,
        **_texts(description.data),
        "title": description.title,
        "jobControlOptions": list(description.job_control),
        "outputTransmission": list(description.transmission),
        "mutable": False,
    }


def document(description: ProcessDescription) -> dict[str, Any]:
    """A process with its inputs and outputs."""
    return {
        **summary(description),
        "inputs": {name: _input(each) for name, each in description.inputs.items()},
        "outputs": {name: {**_texts(each.data), "schema": down_convert(each.schema.data)} for name, each in description.outputs.items()},
    }


def _input(described: InputDescription) -> dict[str, Any]:
    texts = _texts(described.data)
    if not described.fetches:
        more = texts.get("additionalParameters", {})
        passed = {"name": "byReference", "value": ["pass"]}
        texts["additionalParameters"] = {**more, "parameters": [*more.get("parameters", []), passed]}
    return {
        **texts,
        "minOccurs": described.at_least,
        "maxOccurs": "unbounded" if described.at_most is None else described.at_most,
        "schema": down_convert(described.schema.data),
    }


def _texts(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in _TEXTS if name in data}
