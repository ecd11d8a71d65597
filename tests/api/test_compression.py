"""gzip: for what is read and holds no secret, off the event loop, and the same bytes inside."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from streaming.features.publishing import publish
from tests.geo_peer import point

GZIP = {"accept-encoding": "br, gzip;q=0.8"}
READS = ["/api/layers/", "/api/layers/l/", "/api/layers/l/features", "/api/layers/l/features/long", "/api/schema/?format=json"]


@pytest.fixture(autouse=True)
def layer(engine: None) -> None:
    publish("l", [point("long", 0, 0, text="word " * 500), *(point(number, 0, 0, text="word" * 3) for number in range(500))])
    for number in range(5):
        publish(f"layer-with-a-long-name-{number}", point(1, 0, 0))


@pytest.mark.parametrize("path", READS)
def test_what_is_read_is_compressed_if_the_client_takes_it(nobody: APIClient, path: str) -> None:
    plain, packed = nobody.get(path), nobody.get(path, headers=GZIP)
    if path == "/api/layers/l/":
        assert "Content-Encoding" not in packed  # too short
    else:
        assert packed["Content-Encoding"] == "gzip"
        assert len(packed.content) < len(plain.content) / 2
        assert json.loads(gzip.decompress(packed.content)).keys() == plain.json().keys() if isinstance(plain.json(), dict) else True
    assert "Content-Encoding" not in plain
    assert "Accept-Encoding" in plain["Vary"] and "Accept-Encoding" in packed["Vary"]


@pytest.mark.parametrize("accepted", ["", "br", "identity", "gzip;q=0", "gzip; q=0.0"])
def test_clients_that_do_not_take_gzip_get_none(nobody: APIClient, accepted: str) -> None:
    assert "Content-Encoding" not in nobody.get(READS[2], headers={"accept-encoding": accepted})


def test_a_compressed_feature_has_a_weak_tag_that_still_is_its_version(admin: APIClient) -> None:
    packed = admin.get(READS[3], headers=GZIP)
    assert packed["ETag"].startswith('W/"')
    assert admin.get(READS[3], headers={**GZIP, "if-none-match": packed["ETag"]}).status_code == 304
    answer = admin.generic(
        "PATCH", READS[3], '{"properties": {"x": 1}}', content_type="application/json", headers={"if-match": packed["ETag"]}
    )
    assert answer.status_code == 200


def test_answers_with_secrets_are_not_compressed(nobody: APIClient, admin: APIClient) -> None:
    for path, body in (("/api/token/", {"username": "admin", "password": "admin"}), ("/token", {"channel": "x" * 200, "id": "y" * 200})):
        answer = admin.post(path, body, format="json", headers=GZIP)
        assert (answer.status_code, "Content-Encoding" in answer) == (200, False)
    assert "Content-Encoding" not in admin.post("/api/ticket/", headers=GZIP)


def test_a_session_is_not_answered_compressed(nobody: APIClient) -> None:
    nobody.force_login(User.objects.create_user("alice"))
    assert "Content-Encoding" not in nobody.get(READS[2], headers=GZIP)


def test_the_length_is_blurred(nobody: APIClient) -> None:
    assert len({len(nobody.get(READS[3], headers=GZIP).content) for _ in range(20)}) > 1


def test_static_files_are_compressed(nobody: APIClient, settings: Any) -> None:
    settings.MIDDLEWARE = settings.MIDDLEWARE_WITH_STATIC_FILES
    path = "/static/streaming/client/client.js"
    for _ in range(2):  # made, then kept
        packed: Any = nobody.get(path, headers=GZIP)
        body = packed.getvalue() if packed.streaming else packed.content
        assert (packed["Content-Encoding"], packed["Content-Length"]) == ("gzip", str(len(body)))
        assert b"class GeoStreamClient" in gzip.decompress(body)
    plain = nobody.get(path)
    assert ("Content-Encoding" in plain, "Accept-Encoding" in plain["Vary"]) == (False, True)
    assert nobody.get(path, headers={**GZIP, "if-modified-since": plain["Last-Modified"]}).status_code == 304
    assert "Content-Encoding" not in nobody.get(path, headers={**GZIP, "range": "bytes=0-99"})
