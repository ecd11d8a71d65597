"""Editors that do not overwrite each other: entity tags, conditions, merge patches, and versions in documents."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from rest_framework.test import APIClient

from streaming.core.errors import StreamError
from streaming.core.feed import Feed, version_of
from streaming.features.publishing import adelete, apublish, delete, publish
from streaming.models import Layer
from tests.geo_peer import point

URL = "/api/layers/l/features/a"
MERGE = "application/merge-patch+json"


def put(client: APIClient, body: Any, url: str = URL, **headers: str) -> Any:
    return client.generic("PUT", url, json.dumps(body), content_type="application/geo+json", headers=headers)


def patch(client: APIClient, body: Any, kind: str = MERGE, url: str = URL, **headers: str) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return client.generic("PATCH", url, text, content_type=kind, headers=headers)


def stored(client: APIClient, url: str = URL) -> Any:
    return client.get(url).json()


def test_a_feature_has_the_tag_that_its_writer_was_given(admin: APIClient) -> None:
    made = put(admin, point("a", 1, 2))
    read = admin.get(URL)
    assert made["ETag"] == read["ETag"] == f'"{version_of(read.content)}"'
    assert put(admin, point("a", 1, 3))["ETag"] != made["ETag"]
    assert put(admin, point("a", 1, 2))["ETag"] == made["ETag"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_feature_that_is_known_is_not_sent_again(nobody: APIClient, form: str) -> None:
    publish("l", point("a", 1, 2))
    tag = nobody.get(URL)["ETag"]
    answer = nobody.get(URL, headers={"if-none-match": form.format(tag)})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
    publish("l", point("a", 1, 3))
    if form != "*":
        assert nobody.get(URL, headers={"if-none-match": form.format(tag)}).status_code == 200


def test_each_presentation_has_a_tag_of_its_own_that_stands_for_the_same_version(admin: APIClient) -> None:
    publish("l", point("a", 1, 2, one=1, two=2))
    tags = {admin.get(URL, query)["ETag"] for query in ({}, {"crs": "3857"}, {"properties": "one"}, {"properties": "one", "crs": "3857"})}
    assert len(tags) == 4
    for number, tag in enumerate(tags):
        current = publish("l", point("a", 1, 2, one=1, two=2)) and tag
        assert put(admin, point("a", 5, number), **{"if-match": current}).status_code == 200


def test_of_two_editors_the_second_is_refused(admin: APIClient) -> None:
    publish("l", point("a", 1, 2))
    tag = admin.get(URL)["ETag"]
    first = put(admin, point("a", 3, 4), **{"if-match": tag})
    assert first.status_code == 200
    second = put(admin, point("a", 5, 6), **{"if-match": tag})
    assert (second.status_code, second.json()["code"], second["ETag"]) == (412, "precondition_failed", first["ETag"])
    assert stored(admin)["geometry"]["coordinates"] == [3, 4]
    assert put(admin, point("a", 5, 6), **{"if-match": f'"no", W/{second["ETag"]}'}).status_code == 200


def test_a_request_whose_answer_was_lost_may_be_repeated(admin: APIClient) -> None:
    publish("l", point("a", 1, 2))
    tag = admin.get(URL)["ETag"]
    answers = [put(admin, point("a", 3, 4), **{"if-match": tag}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0]["ETag"] == answers[1]["ETag"]


def test_a_feature_that_must_be_new(admin: APIClient) -> None:
    first = put(admin, point("a", 1, 2), **{"if-none-match": "*"})
    again = put(admin, point("a", 1, 2), **{"if-none-match": "*"})
    assert (first.status_code, again.status_code, again["ETag"]) == (201, 412, first["ETag"])


def test_a_feature_that_must_be_there(admin: APIClient) -> None:
    Layer.objects.create(name="l")
    for tag in ("*", '"0123"'):
        answer = put(admin, point("a", 1, 2), **{"if-match": tag})
        assert (answer.status_code, "ETag" in answer) == (412, False)
    assert admin.get(URL).status_code == 404
    publish("l", point("a", 1, 2))
    assert put(admin, point("a", 3, 4), **{"if-match": "*"}).status_code == 200


def test_a_condition_that_cannot_hold_makes_no_layer(admin: APIClient) -> None:
    assert put(admin, point("a", 1, 2), **{"if-match": "*"}).status_code == 412
    assert not Layer.objects.exists()


def test_two_conditions_are_one_too_many(admin: APIClient) -> None:
    answer = put(admin, point("a", 1, 2), **{"if-match": "*", "if-none-match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_deleting_under_a_condition(admin: APIClient) -> None:
    publish("l", point("a", 1, 2))
    old = admin.get(URL)["ETag"]
    publish("l", point("a", 3, 4))
    refused = admin.delete(URL, headers={"if-match": old})
    assert (refused.status_code, refused["ETag"]) == (412, admin.get(URL)["ETag"])
    assert admin.delete(URL, headers={"if-match": refused["ETag"]}).status_code == 204
    assert admin.delete(URL, headers={"if-match": "*"}).status_code == 404


# -- merge patches -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MERGE, "application/json", "application/geo+json", f"{MERGE}; charset=utf-8"])
def test_a_patch_changes_what_it_names(admin: APIClient, kind: str) -> None:
    publish("l", {**point("a", 1, 2, kept=1, gone=2, inner={"x": 1, "y": [1, 2]}), "foreign": True})
    answer = patch(admin, {"properties": {"gone": None, "new": "n", "inner": {"y": [3]}}}, kind)
    wanted = {**point("a", 1.0, 2.0, kept=1, new="n", inner={"x": 1, "y": [3]}), "foreign": True}
    assert (answer.status_code, answer.json()) == (200, wanted)
    assert (stored(admin), admin.get(URL)["ETag"]) == (wanted, answer["ETag"])


@pytest.mark.parametrize(
    ("change", "member", "wanted"),
    [
        ({"geometry": None}, "geometry", None),
        ({"geometry": {"coordinates": [5, 6]}}, "geometry", {"type": "Point", "coordinates": [5, 6]}),
        ({"properties": None}, "properties", None),
        ({"id": "a"}, "id", "a"),
        ({}, "properties", {"one": 1}),
    ],
)
def test_what_a_patch_may_do(admin: APIClient, change: Any, member: str, wanted: Any) -> None:
    publish("l", point("a", 1, 2, one=1))
    assert patch(admin, change).json()[member] == wanted


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"id": "b"}, 422, "invalid_feature"),
        ({"id": None}, 422, "invalid_feature"),
        ({"type": None}, 422, "invalid_feature"),
        ({"geometry": {"coordinates": [5, 96]}}, 422, "invalid_feature"),
        ([], 400, "invalid_feature"),
        ("{", 400, "invalid_feature"),
    ],
)
def test_what_a_patch_may_not_do(admin: APIClient, change: Any, status: int, code: str) -> None:
    publish("l", point("a", 1, 2))
    answer = patch(admin, change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert stored(admin) == point("a", 1.0, 2.0)


def test_a_patch_needs_its_feature_a_permission_and_a_type(admin: APIClient, nobody: APIClient, user_with: Any) -> None:
    publish("l", point("a", 1, 2))
    assert patch(admin, {}, url="/api/layers/l/features/b").json()["code"] == "unknown_feature"
    assert patch(admin, {}, url="/api/layers/m/features/b").json()["code"] == "unknown_layer"
    assert patch(nobody, {}).status_code == 401
    assert patch(user_with("view_layer"), {}).status_code == 403
    refused = patch(admin, "<a/>", "application/xml")
    assert (refused.status_code, MERGE in refused["Accept-Patch"]) == (415, True)


def test_a_patch_under_a_condition(admin: APIClient) -> None:
    publish("l", point("a", 1, 2))
    old = admin.get(URL)["ETag"]
    new = patch(admin, {"properties": {"x": 1}}, **{"if-match": old})["ETag"]
    refused = patch(admin, {"properties": {"x": 2}}, **{"if-match": old})
    assert (refused.status_code, refused["ETag"]) == (412, new)
    assert patch(admin, {"properties": {"x": 2}}, **{"if-none-match": "*"}).status_code == 412
    assert patch(admin, {"properties": {"x": 2}}, **{"if-match": "*"}).status_code == 200


def test_patches_at_the_same_time_are_all_made(admin: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others change the feature each time it has been read."""
    publish("l", point("a", 1, 2, n=0))
    put_sync, others = Feed.put_sync, iter(range(3))

    def overtaken(feed: Feed, items: Any) -> Any:
        if next(others, None) is not None:
            put_sync(feed, [('"a"', json.dumps({**stored(admin), "properties": {"n": stored(admin)["properties"]["n"] + 1}}).encode())])
        return put_sync(feed, items)

    monkeypatch.setattr(Feed, "put_sync", overtaken)
    assert patch(admin, {"properties": {"mine": True}}).json()["properties"] == {"n": 3, "mine": True}


def test_two_who_patch_the_same_version_alike_do_not_both_succeed(admin: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both count one further, from the same number: one of them has to count again."""
    publish("l", point("a", 1, 2, n=0))
    put_sync, old = Feed.put_sync, admin.get(URL)["ETag"]

    def overtaken(feed: Feed, items: Any) -> Any:
        put_sync(feed, [(key, value, "") for key, value, _ in items])
        return put_sync(feed, items)

    monkeypatch.setattr(Feed, "put_sync", overtaken)
    refused = patch(admin, {"properties": {"n": 1}}, **{"if-match": old})
    assert (refused.status_code, refused["ETag"]) == (412, admin.get(URL)["ETag"])
    assert patch(admin, {"properties": {"n": 2}}).status_code == 200


def test_only_one_of_many_writers_replaces_a_version(admin: APIClient) -> None:
    publish("l", point("a", 0, 0))
    version = admin.get(URL)["ETag"].strip('"')
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            publish("l", {**point("a", 0, 0, writer=number), "if_version": version})
            outcomes.append("stored")
        except StreamError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["precondition_failed"] * 7 + ["stored"]


# -- versions in documents -----------------------------------------------------------------------------------------------------------


def post(client: APIClient, features: list[Any]) -> Any:
    return client.post("/api/layers/l/features", {"type": "FeatureCollection", "features": features}, format="json")


def test_a_document_that_was_read_and_edited_overwrites_nobody(admin: APIClient) -> None:
    publish("l", [point("a", 0, 0), point("b", 0, 0), point("c", 0, 0)])
    document = admin.get("/api/layers/l/features", {"versions": "true", "properties": "none"}).json()["features"]
    publish("l", point("b", 9, 9))
    current = admin.get("/api/layers/l/features/b")["ETag"].strip('"')
    edited = [{**feature, "geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": None} for feature in document]
    answer = post(admin, [*edited, {**point("d", 1, 1), "if_version": None}, {**point("a", 2, 2), "if_version": None}]).json()
    assert [answer[count] for count in ("added", "updated", "refused")] == [1, 2, 2]
    assert [(error["index"], error["code"], error["version"] == current) for error in answer["errors"]] == [
        (1, "precondition_failed", True),
        (4, "precondition_failed", False),
    ]
    places = {each["id"]: each["geometry"]["coordinates"][0] for each in admin.get("/api/layers/l/features").json()["features"]}
    assert places == {"a": 1, "b": 9, "c": 1, "d": 1}


def test_the_member_is_never_stored(admin: APIClient) -> None:
    post(admin, [{**point("a", 0, 0, if_version="mine"), "if_version": None}])
    assert stored(admin) == point("a", 0.0, 0.0, if_version="mine")
    tag = admin.get(URL)["ETag"]
    assert put(admin, {**point("a", 1, 1), "if_version": tag}).json() == point("a", 1.0, 1.0)
    assert put(admin, {**point("a", 2, 2), "if_version": tag}).status_code == 412


@pytest.mark.parametrize("version", [7, [], {}, True])
def test_a_version_is_a_text(admin: APIClient, version: Any) -> None:
    assert post(admin, [{**point("a", 0, 0), "if_version": version}]).json()["code"] == "invalid_feature"


def test_a_version_that_is_none_never_fits(admin: APIClient) -> None:
    publish("l", point("a", 0, 0))
    for version in ("", " ", "x", "0" * 40, "a b"):
        assert post(admin, [{**point("a", 1, 1), "if_version": version}]).json()["code"] == "precondition_failed"


def test_from_python(admin: APIClient) -> None:
    publish("l", {**point("a", 1, 2), "if_version": None})
    version = admin.get(URL)["ETag"].strip('"')
    assert publish("l", {**point("a", 3, 4), "if_version": version}).updated == 1
    with pytest.raises(StreamError, match="stored version is"):
        publish("l", {**point("a", 5, 6), "if_version": version})
    with pytest.raises(StreamError, match="stored version is"):
        delete("l", "a", if_version=version)
    assert delete("l", "a", if_version=admin.get(URL)["ETag"]) == 1


async def test_from_coroutines(runtime: object) -> None:
    assert (await apublish("l", [{**point("a", 1, 2), "if_version": None}, {**point("a", 3, 4), "if_version": None}])).refused == 1
    with pytest.raises(StreamError, match="stored version is"):
        await adelete("l", "a", if_version="other")
    assert await adelete("l", "a", if_version="*") == 1
