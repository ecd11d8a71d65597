"""Every refusal under /api/ is JSON of one shape, also those nobody thought of."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from streaming.api import layers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/", 404, "not_found"),
        ("POST", "/api/nothing/here", 404, "not_found"),
        ("GET", "/api/token/", 405, "method_not_allowed"),
        ("PUT", "/api/layers/", 405, "method_not_allowed"),
        ("DELETE", "/api/layers/x/features", 405, "method_not_allowed"),
        ("POST", "/api/events/", 401, "unauthenticated"),
    ],
)
def test_a_refusal_is_json_even_for_a_browser(nobody: APIClient, method: str, path: str, status: int, code: str) -> None:
    answer = nobody.generic(method, path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
    assert answer.json()["code"] == code
    assert answer.json()["message"]


def test_a_wrong_method_is_told_the_right_ones(nobody: APIClient) -> None:
    assert nobody.put("/api/layers/x/features")["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_a_body_that_is_not_json(admin: APIClient) -> None:
    answer = admin.generic("POST", "/api/layers/", "{", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_body_of_another_type(admin: APIClient) -> None:
    answer = admin.post("/api/layers/", {"name": "x"}, format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_that_is_too_large(admin: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_MAX_BODY_BYTES = 100
    assert admin.post("/api/layers/", {"name": "x" * 100}, format="json").status_code == 413


def test_a_failure_of_the_server(nobody: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(layers, "feature_counts", lambda names: 1 / 0)
    answer = nobody.get("/api/layers/")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "ZeroDivisionError" in caplog.text
