"""Descriptions to begin with."""

from __future__ import annotations

from typing import Any

from processes.descriptions import ProcessDescription

TIFF = "image/tiff; application=geotiff"
BBOX = {
    "type": "object",
    "required": ["bbox"],
    "properties": {"bbox": {"type": "array", "items": {"type": "number"}}, "crs": {"type": "string"}},
}
ECHO: dict[str, Any] = {
    "id": "echo",
    "version": "1.0.0",
    "title": "Echo",
    "inputs": {
        "text": {"schema": {"type": "string"}},
        "pause": {"minOccurs": 0, "schema": {"type": "number", "minimum": 0}},
        "numbers": {"minOccurs": 0, "schema": {"type": "array", "items": {"type": "integer"}}},
        "blob": {"minOccurs": 0, "schema": {"type": "string", "contentEncoding": "binary", "contentMediaType": TIFF}},
        "area": {"minOccurs": 0, "schema": {"allOf": [{"format": "ogc-bbox"}, BBOX]}},
    },
    "outputs": {
        "text": {"schema": {"type": "string"}},
        "numbers": {"schema": {"type": "array", "items": {"type": "integer"}}},
        "blob": {"schema": {"type": "string", "contentEncoding": "binary", "contentMediaType": TIFF}},
    },
}


def described(schema: Any = None, **more: Any) -> ProcessDescription:
    """A process with one input, `x`, and one output of the same schema."""
    schema = {"type": "string"} if schema is None else schema
    return ProcessDescription.parse(
        {"id": "p", "version": "1", "inputs": {"x": {"schema": schema, **more}}, "outputs": {"x": {"schema": schema}}}
    )


def echo() -> ProcessDescription:
    return ProcessDescription.parse(ECHO)
