"""The schemas of the documents that are the same for all processes, as OpenAPI 3.0 has them."""

from __future__ import annotations

from typing import Any

from processes.models import Job

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
URI: Schema = {"type": "string", "format": "uri"}
TIME: Schema = {"type": "string", "format": "date-time"}


def ref(name: str) -> Schema:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def of(properties: dict[str, Schema], *required: str, **more: Any) -> Schema:
    """An object."""
    return {"type": "object", **({"required": list(required)} if required else {}), "properties": properties, **more}


def listed(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


_LINKS = listed(ref("link"))
_DESCRIBED = {
    "title": TEXT,
    "description": TEXT,
    "keywords": listed(TEXT),
    "metadata": listed(of({"title": TEXT, "role": TEXT, "href": TEXT})),
    "additionalParameters": of(
        {"title": TEXT, "role": TEXT, "href": TEXT, "parameters": listed(of({"name": TEXT, "value": listed({})}, "name", "value"))}
    ),
}
_SUMMARY = {
    "id": TEXT,
    "version": TEXT,
    **_DESCRIBED,
    "jobControlOptions": listed({"type": "string", "enum": ["sync-execute", "async-execute", "dismiss"]}),
    "outputTransmission": listed(ref("transmissionMode")),
    "mutable": {"type": "boolean"},
    "links": _LINKS,
}

SCHEMAS: dict[str, Schema] = {
    "link": of({"href": TEXT, "rel": TEXT, "type": TEXT, "title": TEXT, "hreflang": TEXT}, "href"),
    "landingPage": of({"title": TEXT, "description": TEXT, "links": _LINKS}, "links"),
    "confClasses": of({"conformsTo": listed(URI), "links": _LINKS}, "conformsTo"),
    "transmissionMode": {"type": "string", "enum": ["value", "reference"]},
    "processSummary": of(_SUMMARY, "id", "version"),
    "processList": of({"processes": listed(ref("processSummary")), "links": _LINKS}, "processes", "links"),
    "inputDescription": of(
        {
            **_DESCRIBED,
            "minOccurs": {"type": "integer", "minimum": 0},
            "maxOccurs": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "enum": ["unbounded"]}]},
            "schema": {"type": "object", "description": "A schema of OpenAPI 3.0, of one occurrence."},
        },
        "schema",
    ),
    "outputDescription": of({**_DESCRIBED, "schema": {"type": "object", "description": "A schema of OpenAPI 3.0."}}, "schema"),
    "process": of(
        {
            **_SUMMARY,
            "inputs": {"type": "object", "additionalProperties": ref("inputDescription")},
            "outputs": {"type": "object", "additionalProperties": ref("outputDescription")},
        },
        "id",
        "version",
    ),
    "format": of({"mediaType": TEXT, "encoding": TEXT, "schema": {}}),
    "reference": of({"href": URI, "type": TEXT, "title": TEXT, "format": ref("format")}, "href", description="A value that is elsewhere."),
    "outputRequest": of({"format": ref("format"), "transmissionMode": ref("transmissionMode")}),
    "subscriber": of(
        {"successUri": URI, "inProgressUri": URI, "failedUri": URI},
        description="Where to POST the results, the state of the job as it goes on, and why it failed or that it was dismissed.",
    ),
    "execute": of(
        {
            "inputs": {"type": "object", "additionalProperties": {}},
            "outputs": {"type": "object", "additionalProperties": ref("outputRequest")},
            "response": {"type": "string", "enum": ["raw", "document"], "default": "raw"},
            "subscriber": ref("subscriber"),
        }
    ),
    "results": {"type": "object", "additionalProperties": {}, "description": "Of each output a value, a qualified value, or a link."},
    "statusInfo": of(
        {
            "jobID": {"type": "string", "format": "uuid"},
            "id": {"type": "string", "format": "uuid"},
            "type": {"type": "string", "enum": ["process"]},
            "processingEntityType": TEXT,
            "processID": TEXT,
            "status": {"type": "string", "enum": list(Job.Status.values)},
            "message": TEXT,
            "created": TIME,
            "started": TIME,
            "finished": TIME,
            "updated": TIME,
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "links": _LINKS,
        },
        "jobID",
        "status",
        "type",
    ),
    "jobList": of({"jobs": listed(ref("statusInfo")), "links": _LINKS}, "jobs", "links"),
    "exception": of(
        {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "instance": TEXT,
            "errors": listed(of({"input": TEXT, "parameter": TEXT, "pointer": TEXT, "detail": TEXT}, "detail")),
        },
        "type",
    ),
}
