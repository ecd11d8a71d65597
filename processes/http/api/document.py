"""The API definition as a whole. What is the same for all processes is here; the paths of each process are in `process_paths`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings

from processes.catalogue import Offer
from processes.descriptions.media_types import JSON
from processes.models import Job
from streaming.engine.conf import conf

from ..landing import DESCRIPTION, OPENAPI_TYPE
from ..negotiation import HTML, PROBLEM
from ..renderers import formats
from .process_paths import execution, execution_of
from .schemas import SCHEMAS, TEXT, Schema, ref

VERSION = "1.0.0"

Operation = dict[str, Any]


def api_document(base: str, offers: Iterable[Offer]) -> dict[str, Any]:
    """The definition of the API at an address, with the processes that are offered."""
    paths = {**_paths(), **{f"/processes/{each.identifier}/execution": {"post": execution_of(each)} for each in offers}}
    return {
        "openapi": "3.0.3",
        "info": {"title": conf.PROCESS_TITLE, "description": DESCRIPTION, "version": VERSION},
        "servers": [{"url": base}],
        "tags": [{"name": name} for name in ("Service", "Processes", "Jobs")],
        "security": [{}, {"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "parameters": _PARAMETERS,
            "responses": _responses(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token of /api/token/."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": settings.SESSION_COOKIE_NAME,
                    "description": "The session of a page of this site; requests that change something need the header X-CSRFToken.",
                },
            },
        },
    }


def _paths() -> dict[str, Any]:
    job = {"parameters": [_parameter("jobID")]}
    return {
        "/": {"get": _get("getLandingPage", "Service", "The landing page", "landingPage")},
        "/conformance": {"get": _get("getConformance", "Service", "The conformance classes", "confClasses")},
        "/api": {
            "get": _get("getApi", "Service", "This definition", None, types={OPENAPI_TYPE: {"type": "object"}, JSON: {"type": "object"}})
        },
        "/processes": {"get": _get("getProcesses", "Processes", "The processes", "processList", "limit", "offset")},
        "/processes/{processID}": {
            "parameters": [_parameter("processID")],
            "get": _get("getProcess", "Processes", "The description of a process", "process", may=(404,)),
        },
        "/processes/{processID}/execution": {"parameters": [_parameter("processID")], "post": execution()},
        "/jobs": {
            "get": _get(
                *("getJobs", "Jobs", "The jobs, the newest first", "jobList"),
                *("type", "processIDs", "status", "datetime", "minDuration", "maxDuration", "limit", "cursor"),
            )
        },
        "/jobs/{jobID}": {
            **job,
            "get": _get("getStatus", "Jobs", "The state of a job", "statusInfo", may=(404,)),
            "delete": _operation("dismiss", "Jobs", "Dismiss a job", {"200": _document("The job", ref("statusInfo"))}, may=(403, 404, 410)),
        },
        "/jobs/{jobID}/results": {**job, "get": _operation("getResults", "Jobs", "The results of a job", _results(), may=(404, 410))},
        "/jobs/{jobID}/results/{outputID}": {
            "parameters": [_parameter("jobID"), _parameter("outputID")],
            "get": _operation(
                "getOutput", "Jobs", "One result", {**_anything("The result as it is"), "307": _text("It is elsewhere")}, may=(404, 410)
            ),
        },
        "/jobs/{jobID}/events": {
            **job,
            "get": _operation(
                *("getEvents", "Jobs", "The changes of a job as server-sent events: statusInfo at once, at each change and at the end"),
                {
                    "200": {
                        "description": "The events",
                        "content": {"text/event-stream": {"schema": {"description": "statusInfo as JSON in data"}}},
                    },
                    "204": _text("It had ended"),
                },
                may=(404, 503),
            ),
        },
    }


def _get(
    name: str, tag: str, summary: str, schema: str | None, *parameters: str, may: tuple[int, ...] = (), types: Any = None
) -> Operation:
    content = types or {JSON: ref(schema or "")}
    html = {HTML: TEXT} if "html" in formats() else {}
    ok = {"200": {"description": summary, "content": {kind: {"schema": each} for kind, each in {**content, **html}.items()}}}
    return _operation(name, tag, summary, ok, *parameters, may=(406, *may))


def _operation(name: str, tag: str, summary: str, responses: dict[str, Any], *parameters: str, may: tuple[int, ...] = ()) -> Operation:
    refusals = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted({400, 401, 500, *may})}
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "parameters": [_parameter("f"), *map(_parameter, parameters)],
        "responses": {**responses, **refusals, "default": {"$ref": "#/components/responses/default"}},
    }


def _parameter(name: str) -> Schema:
    return {"$ref": f"#/components/parameters/{name}"}


def _document(description: str, schema: Schema) -> dict[str, Any]:
    html = {HTML: {"schema": TEXT}} if "html" in formats() else {}
    return {"description": description, "content": {JSON: {"schema": schema}, **html}}


def _text(description: str) -> dict[str, Any]:
    return {"description": description}


def _anything(description: str) -> dict[str, Any]:
    return {"200": {"description": description, "content": {JSON: {"schema": {}}, "text/plain": {"schema": TEXT}, "*/*": {"schema": {}}}}}


def _results() -> dict[str, Any]:
    return {**_anything("The results, in the form that the execute request has asked for"), "204": _text("Links to them, as headers")}


def _responses() -> dict[str, Any]:
    reasons = {
        400: "Something in the request is wrong",
        401: "A login or a token is needed, or the token is not valid",
        403: "This may not be done",
        404: "There is no such thing, or not yet",
        406: "None of the types that are accepted is to be had",
        410: "The job was dismissed",
        413: "The request is too large",
        415: "The body is of another type",
        429: "Too many jobs wait",
        500: "Something went wrong in the server, or the process failed",
        503: "No worker offers the process now, or the server is busy",
        504: "The result has not come in time",
    }
    html = {HTML: {"schema": TEXT}} if "html" in formats() else {}
    content = {JSON: {"schema": ref("exception")}, PROBLEM: {"schema": ref("exception")}, **html}
    return {str(status): {"description": text, "content": content} for status, text in [*reasons.items(), ("default", "Any other refusal")]}


def _in(where: str, name: str, description: str, schema: Schema, **more: Any) -> Schema:
    return {
        "name": name,
        "in": where,
        "description": description,
        "schema": schema,
        **({"required": True} if where == "path" else {}),
        **more,
    }


_LIST = {"style": "form", "explode": False}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_PARAMETERS: dict[str, Any] = {
    "processID": _in("path", "processID", "The id of a process", TEXT),
    "jobID": _in("path", "jobID", "The id of a job", TEXT),
    "outputID": _in("path", "outputID", "The id of an output", TEXT),
    "f": _in("query", "f", "The format, rather than what Accept says", {"type": "string", "enum": ["json", "html"]}),
    "limit": _in("query", "limit", "How many on a page at most", {"type": "integer", "minimum": 1, "default": 100}),
    "offset": _in("query", "offset", "How many to leave out", {"type": "integer", "minimum": 0, "maximum": 1_000_000_000}),
    "cursor": _in("query", "cursor", "Where a page begins; links have it", TEXT),
    "type": _in("query", "type", "Kinds of jobs", {"type": "array", "items": {"type": "string", "enum": ["process"]}}, **_LIST),
    "processIDs": _in("query", "processID", "Jobs of these processes", {"type": "array", "items": TEXT}, **_LIST),
    "status": _in(
        "query", "status", "Jobs in these states", {"type": "array", "items": {"type": "string", "enum": list(Job.Status.values)}}, **_LIST
    ),
    "datetime": _in("query", "datetime", "Submitted at a time, or in an interval such as 2026-01-01T00:00:00Z/..", TEXT),
    "minDuration": _in("query", "minDuration", "Work has taken so many seconds at least", _COUNT),
    "maxDuration": _in("query", "maxDuration", "Work has taken so many seconds at most", _COUNT),
}
