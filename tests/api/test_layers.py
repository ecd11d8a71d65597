"""/api/layers/ and /api/layers/{layer}/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from streaming.core.redis import sync_redis
from streaming.models import Layer


@pytest.mark.parametrize("path", ["/api/layers", "/api/layers/"])
def test_layers_are_listed_with_their_counts(nobody: APIClient, cities: list[Any], path: str) -> None:
    Layer.objects.create(name="secret", public=False)
    (layer,) = nobody.get(path).json()
    links = layer.pop("links")
    shown = {"name": "cities", "title": "cities", "public": True, "time_property": None, "group": "", "order": 0, "style": None}
    assert layer == {**shown, "count": 4, "aggregates": ["h3", "grid"]}
    assert {link["rel"]: link["href"] for link in links} == {
        "self": "http://testserver/api/layers/cities/",
        "items": "http://testserver/api/layers/cities/features",
        "aggregates": "http://testserver/api/layers/cities/aggregates",
        "stream": "ws://testserver/ws",
    }


def test_those_who_may_read_them_see_the_others(user_with: Callable[..., APIClient]) -> None:
    Layer.objects.create(name="secret", public=False)
    assert [layer["name"] for layer in user_with("view_layer").get("/api/layers/").json()] == ["secret"]


def test_the_list_does_without_redis(nobody: APIClient, cities: list[Any]) -> None:
    sync_redis().set("geostream:{layer:cities}:state", "of the wrong type")
    assert nobody.get("/api/layers/").json()[0]["count"] is None


@pytest.mark.parametrize("path", ["/api/layers", "/api/layers/"])
def test_a_layer_is_created(user_with: Callable[..., APIClient], path: str) -> None:
    answer = user_with("add_layer").post(path, {"name": "ships", "title": "Ships", "ttl_seconds": 60}, format="json")
    assert (answer.status_code, answer["Location"]) == (201, "http://testserver/api/layers/ships/")
    assert (answer.json()["title"], answer.json()["count"]) == ("Ships", 0)
    assert Layer.objects.get(name="ships").ttl_seconds == 60


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "name"), ({"name": "-"}, "name"), ({"name": "taken"}, "name"), ({"name": "x", "ttl_seconds": 0}, "ttl_seconds")],
)
def test_settings_that_cannot_be_are_refused_by_field(admin: APIClient, body: dict[str, Any], field: str) -> None:
    Layer.objects.create(name="taken")
    answer = admin.post("/api/layers/", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.json()["message"].startswith(f"{field}: ")


def test_settings_are_changed(user_with: Callable[..., APIClient]) -> None:
    Layer.objects.create(name="ships")
    answer = user_with("change_layer").patch("/api/layers/ships/", {"title": "Ships", "max_features": 5}, format="json")
    assert (answer.status_code, answer.json()["title"], answer.json()["max_features"]) == (200, "Ships", 5)


def test_a_layer_keeps_its_name(admin: APIClient) -> None:
    Layer.objects.create(name="ships")
    assert admin.patch("/api/layers/ships/", {"name": "boats"}, format="json").status_code == 400
    assert admin.patch("/api/layers/ships/", {"name": "ships"}, format="json").status_code == 200


def test_a_layer_goes_with_its_features(cities: list[Any], user_with: Callable[..., APIClient]) -> None:
    assert user_with("delete_layer").delete("/api/layers/cities").status_code == 204
    assert not sync_redis().exists("geostream:{layer:cities}:state")
    assert not Layer.objects.exists()


def test_its_settings_are_for_those_who_may_change_them(nobody: APIClient, admin: APIClient) -> None:
    Layer.objects.create(name="ships")
    assert "max_features" not in nobody.get("/api/layers/ships/").json()
    assert admin.get("/api/layers/ships/").json()["max_features"] == 200_000


@pytest.mark.parametrize(("method", "permission"), [("post", "add_layer"), ("patch", "change_layer"), ("delete", "delete_layer")])
def test_each_method_needs_its_permission(nobody: APIClient, user_with: Callable[..., APIClient], method: str, permission: str) -> None:
    Layer.objects.create(name="ships")
    path = "/api/layers/" if method == "post" else "/api/layers/ships/"
    others = {"add_layer", "change_layer", "delete_layer", "view_layer"} - {permission}
    assert getattr(nobody, method)(path, {}, format="json").status_code == 401
    answer = getattr(user_with(*others), method)(path, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert permission in answer.json()["message"]


def test_a_layer_that_is_not_public(nobody: APIClient, user_with: Callable[..., APIClient]) -> None:
    Layer.objects.create(name="secret", public=False)
    assert nobody.get("/api/layers/secret/").status_code == user_with().get("/api/layers/secret/").status_code == 404


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_an_unknown_layer(admin: APIClient, method: str) -> None:
    answer = getattr(admin, method)("/api/layers/nowhere/")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_layer")


def test_a_body_that_is_no_object_is_refused(admin: APIClient) -> None:
    answer = admin.post("/api/layers/", [], format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert [error["field"] for error in answer.json()["errors"]] == [""]


def test_options_name_the_types_of_bodies(nobody: APIClient) -> None:
    answer = nobody.options("/api/layers/")
    assert (answer.status_code, answer["Allow"]) == (200, "GET, POST, HEAD, OPTIONS")
    assert (answer.json()["parses"], answer.json()["renders"]) == (["application/json"], ["application/json"])
