"""GET /api/layers/{layer}/aggregates."""

from __future__ import annotations

import json
from typing import Any

import h3
import mapbox_vector_tile
import pytest
from django.test import AsyncClient
from rest_framework.test import APIClient

from streaming.engine.runtime import Runtime
from streaming.features.publishing import apublish
from streaming.models import Layer
from tests.geo_peer import point

PATH = "/api/layers/cities/aggregates"


def counts(client: APIClient, **parameters: Any) -> dict[str, int]:
    answer = client.get(PATH, parameters)
    assert answer.status_code == 200, answer.content
    return {feature["id"]: feature["properties"]["count"] for feature in answer.json()["features"]}


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
def test_everybody_counts_a_public_layer(nobody: APIClient, cities: list[Any], path: str) -> None:
    answer = nobody.get(path, {"zoom": 1, "properties": "people"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/geo+json")
    page = answer.json()
    assert page["aggregate"] == {"by": "h3", "resolution": 0, "properties": ["people"]}
    assert page["numberMatched"] == page["numberReturned"] == len(page["features"])
    suva = next(cell for cell in page["features"] if cell["id"] == h3.latlng_to_cell(-18.1, 178.4, 0))
    people = {"count": 1, "sum": 93_000, "min": 93_000, "max": 93_000, "mean": 93_000}
    assert suva["properties"] == {"count": 1, "people": people}
    assert suva["geometry"]["type"] == "MultiPolygon"


def test_a_box_selects_cells_and_a_filter_features(nobody: APIClient, cities: list[Any]) -> None:
    square = {"by": "grid", "resolution": 1}
    assert counts(nobody, **square) == {"1/0/0": 1, "1/1/0": 2, "1/1/1": 1}
    assert counts(nobody, **square, bbox="10,10,20,60") == {"1/1/0": 2}
    assert counts(nobody, **square, filter="people > 3000000") == {"1/1/0": 1}


def test_cells_come_page_by_page(nobody: APIClient, cities: list[Any]) -> None:
    page = nobody.get(PATH, {"by": "grid", "resolution": 1, "limit": 2}).json()
    (following,) = (link["href"] for link in page["links"] if link["rel"] == "next")
    assert [cell["id"] for cell in page["features"]] == ["1/0/0", "1/1/0"]
    assert [cell["id"] for cell in nobody.get(following).json()["features"]] == ["1/1/1"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "bad_request"),
        ({"zoom": "x"}, "bad_request"),
        ({"zoom": "nan"}, "bad_request"),
        ({"resolution": "1.5"}, "bad_request"),
        ({"zoom": "3", "by": "s2"}, "bad_request"),
        ({"zoom": "3", "size": "1"}, "bad_request"),
        ({"zoom": "3", "bbox": "1"}, "invalid_bbox"),
        ({"zoom": "3", "filter": "(("}, "invalid_filter"),
    ],
)
def test_what_cannot_be_counted_is_refused(nobody: APIClient, cities: list[Any], parameters: dict[str, str], code: str) -> None:
    answer = nobody.get(PATH, parameters)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_too_many_cells_are_refused(nobody: APIClient, cities: list[Any], settings: Any) -> None:
    settings.GEOSTREAM_MAX_AGGREGATE_CELLS = 3
    answer = nobody.get(PATH, {"resolution": 9})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_cells")


def test_a_private_layer_is_counted_for_its_readers_only(nobody: APIClient, admin: APIClient, cities: list[Any]) -> None:
    Layer.objects.filter(name="cities").update(public=False)
    assert nobody.get(PATH, {"zoom": 1}).status_code == 404
    assert len(counts(admin, zoom=1)) == 4


async def test_where_an_engine_runs_everything_stored_before_is_counted(runtime: Runtime) -> None:
    client = AsyncClient()
    for number in range(1, 4):
        await apublish("cities", point(number, 8.5, 47.4))
        answer = await client.get(PATH, {"by": "grid", "resolution": 1})
        assert [cell["properties"]["count"] for cell in json.loads(answer.content)["features"]] == [number]


def test_cells_are_vector_tiles(nobody: APIClient, cities: list[Any]) -> None:
    answer = nobody.get(f"{PATH}/3/4/2.mvt", {"properties": "people"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/vnd.mapbox-vector-tile")
    (layer,) = mapbox_vector_tile.decode(answer.content).values()
    berlin = next(cell["properties"] for cell in layer["features"] if cell["properties"]["people.max"] == 3_700_000)
    assert (berlin["count"], berlin["id"]) == (1, h3.latlng_to_cell(52.5, 13.4, 2))
    again = nobody.get(f"{PATH}/3/4/2.mvt", {"properties": "people"}, HTTP_IF_NONE_MATCH=answer["ETag"])
    assert again.status_code == 304
    assert nobody.get(f"{PATH}/6/0/0.pbf").status_code == 204
    assert nobody.get(f"{PATH}/1/2/0.mvt").json()["code"] == "unknown_tile"
    assert nobody.get(f"{PATH}/3/4/2.mvt", {"zoom": "3"}).json()["code"] == "bad_request"
