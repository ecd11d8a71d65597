"""Pages of other sites: those of the setting may use the API, others read public tiles only."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from streaming.features.publishing import publish
from streaming.models import Layer
from tests.geo_peer import point

SITE = "https://maps.example.org"
OTHER = "https://other.example.org"
READS = [
    "/api/layers/",
    "/api/layers/l/",
    "/api/layers/l/features",
    "/api/layers/l/features/a",
    "/api/schema/?format=json",
    "/api/tilesets/",
]


@pytest.fixture(autouse=True)
def layer(engine: None) -> None:
    publish("l", point("a", 1, 2))


def preflight(client: APIClient, path: str, method: str, origin: str = SITE) -> Any:
    return client.options(path, headers={"origin": origin, "access-control-request-method": method})


@pytest.mark.parametrize("path", READS)
def test_without_the_setting_no_page_of_another_site_reads(nobody: APIClient, path: str) -> None:
    answer = nobody.get(path, headers={"origin": SITE})
    assert (answer.status_code, "Access-Control-Allow-Origin" in answer) == (200, False)


@pytest.mark.parametrize("path", READS)
def test_a_page_of_an_allowed_site_reads(nobody: APIClient, settings: Any, path: str) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = f"{OTHER}, {SITE}"
    answer = nobody.get(path, headers={"origin": SITE})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"], answer["Access-Control-Allow-Credentials"]) == (200, SITE, "true")
    assert "ETag" in answer["Access-Control-Expose-Headers"]
    assert "Origin" in answer["Vary"]
    refused = nobody.get(path, headers={"origin": "https://evil.example.org"})
    assert ("Access-Control-Allow-Origin" in refused, "Origin" in refused["Vary"]) == (False, True)
    assert "Origin" in nobody.get(path)["Vary"]


@pytest.mark.parametrize("path", READS)
def test_with_a_star_every_page_reads_without_cookies(nobody: APIClient, settings: Any, path: str) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = "*"
    answer = nobody.get(path, headers={"origin": OTHER})
    assert (answer["Access-Control-Allow-Origin"], "Access-Control-Allow-Credentials" in answer) == ("*", False)


def test_beside_a_star_only_named_sites_send_cookies(nobody: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = f"*,{SITE}"
    named, other = (nobody.get(READS[0], headers={"origin": origin}) for origin in (SITE, OTHER))
    assert (named["Access-Control-Allow-Origin"], named["Access-Control-Allow-Credentials"]) == (SITE, "true")
    assert (other["Access-Control-Allow-Origin"], "Access-Control-Allow-Credentials" in other) == ("*", False)
    assert "Origin" in other["Vary"]


def test_a_refusal_can_be_read(nobody: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = SITE
    Layer.objects.create(name="private", public=False)
    for path in ("/api/layers/private/", "/api/nothing", "/api/layers/m/features"):
        assert nobody.get(path, headers={"origin": SITE})["Access-Control-Allow-Origin"] == SITE


@pytest.mark.parametrize(
    ("path", "method"), [("/api/layers/l/features", "POST"), ("/api/layers/l/features/a", "PATCH"), ("/api/events/", "POST")]
)
def test_a_preflight_needs_no_login(nobody: APIClient, settings: Any, path: str, method: str) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = SITE
    answer = preflight(nobody, path, method)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (204, SITE)
    assert method in answer["Access-Control-Allow-Methods"]
    assert {"authorization", "if-match", "idempotency-key"} <= set(answer["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Origin" not in preflight(nobody, path, method, OTHER)


def test_options_without_a_page_say_what_there_is(nobody: APIClient) -> None:
    answer = nobody.options("/api/layers/")
    assert (answer.status_code, answer["Allow"]) == (200, "GET, POST, HEAD, OPTIONS")


def test_a_page_of_an_allowed_site_writes_with_a_token(admin: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = SITE
    answer = admin.post("/api/layers/l/features", point("b", 1, 2), format="json", headers={"origin": SITE})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, SITE)


@pytest.mark.parametrize("path", READS[:2])
def test_documents_of_layers_have_tags(nobody: APIClient, path: str) -> None:
    tag = nobody.get(path)["ETag"]
    assert nobody.get(path, headers={"if-none-match": tag}).status_code == 304
    publish("l", point("b", 1, 2))
    assert nobody.get(path, headers={"if-none-match": tag}).status_code == 200
