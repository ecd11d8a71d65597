"""Several editors of a layer's settings: nobody overwrites what they have not seen."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from streaming.api.preconditions import settings_version
from streaming.features.publishing import publish
from streaming.models import Layer
from tests.api.conftest import with_token
from tests.geo_peer import point

URL = "/api/layers/ships/"


@pytest.fixture(autouse=True)
def ships(engine: None) -> Layer:
    return Layer.objects.create(name="ships", title="Ships")


def patch(client: APIClient, values: dict[str, Any], **headers: str) -> Any:
    return client.patch(URL, values, format="json", headers=headers)


def test_the_second_of_two_changes_is_refused(admin: APIClient) -> None:
    tag = admin.get(URL)["ETag"]
    first = patch(admin, {"title": "Boats"}, **{"if-match": tag})
    second = patch(admin, {"title": "Vessels"}, **{"if-match": tag})
    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 412, "precondition_failed")
    assert second["ETag"] == first["ETag"]
    assert Layer.objects.get().title == "Boats"
    assert patch(admin, {"title": "Vessels"}, **{"if-match": f'"other", W/{second["ETag"]}'}).status_code == 200


def test_what_is_published_meanwhile_does_not_matter(admin: APIClient) -> None:
    tag = admin.get(URL)["ETag"]
    publish("ships", point("a", 1, 2))
    assert admin.get(URL)["ETag"] != tag
    assert patch(admin, {"title": "Boats"}, **{"if-match": tag}).status_code == 200


def test_a_layer_that_has_changed_is_not_deleted(admin: APIClient) -> None:
    tag = admin.get(URL)["ETag"]
    current = patch(admin, {"max_features": 5})["ETag"]
    refused = admin.delete(URL, headers={"if-match": tag})
    assert (refused.status_code, refused["ETag"]) == (412, current)
    assert admin.delete(URL, headers={"if-match": current}).status_code == 204


def test_the_tag_of_a_new_layer_can_be_sent_back(admin: APIClient) -> None:
    made = admin.post("/api/layers/", {"name": "cars", "ttl_seconds": 60}, format="json")
    assert admin.patch("/api/layers/cars/", {"title": "Cars"}, format="json", headers={"if-match": made["ETag"]}).status_code == 200
    Layer.objects.get(name="cars").delete()
    assert admin.post("/api/layers/", {"name": "cars", "title": "Cars", "ttl_seconds": 60}, format="json")["ETag"] != made["ETag"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": "*"}, 200),
        ({"if-none-match": "*"}, 412),
        ({"if-match": "no tag"}, 412),
        ({"if-match": "*", "if-none-match": "*"}, 400),
    ],
)
def test_other_conditions(admin: APIClient, headers: dict[str, str], status: int) -> None:
    assert patch(admin, {"title": "Boats"}, **headers).status_code == status


def test_a_refused_change_changes_nothing(admin: APIClient) -> None:
    tag = admin.get(URL)["ETag"]
    assert patch(admin, {"title": "Boats", "ttl_seconds": -1}, **{"if-match": tag}).status_code == 400
    assert admin.get(URL, headers={"if-none-match": tag}).status_code == 304


def test_the_tag_reveals_nothing_of_hidden_settings(nobody: APIClient, ships: Layer, settings: Any) -> None:
    version = nobody.get(URL)["ETag"].strip('"').partition(".")[0]
    assert version == settings_version(ships)
    settings.SECRET_KEY = "another" * 8
    assert version != settings_version(ships)


def test_of_many_changes_at_once_one_wins(admin: APIClient) -> None:
    tag = admin.get(URL)["ETag"]
    user = User.objects.get()

    def change(number: int) -> int:
        try:
            return int(patch(with_token(user), {"title": f"title {number}"}, **{"if-match": tag}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(change, range(16))) == [200, *[412] * 15]


def test_a_missing_permission_comes_first(user_with: Callable[..., APIClient]) -> None:
    assert patch(user_with("view_layer"), {}, **{"if-match": '"x"'}).status_code == 403
