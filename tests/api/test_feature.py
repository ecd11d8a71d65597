"""/api/layers/{layer}/features/{id}."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from streaming.features.publishing import publish
from streaming.models import Layer
from tests.geo_peer import point


def put(client: APIClient, id: str, body: Any, content_type: str = "application/geo+json") -> Any:
    return client.generic("PUT", f"/api/layers/l/features/{id}", json.dumps(body), content_type=content_type)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_feature_is_read(nobody: APIClient, slash: str) -> None:
    publish("l", point("a", 1, 2, name="A"))
    answer = nobody.get(f"/api/layers/l/features/a{slash}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/geo+json")
    assert answer.json() == point("a", 1.0, 2.0, name="A")


@pytest.mark.parametrize("id", ["with space", "Ärger", "a/b", "a.b", 'say "x"', "100%", "a?b=c#d"])
def test_an_id_may_be_any_text(admin: APIClient, id: str) -> None:
    from urllib.parse import quote

    assert put(admin, quote(id, safe=""), point(id, 0, 0)).status_code == 201
    assert admin.get(f"/api/layers/l/features/{quote(id, safe='')}").json()["id"] == id


def test_digits_are_the_string_first_and_else_the_integer(admin: APIClient) -> None:
    publish("l", point(7, 0, 0))
    assert admin.get("/api/layers/l/features/7").json()["id"] == 7
    publish("l", point("7", 0, 0))
    assert admin.get("/api/layers/l/features/7").json()["id"] == "7"
    assert admin.delete("/api/layers/l/features/7").status_code == 204
    assert admin.get("/api/layers/l/features/7").json()["id"] == 7


def test_quotes_force_the_string(admin: APIClient) -> None:
    publish("l", point(7, 0, 0))
    assert admin.get("/api/layers/l/features/%227%22").status_code == 404
    assert put(admin, "%227%22", {"type": "Feature", "geometry": None}).json()["id"] == "7"


def test_crs_and_properties(nobody: APIClient) -> None:
    publish("l", point("a", 180, 0, one=1, two=2))
    feature = nobody.get("/api/layers/l/features/a", {"crs": "3857", "properties": "two"}).json()
    assert feature["properties"] == {"two": 2}
    assert feature["geometry"]["coordinates"] == pytest.approx([20037508.34, 0], abs=0.1)


def test_put_adds_and_replaces(admin: APIClient) -> None:
    assert put(admin, "a", point("a", 1, 2)).status_code == 201
    assert put(admin, "a", point("a", 3, 4)).status_code == 200
    assert admin.get("/api/layers/l/features/a").json()["geometry"]["coordinates"] == [3, 4]


def test_the_body_may_leave_the_id_to_the_url(admin: APIClient) -> None:
    body = {"type": "Feature", "geometry": None}
    assert put(admin, "a", body).json()["id"] == "a"
    assert put(admin, "7", body).json()["id"] == "7"
    publish("l", point(8, 0, 0))
    assert put(admin, "8", body).json()["id"] == 8


def test_the_body_may_say_that_the_id_is_an_integer(admin: APIClient) -> None:
    assert put(admin, "7", point(7, 0, 0)).json()["id"] == 7


def test_the_id_of_the_body_must_agree(admin: APIClient) -> None:
    answer = put(admin, "a", point("b", 0, 0))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_feature")


@pytest.mark.parametrize("body", [point("a", 0, 91), {"type": "Point"}, {"type": "Feature"}])
def test_what_is_not_valid_is_unprocessable(admin: APIClient, body: Any) -> None:
    answer = put(admin, "a", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_feature")


@pytest.mark.parametrize("member", ["id", "type", "bbox", "geometry", "properties", "other", "if_version"])
def test_what_is_nested_too_deeply_is_refused(admin: APIClient, member: str) -> None:
    body = b'{"%b":%b%b}' % (member.encode(), b"[" * 100, b"]" * 100)
    publish("l", point("a", 0, 0))
    for method, kind, status in (("PUT", "application/geo+json", 422), ("PATCH", "application/merge-patch+json", 400)):
        answer = admin.generic(method, "/api/layers/l/features/a", body, content_type=kind)
        assert (answer.status_code, answer.json()["code"]) == (status, "invalid_feature")


def test_put_takes_one_document(admin: APIClient) -> None:
    assert put(admin, "a", point("a", 0, 0), "application/x-ndjson").status_code == 415


def test_put_is_bounded(admin: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_MAX_FEATURE_BYTES = 100
    answer = put(admin, "a", point("a", 0, 0, text="x" * 100))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_full_layer_takes_no_more(admin: APIClient) -> None:
    Layer.objects.create(name="l", max_features=1)
    put(admin, "a", point("a", 0, 0))
    answer = put(admin, "b", point("b", 0, 0))
    assert (answer.status_code, answer.json()["code"]) == (507, "layer_full")


@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_unknown_feature(admin: APIClient, method: str) -> None:
    Layer.objects.create(name="l")
    answer = getattr(admin, method)("/api/layers/l/features/a")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_feature")


@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_unknown_layer(admin: APIClient, method: str) -> None:
    answer = getattr(admin, method)("/api/layers/l/features/a")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_layer")


def test_writing_needs_the_permission_to_change_layers(nobody: APIClient, user_with: Callable[..., APIClient]) -> None:
    publish("l", point("a", 0, 0))
    assert put(nobody, "a", point("a", 1, 1)).status_code == 401
    assert nobody.delete("/api/layers/l/features/a").status_code == 401
    assert put(user_with("view_layer"), "a", point("a", 1, 1)).status_code == 403
    assert user_with("change_layer").delete("/api/layers/l/features/a").status_code == 204


def test_a_feature_of_a_layer_that_is_not_public(nobody: APIClient, user_with: Callable[..., APIClient]) -> None:
    publish("l", point("a", 0, 0))
    Layer.objects.filter(name="l").update(public=False)
    assert nobody.get("/api/layers/l/features/a").status_code == 404
    assert user_with("view_layer").get("/api/layers/l/features/a").status_code == 200
