"""Publishing the GeoJSON that programs write: marks, other media types, lists, bare geometries, other CRSs, odd times and longitudes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from streaming.core.redis import close_async_redis
from streaming.features.publishing import apublish, publish
from streaming.models import Layer
from tests.api.test_publishing import STORED, collection, post
from tests.geo_peer import point

PATH = "/api/layers/l/features"
LV95 = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2056"}}
ZURICH = [8.539578872, 47.378641663]
BOM = b"\xef\xbb\xbf"


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def in_lv95(identity: Any = 1) -> dict[str, Any]:
    return point(identity, 2683141, 1248117)


def place(client: APIClient, identity: Any = 1) -> Any:
    return client.get(f"{PATH}/{identity}").json()["geometry"]["coordinates"]


@pytest.mark.parametrize("content_type", ["application/json", "application/geo+json", "application/vnd.geo+json", "application/x-ndjson"])
def test_a_byte_order_mark_is_skipped(admin: APIClient, content_type: str) -> None:
    assert post(admin, BOM + encoded(point(1, 2, 3)), content_type).json() == STORED
    answer = admin.generic("PUT", f"{PATH}/2", BOM + encoded(point(2, 2, 3)), content_type="application/vnd.geo+json")
    assert answer.status_code == 201


@pytest.mark.parametrize("body", [[point(1, 2, 3)], collection(point(1, 2, 3))])
@pytest.mark.parametrize("content_type", ["application/geo+json", "application/x-ndjson"])
def test_a_list_of_features_and_a_collection_are_taken_as_document_and_as_line(admin: APIClient, body: Any, content_type: str) -> None:
    assert post(admin, body, content_type).json() == STORED


@pytest.mark.parametrize(("content_type", "status"), [("application/geo+json", 400), ("application/x-ndjson", 422)])
def test_a_bare_geometry_is_refused_with_what_to_do(admin: APIClient, content_type: str, status: int) -> None:
    answer = post(admin, {"type": "Point", "coordinates": [1, 2]}, content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, "invalid_feature")
    assert "a bare Point has no id" in answer.json()["message"]
    answer = admin.generic("PUT", f"{PATH}/2", encoded({"type": "Point", "coordinates": [1, 2]}), content_type="application/geo+json")
    assert (answer.status_code, "a bare Point has no id" in answer.json()["message"]) == (422, True)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("features", [1, 6_000])
def test_a_document_with_a_crs_is_projected(admin: APIClient, pack: bool, before: bool, features: int) -> None:
    whole = {**collection(*map(in_lv95, range(1, features + 1))), "crs": LV95}
    body = encoded(dict(reversed(whole.items())) if before else whole)
    headers = {"Content-Encoding": "gzip"} if pack else {}
    answer = post(admin, gzip.compress(body) if pack else body, **headers)
    assert answer.json()["added"] == features
    assert place(admin, features) == pytest.approx(ZURICH, abs=1e-8)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (in_lv95(), "application/geo+json"),
        ([in_lv95()], "application/json"),
        ({**collection(in_lv95()), "crs": {"type": "name", "properties": {"name": "EPSG:3857"}}}, "application/geo+json"),
        (in_lv95(), "application/x-ndjson"),
        (collection(in_lv95()), "application/x-ndjson"),
    ],
)
def test_the_crs_of_a_body_may_be_given_in_the_query(admin: APIClient, body: Any, content_type: str) -> None:
    assert post(admin, body, content_type, f"{PATH}?crs=EPSG:2056").json()["added"] == 1
    assert place(admin) == pytest.approx(ZURICH, abs=1e-8)


def test_the_crs_of_one_feature_may_be_given_in_the_query(admin: APIClient) -> None:
    answer = admin.generic("PUT", f"{PATH}/1?crs=2056", encoded(in_lv95()), content_type="application/geo+json")
    assert answer.status_code == 201
    assert answer.json()["geometry"]["coordinates"] == pytest.approx(ZURICH, abs=1e-8)


@pytest.mark.parametrize("query", ["crs=EPSG:99999", "crs=Swiss", "crs="])
def test_an_unknown_crs_is_refused(admin: APIClient, query: str) -> None:
    assert post(admin, point(1, 2, 3), path=f"{PATH}?{query}").json()["code"] == "invalid_crs"
    assert post(admin, {**collection(point(1, 2, 3)), "crs": {"type": "link", "properties": {}}}).json()["code"] == "invalid_crs"


def test_a_misspelt_parameter_is_refused(admin: APIClient) -> None:
    answer = post(admin, in_lv95(), path=f"{PATH}?csr=2056")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_layer_wraps_longitudes_if_it_says_so(admin: APIClient, nobody: APIClient) -> None:
    assert post(admin, point(1, 181, 3)).status_code == 422
    Layer.objects.create(name="l")
    assert admin.patch("/api/layers/l/", {"wrap_longitude": True}, format="json").json()["wrap_longitude"] is True
    assert post(admin, point(1, 181, 3)).json() == STORED
    assert place(nobody) == [-179, 3]
    assert "wrap_longitude" not in nobody.get("/api/layers/l/").json()
    track = {**point(2, 0, 0), "geometry": {"type": "LineString", "coordinates": [[179, 0], [181, 2]]}}
    assert admin.generic("PUT", f"{PATH}/2", encoded(track), content_type="application/geo+json").status_code == 201
    assert place(nobody, 2) == [[[179, 0], [180, 1]], [[-180, 1], [-179, 2]]]
    assert admin.patch(f"{PATH}/1", {"geometry": {"type": "Point", "coordinates": [182, 3]}}, format="json").status_code == 200
    assert publish("l", point(3, 183, 0)).added == 1
    assert [feature["id"] for feature in nobody.get(PATH, {"bbox": "179.5,-5,-178.5,5"}).json()["features"]] == [2]


def test_a_time_that_cannot_be_read_is_reported_and_the_feature_stays(admin: APIClient, nobody: APIClient) -> None:
    Layer.objects.create(name="l", time_property="seen")
    answer = post(
        admin,
        collection(*(point(number, 0, 0, seen=seen) for number, seen in enumerate(["2018-08-01 05:00", "yesterday", None, 1533099600]))),
    )
    counts = answer.json()
    assert (counts["added"], counts["refused"]) == (4, 0)
    (warning,) = counts["warnings"]
    assert (warning["index"], warning["code"]) == (1, "unreadable_time")
    assert "'yesterday' is no time" in warning["message"]
    found = nobody.get(PATH, {"datetime": "2018-08-01T05:00:00Z"}).json()["features"]
    assert [feature["id"] for feature in found] == [0, 3]


async def test_python_code_may_publish_such_documents_too(transactional_db: None) -> None:
    result = await apublish("l", {**collection(in_lv95(1), in_lv95(2)), "crs": LV95})
    assert (result.added, result.refused) == (2, 0)
    assert (await apublish("l", {**in_lv95(3), "crs": LV95})).added == 1
    await close_async_redis()


def test_lines_with_a_crs_are_projected_while_they_arrive(admin: APIClient, user_with: Callable[..., APIClient]) -> None:
    body = b"\n".join(encoded(in_lv95(number)) for number in range(2000))
    assert post(admin, body, "application/x-ndjson", f"{PATH}?crs=2056").json()["added"] == 2000
    assert place(admin, 1999) == pytest.approx(ZURICH, abs=1e-8)
