"""Refusals as OGC API - Processes has them: exceptions of RFC 7807, with the types that the standard gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from processes.descriptions import Fault
from streaming.core.errors import StreamError
from streaming.engine.responses import CHALLENGE

TYPES = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
ABOUT_BLANK = "about:blank"
INVALID_PARAMETER = "InvalidParameterValue"
RETRY_SECONDS = {429: "5", 503: "5"}


class OgcError(Exception):
    """A refusal. `more` are further members of its document."""

    def __init__(
        self, status: int, detail: str, *, type: str = ABOUT_BLANK, title: str = "", headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {**({"Retry-After": RETRY_SECONDS[status]} if status in RETRY_SECONDS else {}), **(headers or {})}
        if status == 401:
            self.headers["WWW-Authenticate"] = CHALLENGE
        self.document = {"type": type, "title": title or phrase(status), "status": status, "detail": detail, **more}


def phrase(status: int) -> str:
    """What HTTP calls a status."""
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"


def of_stream_error(error: StreamError) -> OgcError:
    """A refusal of the engine."""
    return OgcError(error.kind.status, error.message, code=error.code)


def no_such_process(identifier: str) -> OgcError:
    """There is no process of this id."""
    return OgcError(404, f"there is no process {identifier[:200]!r} here", type=TYPES + "no-such-process", title="No such process")


def no_such_job(identifier: str) -> OgcError:
    """There is no job of this id, or it is another user's."""
    return OgcError(404, f"there is no job {identifier[:200]!r} here", type=TYPES + "no-such-job", title="No such job")


def result_not_ready(status: str) -> OgcError:
    """The job has not ended."""
    return OgcError(404, f"the job is {status}; its results are not ready", type=TYPES + "result-not-ready", title="Result not ready")


def dismissed(detail: str) -> OgcError:
    """The job was dismissed."""
    return OgcError(410, detail, type=TYPES + "result-not-available", title="Dismissed")


def no_such_output(identifier: str) -> OgcError:
    """The job has no such output."""
    return OgcError(404, f"the job has no output {identifier[:200]!r}", type=TYPES + "no-such-output", title="No such output")


def invalid_request(faults: Iterable[Fault]) -> OgcError:
    """Something in an execute request is wrong: everything that is."""
    listed = list(faults)
    first = listed[0]
    detail = f"{first.pointer or '/'}: {first.detail}" + (f" (and {len(listed) - 1} more)" if len(listed) > 1 else "")
    errors = [{**({"input": each.input} if each.input else {}), "pointer": each.pointer, "detail": each.detail} for each in listed]
    return OgcError(400, detail, type=INVALID_PARAMETER, title="Invalid parameter value", errors=errors)


def invalid_query(name: str, detail: str) -> OgcError:
    """A parameter of the query is wrong."""
    return OgcError(
        400,
        f"{name}: {detail}",
        type=TYPES + "invalid-query-parameter-value",
        title="Invalid query parameter",
        errors=[{"parameter": name, "detail": detail}],
    )


def of_failed_job(exception: Mapping[str, Any] | None) -> OgcError:
    """Why a job has failed, with the status that this has."""
    given = dict(exception or {})
    status = given.pop("status", 500)
    if not isinstance(status, int) or not 400 <= status <= 599:
        status = 500
    detail, kind, title = (given.pop(name, "") for name in ("detail", "type", "title"))
    more = {name: value for name, value in given.items() if name != "headers"}
    return OgcError(status, str(detail or "the process failed"), type=str(kind or ABOUT_BLANK), title=str(title), **more)
