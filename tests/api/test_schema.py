"""The OpenAPI document and the page that shows it."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from rest_framework.test import APIClient


@pytest.fixture
def document(nobody: APIClient) -> dict[str, Any]:
    answer = nobody.get("/api/schema/", {"format": "json"})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_document_is_valid_and_complete() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_every_operation_is_in_it(document: dict[str, Any]) -> None:
    operations = {f"{method} {path}" for path, methods in document["paths"].items() for method in methods}
    assert operations == {
        "get /api/layers/",
        "post /api/layers/",
        "get /api/layers/{layer}/",
        "patch /api/layers/{layer}/",
        "delete /api/layers/{layer}/",
        "get /api/layers/{layer}/aggregates/",
        "get /api/layers/{layer}/aggregates/{z}/{x}/{y}.{ending}",
        "get /api/layers/{layer}/dictionaries/{name}/",
        "get /api/layers/{layer}/features/",
        "post /api/layers/{layer}/features/",
        "get /api/layers/{layer}/features/{feature_id}/",
        "put /api/layers/{layer}/features/{feature_id}/",
        "patch /api/layers/{layer}/features/{feature_id}/",
        "delete /api/layers/{layer}/features/{feature_id}/",
        "get /api/tilesets/",
        "post /api/tilesets/",
        "get /api/tilesets/{tileset}/",
        "patch /api/tilesets/{tileset}/",
        "delete /api/tilesets/{tileset}/",
        "put /api/tilesets/{tileset}/tiles/{z}/{x}/{y}/",
        "delete /api/tilesets/{tileset}/tiles/{z}/{x}/{y}/",
        "get /api/tilesets/{tileset}/imagery/",
        "post /api/tilesets/{tileset}/imagery/",
        "delete /api/tilesets/{tileset}/imagery/",
        "delete /api/tilesets/{tileset}/imagery/{image}/",
        "get /tiles/{tileset}/tilejson.json",
        "get /tiles/{tileset}/{z}/{x}/{y}.{ending}",
        "post /api/events/",
        "post /api/token/",
        "post /api/token/refresh/",
        "post /api/ticket/",
        "post /token",
    }


def test_it_knows_the_bodies_that_are_accepted(document: dict[str, Any]) -> None:
    publish = document["paths"]["/api/layers/{layer}/features/"]["post"]
    assert set(publish["requestBody"]["content"]) == {
        "application/json",
        "application/geo+json",
        "application/vnd.geo+json",
        "application/geo+json-seq",
        "application/x-ndjson",
        "application/jsonl",
        "application/jsonlines",
    }
    assert {"200", "401", "403", "404", "413", "415", "422", "503"} <= set(publish["responses"])
    assert {"bearer": []} in publish["security"]


@pytest.mark.parametrize("path", ["/api/docs", "/api/docs/"])
def test_the_page_needs_nothing_from_elsewhere(nobody: APIClient, path: str) -> None:
    page = nobody.get(path).content.decode()
    linked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert linked
    for url in linked:
        assert url.startswith("/static/"), url
        assert finders.find(url.removeprefix("/static/")), url
