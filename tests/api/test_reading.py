"""GET /api/layers/{layer}/features."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict
from django.test import AsyncClient
from rest_framework.test import APIClient

from streaming.api import pagination
from streaming.api.queries import read_query
from streaming.engine.runtime import Runtime
from streaming.features.publishing import apublish, delete, publish
from streaming.models import Layer
from tests.geo_peer import point

PATH = "/api/layers/cities/features"


def ids(client: APIClient, **parameters: Any) -> list[Any]:
    answer = client.get(PATH, parameters)
    assert answer.status_code == 200, answer.content
    return [feature["id"] for feature in answer.json()["features"]]


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
def test_everybody_reads_a_public_layer(nobody: APIClient, cities: list[Any], path: str) -> None:
    answer = nobody.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/geo+json")
    page = answer.json()
    assert page["type"] == "FeatureCollection"
    assert page["features"] == cities
    assert (page["numberReturned"], page["numberMatched"]) == (4, 4)
    assert [link["rel"] for link in page["links"]] == ["self"]
    assert page["timeStamp"].endswith("Z")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"bbox": "-10,35,5,50"}, ["lisbon", "paris"]),
        ({"bbox": "-10,35,0,5,50,1000"}, ["lisbon", "paris"]),
        ({"bbox": "170,-50,-170,0"}, ["suva"]),
        ({"center": "2.35,48.85", "radius_m": "880000"}, ["berlin", "paris"]),
        ({"center": "2.35,48.85", "radius_m": "870000"}, ["paris"]),
        ({"center": "-179,-18", "radius_m": "3e5"}, ["suva"]),
        ({"filter": "S_DWITHIN(geometry, POINT(2.35 48.85), 880000) AND people < 3000000"}, ["paris"]),
        ({"filter": "S_DWITHIN(LINESTRING(2 48, 14 48), geometry, 510000)"}, ["berlin", "paris"]),
        ({"filter": "S_DWITHIN(geometry, POLYGON((-9 39, -3 39, -3 45, -9 39)), 40000)"}, ["lisbon"]),
        ({"filter": "people > 1000000"}, ["berlin", "paris"]),
        ({"filter": '{"op":"<","args":[{"property":"people"},100000]}', "filter-lang": "cql2-json"}, ["suva"]),
        ({"filter": "people > 1000000", "bbox": "0,0,5,90"}, ["paris"]),
        ({"datetime": "2000-01-01T00:00:00Z/.."}, ["berlin", "lisbon", "paris", "suva"]),
        ({"datetime": "../2000-01-01T00:00:00Z"}, []),
    ],
)
def test_conditions(nobody: APIClient, cities: list[Any], parameters: dict[str, str], expected: list[str]) -> None:
    assert ids(nobody, **parameters) == expected


def test_time_is_that_of_the_time_property(nobody: APIClient, cities: list[Any]) -> None:
    Layer.objects.filter(name="cities").update(time_property="founded")
    assert ids(nobody, datetime="1200-01-01T00:00:00Z/1300-01-01T00:00:00Z") == ["berlin", "lisbon"]


def test_coordinates_in_another_crs(nobody: APIClient, cities: list[Any]) -> None:
    (feature,) = nobody.get(PATH, {"crs": "EPSG:3857", "filter": "people = 2100000"}).json()["features"]
    assert feature["geometry"]["coordinates"] == pytest.approx([261600.8, 6249447.6], abs=1)


def test_only_some_properties(nobody: APIClient, cities: list[Any]) -> None:
    features = nobody.get(PATH, {"properties": "people, nothing"}).json()["features"]
    assert [list(feature["properties"]) for feature in features] == [["people"]] * 4


def test_pages_follow_one_another(nobody: APIClient) -> None:
    publish("cities", [point(i, 0, 0) for i in range(25)])
    seen, url = [], f"{PATH}?limit=10&filter=id>=0"
    sizes = []
    while url:
        page = nobody.get(url).json()
        seen += [feature["id"] for feature in page["features"]]
        sizes.append(page["numberReturned"])
        assert page["numberMatched"] == 25
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert sizes == [10, 10, 5]
    assert sorted(seen) == list(range(25))


def test_what_comes_and_goes_between_two_pages_disturbs_no_other(nobody: APIClient) -> None:
    publish("cities", [point(f"c{i}", 0, 0) for i in range(6)])
    first = nobody.get(PATH, {"limit": 3}).json()
    delete("cities", "c1", "c2")
    publish("cities", [point("a-new-one", 0, 0)])
    second = nobody.get(next(link["href"] for link in first["links"] if link["rel"] == "next")).json()
    assert [feature["id"] for feature in second["features"]] == ["c3", "c4", "c5"]


def test_a_page_of_large_features_ends_early(cities: list[Any], nobody: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "MAX_PAGE_BYTES", 300)
    page = nobody.get(PATH).json()
    assert 0 < page["numberReturned"] < 4
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    assert nobody.get(following).json()["features"][0] == cities[page["numberReturned"]]


def test_a_limit_beyond_the_most_is_the_most() -> None:
    assert read_query(QueryDict("limit=99999999999999999"), None).limit == 10_000
    assert read_query(QueryDict(""), None).limit == 1000


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"bbox": "1,2,3"}, "invalid_bbox"),
        ({"bbox": "a,b,c,d"}, "invalid_bbox"),
        ({"bbox": "0,nan,1,1"}, "invalid_bbox"),
        ({"datetime": "yesterday"}, "invalid_datetime"),
        ({"filter": "people >"}, "invalid_filter"),
        ({"filter": "people > 1", "filter-lang": "sql"}, "invalid_filter"),
        ({"crs": "EPSG:1"}, "invalid_crs"),
        ({"limit": "0"}, "bad_request"),
        ({"limit": "many"}, "bad_request"),
        ({"after": "!"}, "invalid_cursor"),
        ({"bobx": "0,0,1,1"}, "bad_request"),
        ({"limit": ["1", "2"]}, "bad_request"),
    ],
)
def test_what_cannot_be_understood_is_refused(nobody: APIClient, cities: list[Any], parameters: dict[str, Any], code: str) -> None:
    answer = nobody.get(PATH, parameters)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_an_unknown_layer(nobody: APIClient) -> None:
    answer = nobody.get("/api/layers/nowhere/features")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_layer")


def test_a_layer_that_is_not_public(nobody: APIClient, user_with: Callable[..., APIClient]) -> None:
    Layer.objects.create(name="cities", public=False)
    assert nobody.get(PATH).status_code == user_with().get(PATH).status_code == 404
    assert user_with("view_layer").get(PATH).status_code == 200


async def test_a_running_engine_shows_what_was_stored_before(runtime: Runtime) -> None:
    client = AsyncClient()
    for number in range(3):
        await apublish("live", point(number, 0, 0))
        page = json.loads((await client.get("/api/layers/live/features")).content)
        assert page["numberMatched"] == number + 1
    assert list(runtime.hub.followers) == ["layer:live"]
