"""The API inside a Django project that includes GeoStream, under a prefix and beside an API of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.urls import reverse, set_script_prefix
from rest_framework.test import APIClient

from streaming.features.publishing import publish
from streaming.models import Tileset
from tests.geo_peer import point
from tests.processes import run

pytestmark = pytest.mark.long_form(only=True)

SPECIFICATION = [f"tests/api/test_{name}.py" for name in ("access", "errors", "events", "layers", "schema")]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_rest_framework_settings_of_the_project_change_nothing() -> None:
    """They are read when views are imported, so this takes a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    forked = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of libraries that it begins with
    pytest_there = (
        sys.executable,
        "-m",
        "pytest",
        "--ds=tests.other_project.settings",
        "-p",
        "no:cacheprovider",
        "--nomigrations",
        *forked,
    )
    run(*pytest_there, *SPECIFICATION, env=environment, timeout=290, preloaded=True)


@pytest.fixture
def prefixed(settings: Any) -> Iterator[str]:
    """GeoStream's URLs are under this path."""
    settings.ROOT_URLCONF = "tests.other_project.urls"
    yield "/live"
    set_script_prefix("/")


def test_the_projects_own_api_is_not_changed(prefixed: str, nobody: APIClient, settings: Any) -> None:
    settings.REST_FRAMEWORK = {"EXCEPTION_HANDLER": "tests.other_project.own_api.teapot"}
    assert nobody.get("/own/").status_code == 418
    answer = nobody.get(f"{prefixed}/api/layers/none/")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_layer")


def test_the_projects_own_api_is_not_in_the_document(prefixed: str, nobody: APIClient) -> None:
    document = nobody.get(f"{prefixed}/api/schema/", {"format": "json"}).json()
    assert f"{prefixed}/api/layers/{{layer}}/features/" in document["paths"]
    assert all(path.startswith(f"{prefixed}/") for path in document["paths"])


def test_a_view_without_a_description_is_in_the_document(prefixed: str, nobody: APIClient) -> None:
    document = nobody.get(f"{prefixed}/api/schema/", {"format": "json"}).json()
    assert set(document["paths"][f"{prefixed}/part/"]) == {"delete"}


def test_the_page_of_the_document_finds_it_under_the_prefix(prefixed: str, nobody: APIClient) -> None:
    assert f'"{prefixed}/api/schema"' in nobody.get(f"{prefixed}/api/docs/").content.decode()


def test_links_of_a_layer_lead_under_the_prefix(prefixed: str, admin: APIClient) -> None:
    created = admin.post(f"{prefixed}/api/layers/", {"name": "l"}, format="json")
    site = "http://testserver/live/api/layers/l"
    assert created["Location"] == f"{site}/"
    links = {link["rel"]: link["href"] for link in created.json()["links"]}
    assert links == {
        "self": f"{site}/",
        "items": f"{site}/features",
        "aggregates": f"{site}/aggregates",
        "stream": "ws://testserver/ws",
    }


def test_links_of_pages_lead_under_the_prefix(prefixed: str, nobody: APIClient) -> None:
    publish("l", [point(1, 1, 1), point(2, 2, 2)])
    page = nobody.get(f"{prefixed}/api/layers/l/features", {"limit": 1}).json()
    following = nobody.get(next(link["href"] for link in page["links"] if link["rel"] == "next")).json()
    assert [feature["id"] for feature in page["features"] + following["features"]] == [1, 2]


def test_links_of_a_tileset_lead_under_the_prefix(prefixed: str, admin: APIClient) -> None:
    created = admin.post(f"{prefixed}/api/tilesets/", {"name": "radar", "kind": "pushed"}, format="json")
    assert created["Location"] == "http://testserver/live/api/tilesets/radar/"
    assert {link["rel"]: link["href"] for link in created.json()["links"]} == {
        "self": "http://testserver/live/api/tilesets/radar/",
        "tilejson": "http://testserver/live/tiles/radar/tilejson.json",
        "tiles": "http://testserver/live/tiles/radar/{z}/{x}/{y}.png",
    }
    assert nobody_reads_tilejson(prefixed)["tiles"] == ["http://testserver/live/tiles/radar/{z}/{x}/{y}.png"]


def nobody_reads_tilejson(prefix: str) -> Any:
    Tileset.objects.update(public=True)
    return APIClient().get(f"{prefix}/tiles/radar/tilejson.json").json()


def test_refusals_name_paths_under_the_prefix(prefixed: str, nobody: APIClient) -> None:
    assert f"see {prefixed}/api/docs/" in nobody.get(f"{prefixed}/api/nothing").json()["message"]
    assert f"a token of {prefixed}/api/token/" in nobody.post(f"{prefixed}/api/layers/").json()["message"]


@pytest.mark.parametrize("script_name", ["", "/maps"])
def test_websockets_are_at_the_root_behind_the_script_name(prefixed: str, user_with: Callable[..., APIClient], script_name: str) -> None:
    set_script_prefix(script_name)
    ticket = user_with().post(f"{prefixed}/api/ticket/").json()
    assert ticket["url"].startswith(f"ws://testserver{script_name}/ws?ticket=")


def test_urls_of_geostream_have_names_of_their_own(prefixed: str) -> None:
    assert (reverse("layers"), reverse("streaming:layers")) == ("/own/", "/live/api/layers")
