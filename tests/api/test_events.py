"""POST /api/events."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from streaming.core.redis import sync_redis


@pytest.mark.parametrize("path", ["/api/events", "/api/events/"])
def test_an_event_is_published(user_with: Callable[..., APIClient], path: str) -> None:
    answer = user_with("change_layer").post(path, {"event_type": "progress", "payload": {"percent": 7}}, format="json")
    assert answer.status_code == 201
    assert answer.json()["cursor"].endswith(":1")
    ((_, fields),) = sync_redis().xrange("geostream:{events}:log")
    event = json.loads(fields[b"n"][13:])
    assert (event["event_type"], event["payload"]) == ("progress", {"percent": 7})


@pytest.mark.parametrize("payload", [None, 1, "text", [], {}])
def test_a_payload_is_any_json(admin: APIClient, payload: Any) -> None:
    assert admin.post("/api/events/", {"event_type": "custom", "payload": payload}, format="json").status_code == 201


@pytest.mark.parametrize(
    "body", [{}, {"event_type": "custom"}, {"event_type": "party", "payload": 1}, {"event_type": [], "payload": 1}, [], {"payload": 1}]
)
def test_what_is_no_event_is_refused(admin: APIClient, body: Any) -> None:
    answer = admin.post("/api/events/", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_an_event_is_bounded(admin: APIClient) -> None:
    answer = admin.post("/api/events/", {"event_type": "custom", "payload": "x" * 300_000}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_publishing_needs_the_permission_to_change_layers(nobody: APIClient, user_with: Callable[..., APIClient]) -> None:
    event = {"event_type": "custom", "payload": 1}
    assert nobody.post("/api/events/", event, format="json").status_code == 401
    assert user_with("view_layer").post("/api/events/", event, format="json").status_code == 403
