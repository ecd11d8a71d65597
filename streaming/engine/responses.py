"""HTTP answers as JSON, encoded once, without a renderer; a refusal is `{"code", "message"}` with the status of its code."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpResponse

from streaming.core.errors import StreamError

RETRY_AFTER = {"redis_unavailable": "1", "rate_limited": "1", "too_many_connections": "5"}
CHALLENGE = 'Bearer realm="api"'
GEOJSON = "application/geo+json"


def answer(data: Any, status: int = 200, **headers: str) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(msgspec.json.encode(data), status=status, content_type="application/json", headers=headers or None)


def geojson(body: bytes, status: int = 200) -> HttpResponse:
    """A GeoJSON answer."""
    return HttpResponse(body, status=status, content_type=GEOJSON)


def refusal(error: StreamError, status: int | None = None, **more: Any) -> HttpResponse:
    """The answer to a request that was refused."""
    response = answer({"code": error.code, "message": error.message, **more}, status or error.kind.status)
    if error.code in RETRY_AFTER:
        response["Retry-After"] = RETRY_AFTER[error.code]
    if response.status_code == 401:
        response["WWW-Authenticate"] = CHALLENGE
    return response
