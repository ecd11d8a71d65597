"""Refusals over HTTP, all of one shape: {"code", "message"} and, where there are several reasons, "errors".

Codes and statuses are those of `streaming.core.errors`, also for what the REST framework refuses by itself. Nothing
under `api/` ever answers with a page of HTML.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404, HttpResponse
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, ValidationError
from rest_framework.settings import api_settings

from streaming.core.errors import StreamError
from streaming.engine.responses import CHALLENGE, answer, refusal

logger = logging.getLogger(__name__)

FRAMEWORK_CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}


class UnsupportedMediaType(APIException):
    """Refusal 415. `accepted` are the types that are accepted, and `header` is the response header that lists them."""

    status_code = 415

    def __init__(self, what: str, given: str, accepted: tuple[str, ...], header: str) -> None:
        super().__init__(f"{what} {given[:100]!r} is not accepted here; use one of {', '.join(accepted)}")
        self.headers = {header: ", ".join(accepted)}


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse:
    """The response to any exception in a view: the REST framework's exception handler of this API."""
    if isinstance(exc, StreamError):
        return refusal(exc)
    if isinstance(exc, Http404):
        exc = NotFound()
    elif isinstance(exc, DjangoPermissionDenied):
        exc = PermissionDenied()
    if isinstance(exc, APIException):
        return _framework_refusal(exc)
    logger.error("a request failed: %s", context["request"].path, exc_info=exc)
    return refusal(StreamError("internal", "something went wrong in the server; it is in the log"))


def _framework_refusal(exc: APIException) -> HttpResponse:
    code = FRAMEWORK_CODES.get(exc.status_code, "internal" if exc.status_code >= 500 else "bad_request")
    if isinstance(exc.detail, dict) and getattr(exc.detail.get("code"), "code", "") == "token_not_valid":
        code = "token_invalid"
    errors = [{"field": field, "message": message} for field, message in _field_errors(exc.detail)]
    body: dict[str, Any] = {"code": code, "message": _summary(exc, errors)}
    if isinstance(exc, ValidationError):
        body["errors"] = errors
    response = answer(body, exc.status_code)
    for name, value in getattr(exc, "headers", {}).items():
        response[name] = value
    if exc.status_code == 401:
        response["WWW-Authenticate"] = CHALLENGE
    if exc.status_code == 429:
        response["Retry-After"] = str(getattr(exc, "wait", None) or 1)
    return response


def _summary(exc: APIException, errors: list[dict[str, str]]) -> str:
    if isinstance(exc, ValidationError):
        return "; ".join(f"{error['field']}: {error['message']}" if error["field"] else error["message"] for error in errors)
    if isinstance(exc.detail, dict):
        return str(exc.detail.get("detail", exc.default_detail))
    return "; ".join(error["message"] for error in errors)


def _field_errors(detail: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _field_errors(inner, "" if name == api_settings.NON_FIELD_ERRORS_KEY else f"{field}.{name}" if field else str(name))
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from _field_errors(inner, field)
    else:
        yield field, str(detail)
