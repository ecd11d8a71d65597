"""POST /api/layers/{layer}/features."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.test import APIClient

from streaming.api import request_body as bodies
from streaming.core.redis import sync_redis
from streaming.features.layers import catalogue, layer_feed
from streaming.models import Layer
from tests.geo_peer import point

PATH = "/api/layers/l/features"
STORED = {"added": 1, "updated": 0, "unchanged": 0, "refused": 0, "errors": []}
LINES = ["application/x-ndjson", "application/jsonl", "application/jsonlines", "application/geo+json-seq"]


def post(client: APIClient, body: Any, content_type: str = "application/geo+json", path: str = PATH, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.generic("POST", path, data, content_type=content_type, headers=headers)


def collection(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


def stored(layer: str = "l") -> int:
    return layer_feed(catalogue.get_sync(layer)).count_sync()


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
@pytest.mark.parametrize("content_type", ["application/json", "application/geo+json", "application/geo+json; charset=utf-8"])
def test_a_feature_is_added(admin: APIClient, path: str, content_type: str) -> None:
    answer = post(admin, point(1, 2, 3), content_type, path)
    assert (answer.status_code, answer.json()) == (200, STORED)
    assert answer["Content-Type"] == "application/json"


def test_a_collection_is_counted_by_outcome(admin: APIClient) -> None:
    post(admin, collection(point(1, 0, 0), point(2, 0, 0)))
    answer = post(admin, collection(point(1, 0, 0), point(2, 1, 1), point(3, 0, 0), point(4, 0, 95)))
    assert answer.status_code == 200
    counts = answer.json()
    assert (counts["added"], counts["updated"], counts["unchanged"], counts["refused"]) == (1, 1, 1, 1)
    assert counts["errors"][0]["index"] == 3
    assert counts["errors"][0]["code"] == "invalid_feature"
    assert "latitude 95" in counts["errors"][0]["message"]


def test_an_empty_collection_is_fine(admin: APIClient) -> None:
    assert post(admin, collection()).json() == {**STORED, "added": 0}


@pytest.mark.parametrize("content_type", LINES)
def test_lines_are_added(admin: APIClient, content_type: str) -> None:
    body = "\n".join(json.dumps(point(i, 0, 0)) for i in range(2500)).encode()
    assert post(admin, body, content_type).json()["added"] == 2500


def test_a_text_sequence_is_added(admin: APIClient) -> None:
    body = "".join(f"\x1e{json.dumps(point(i, 0, 0), indent=2)}\n" for i in range(3)).encode()
    assert post(admin, body, "application/geo+json-seq").json()["added"] == 3


def test_a_bad_line_keeps_no_other_out(admin: APIClient) -> None:
    body = b"\n".join([json.dumps(point(1, 0, 0)).encode(), b"{oops", json.dumps(point(2, 0, 0)).encode()])
    counts = post(admin, body, "application/x-ndjson").json()
    assert (counts["added"], counts["refused"], counts["errors"][0]["index"]) == (2, 1, 1)


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_a_number_that_json_does_not_have_keeps_no_other_feature_out(admin: APIClient, number: str) -> None:
    body = json.dumps(collection(point(1, 0, 0), point(2, 12345, 0), point(3, 0, 0))).replace("12345", number)
    counts = post(admin, body.encode()).json()
    assert (counts["added"], counts["refused"], counts["errors"][0]["index"], stored()) == (2, 1, 1, 2)
    assert "JSON has no NaN" in counts["errors"][0]["message"]


def test_a_document_that_is_broken_elsewhere_too_is_refused_whole(admin: APIClient) -> None:
    body = json.dumps(collection(point(1, 0, 0), point(2, 12345, 0))).replace("12345", "NaN")[:-1]
    assert post(admin, body.encode()).status_code == 400
    assert not Layer.objects.exists()


HALVES = ["\ud83d", "\ude00", "a\ud83d!", "\ude00\ud83d", "\ud83d\ud83d\ude00"]
"""What `JSON.stringify` writes of texts that were cut inside an emoji."""


@pytest.mark.parametrize("half", HALVES)
def test_half_an_emoji_keeps_no_other_feature_out(admin: APIClient, half: str) -> None:
    whole = "\\\\ud83d \U0001f600"  # a backslash before a u is no escape
    counts = post(admin, collection(point(1, 0, 0, name=whole), point(2, 0, 0, name=half), point(3, 0, 0))).json()
    assert (counts["added"], counts["refused"], counts["errors"][0]["index"], stored()) == (2, 1, 1, 2)
    assert "half an emoji" in counts["errors"][0]["message"]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("where", ["name", "member", "id"])
def test_half_an_emoji_is_named(admin: APIClient, half: str, where: str) -> None:
    feature = point(half if where == "id" else 1, 0, 0, **({"name": half} if where == "name" else {half: 1}))
    answer = post(admin, feature)
    assert (answer.status_code, "half an emoji" in answer.json()["message"]) == (422, True)
    answer = admin.generic("PUT", f"{PATH}/1", json.dumps(feature), content_type="application/geo+json")
    assert (answer.status_code, "half an emoji" in answer.json()["message"]) == (422, True)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/geo+json", point(1, 0, 95), 422),
        ("application/geo+json", collection(point(1, 0, 95), {}), 422),
        ("application/geo+json", {"type": "Feature"}, 422),
        ("application/geo+json", [], 200),
        ("application/geo+json", collection(), 200),
        ("application/x-ndjson", point(1, 0, 95), 422),
        ("application/x-ndjson", b"", 200),
        ("text/csv", point(1, 0, 0), 415),
    ],
)
def test_what_is_refused_makes_no_layer(admin: APIClient, kind: str, body: Any, status: int) -> None:
    assert post(admin, body, kind).status_code == status
    assert not Layer.objects.exists()


def test_a_put_that_is_refused_makes_no_layer(admin: APIClient) -> None:
    assert admin.generic("PUT", f"{PATH}/1", json.dumps(point(1, 0, 95)), content_type="application/geo+json").status_code == 422
    assert not Layer.objects.exists()


def test_a_layer_is_made_with_its_first_accepted_feature(admin: APIClient) -> None:
    assert post(admin, collection(point(1, 0, 95), point(2, 0, 0))).json()["added"] == 1
    assert stored() == 1


def test_the_name_of_a_layer_is_checked_before_its_features(admin: APIClient) -> None:
    answer = post(admin, point(1, 0, 95), path="/api/layers/-l/features")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("content_type", ["application/json", *LINES])
def test_gzip_is_understood(admin: APIClient, content_type: str) -> None:
    body = gzip.compress(json.dumps(point(1, 0, 0)).encode())
    assert post(admin, body, content_type, **{"Content-Encoding": "gzip"}).json() == STORED


def test_gzip_files_may_stand_one_after_the_other(admin: APIClient) -> None:
    body = b"".join(gzip.compress(json.dumps(point(i, 0, 0)).encode() + b"\n") for i in range(3))
    assert post(admin, body, "application/x-ndjson", **{"Content-Encoding": "gzip"}).json()["added"] == 3


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b" " * 100_000)[:-9]])
def test_broken_gzip_is_refused(admin: APIClient, content_type: str, body: bytes) -> None:
    answer = post(admin, body, content_type, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_what_was_stored_before_the_gzip_broke_is_counted(admin: APIClient) -> None:
    lines = "\n".join(json.dumps(point(i, i / 100, i / 90)) for i in range(3000)).encode()
    answer = post(admin, gzip.compress(lines)[:-200], "application/x-ndjson", **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert answer.json()["added"] == stored() > 0


def test_a_bomb_is_refused_before_it_unfolds(admin: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_MAX_BODY_BYTES = 100_000
    answer = post(admin, gzip.compress(b" " * 50_000_000), **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_document_that_is_too_large_is_refused(admin: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_MAX_BODY_BYTES = 1000
    answer = post(admin, collection(*(point(i, 0, 0) for i in range(20))))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_lines_may_be_longer_than_a_document(admin: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_MAX_BODY_BYTES = 1000
    body = "\n".join(json.dumps(point(i, 0, 0)) for i in range(100)).encode()
    assert post(admin, body, "application/x-ndjson").json()["added"] == 100


def test_a_line_that_is_too_long_is_refused_in_its_place(admin: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_MAX_FEATURE_BYTES = 500
    features = [point(1, 0, 0), point(2, 0, 0, text="x" * 600), point(3, 0, 0)]
    counts = post(admin, "\n".join(map(json.dumps, features)).encode(), "application/x-ndjson").json()
    assert (counts["added"], counts["refused"]) == (2, 1)
    assert (counts["errors"][0]["index"], counts["errors"][0]["code"]) == (1, "too_large")


@pytest.mark.parametrize("body", [point(1, 200, 0), collection(point(1, 200, 0), {"type": "Feature"})])
def test_nothing_but_refusals_is_unprocessable(admin: APIClient, body: Any) -> None:
    answer = post(admin, body)
    assert answer.status_code == 422
    refusal = answer.json()
    assert refusal["code"] == refusal["errors"][0]["code"] == "invalid_feature"
    assert refusal["message"] == refusal["errors"][0]["message"]
    assert refusal["added"] == 0 and refusal["refused"] == len(refusal["errors"])


def test_the_first_hundred_reasons_are_given(admin: APIClient) -> None:
    refusal = post(admin, collection(*({"type": "Feature", "id": i} for i in range(150)))).json()
    assert (refusal["refused"], len(refusal["errors"])) == (150, 100)


def test_a_full_layer_refuses_new_features_only(admin: APIClient) -> None:
    Layer.objects.create(name="l", max_features=1)
    post(admin, point(1, 0, 0))
    counts = post(admin, collection(point(1, 1, 1), point(2, 0, 0))).json()
    assert (counts["updated"], counts["errors"][0]["code"]) == (1, "layer_full")


@pytest.mark.parametrize("body", [b"", b"{", b"[", b'{"type":"Point"}', b'{"type":"FeatureCollection"}', b"\xff"])
def test_what_is_no_geojson_document_is_refused(admin: APIClient, body: bytes) -> None:
    answer = post(admin, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_feature")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
def test_another_content_type_is_told_what_is_accepted(admin: APIClient, content_type: str) -> None:
    answer = post(admin, b"{}", content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/x-ndjson" in answer.json()["message"] and "application/geo+json" in answer["Accept-Post"]


def test_another_content_encoding_is_told_what_is_accepted(admin: APIClient) -> None:
    answer = post(admin, point(1, 0, 0), **{"Content-Encoding": "br"})
    assert (answer.status_code, answer["Accept-Encoding"]) == (415, "gzip, identity")


def test_a_new_layer_comes_into_being(user_with: Callable[..., APIClient]) -> None:
    assert post(user_with("change_layer", "add_layer"), point(1, 0, 0), path="/api/layers/fresh/features").status_code == 200
    assert stored("fresh") == 1


def test_a_new_layer_needs_the_permission_to_add_layers(user_with: Callable[..., APIClient]) -> None:
    answer = post(user_with("change_layer"), point(1, 0, 0))
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_layer")


def test_a_layer_needs_a_name_that_is_one(admin: APIClient) -> None:
    answer = post(admin, point(1, 0, 0), path="/api/layers/-x/features")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_publishing_needs_the_permission_to_change_layers(nobody: APIClient, user_with: Callable[..., APIClient]) -> None:
    Layer.objects.create(name="l")
    refused = post(nobody, point(1, 0, 0))
    assert (refused.status_code, refused.json()["code"], refused["WWW-Authenticate"]) == (401, "unauthenticated", 'Bearer realm="api"')
    refused = post(user_with("add_layer", "view_layer"), point(1, 0, 0))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert post(user_with("change_layer"), point(1, 0, 0)).status_code == 200


def test_a_believed_token_needs_no_database(admin: APIClient, settings: Any, django_assert_num_queries: Any) -> None:
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 60.0
    post(admin, point(1, 0, 0))
    with django_assert_num_queries(0):
        assert post(admin, point(2, 0, 0)).status_code == 200


def test_the_permissions_of_a_believed_token_need_no_database(
    user_with: Callable[..., APIClient], settings: Any, django_assert_num_queries: Any
) -> None:
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 60.0
    Layer.objects.create(name="l")
    publisher = user_with("change_layer")
    post(publisher, point(1, 0, 0))
    with django_assert_num_queries(0):
        assert post(publisher, point(2, 0, 0)).status_code == 200


def test_a_redis_that_refuses_is_unavailable(admin: APIClient) -> None:
    post(admin, point(1, 0, 0))
    sync_redis().set("geostream:{layer:l}:state", "of the wrong type")
    answer = post(admin, point(2, 0, 0))
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "redis_unavailable", "1")


@pytest.mark.parametrize("size", [1, 7, 1000, 16 * 1024, 100_000])
def test_gzip_files_are_inflated_however_they_are_cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(bodies, "CHUNK", size)
    pieces = [f"{i * 7919}".encode() * (i % 50) for i in range(300)]
    whole = b"".join(gzip.compress(piece) for piece in pieces)
    request = RequestFactory().generic("POST", "/", whole, headers={"Content-Encoding": "gzip"})
    inflated = list(bodies.body_chunks(request))
    assert b"".join(inflated) == b"".join(pieces)
    assert max(map(len, inflated)) <= size


@pytest.mark.parametrize("seconds", [1.0, 1e9, 1e15, 1e19, 1.7e308])
def test_a_layer_may_have_any_lifetime(admin: APIClient, seconds: float) -> None:
    assert admin.post("/api/layers/", {"name": "l", "ttl_seconds": seconds}, format="json").status_code == 201
    assert post(admin, point(1, 0, 0)).json() == STORED
    assert post(admin, point(1, 0, 1)).json() == {**STORED, "added": 0, "updated": 1}


@pytest.mark.parametrize(("name", "value"), [("log_length", 2**31 - 1), ("max_features", 2**31 - 1), ("log_length", 1)])
def test_a_layer_may_have_the_largest_settings(admin: APIClient, name: str, value: int) -> None:
    assert admin.post("/api/layers/", {"name": "l", name: value}, format="json").status_code == 201
    assert post(admin, point(1, 0, 0)).json() == STORED


@pytest.mark.parametrize("value", [2**63 - 1, 2**63, 2**64, -1, 1e300])
@pytest.mark.parametrize("name", ["log_length", "max_features"])
def test_settings_beyond_what_the_database_holds_are_refused_or_work(admin: APIClient, name: str, value: float) -> None:
    answer = admin.post("/api/layers/", {"name": "l", name: value}, format="json")
    assert answer.status_code in (201, 400)
    if answer.status_code == 201:
        assert post(admin, point(1, 0, 0)).json() == STORED
