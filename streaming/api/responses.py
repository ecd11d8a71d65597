"""Answers as JSON, encoded once, without a renderer."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpResponse

GEOJSON = "application/geo+json"


def answer(data: Any, status: int = 200, **headers: str) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(msgspec.json.encode(data), status=status, content_type="application/json", headers=headers or None)


def geojson(body: bytes, status: int = 200) -> HttpResponse:
    """A GeoJSON answer."""
    return HttpResponse(body, status=status, content_type=GEOJSON)
