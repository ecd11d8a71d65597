"""What is sent twice because its answer was lost is there once: events by their keys, features by their ids."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.redis import sync_redis
from streaming.features.events import apublish_event, event_feed
from streaming.features.publishing import publish_event
from tests.geo_peer import point

EVENT = {"event_type": "custom", "payload": {"a": 1, "b": [2]}}


def post(client: APIClient, event: Any = EVENT, **headers: str) -> Any:
    return client.post("/api/events/", event, format="json", headers=headers)


def logged() -> int:
    return int(sync_redis().xlen(event_feed().log_key))  # type: ignore[arg-type]


def test_the_same_key_has_the_first_answer(admin: APIClient) -> None:
    answers = [post(admin, **{"idempotency-key": key}) for key in ("k1", '"k1"', "k2")]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert answers[0].json() == answers[1].json() != answers[2].json()
    assert logged() == 2


def test_without_a_key_each_is_published(admin: APIClient) -> None:
    assert post(admin).json() != post(admin).json()


def test_the_order_of_members_makes_no_other_event(admin: APIClient) -> None:
    first = post(admin, **{"idempotency-key": "k"})
    assert post(admin, {"payload": {"b": [2], "a": 1}, "event_type": "custom"}, **{"idempotency-key": "k"}).json() == first.json()


@pytest.mark.parametrize("other", [{**EVENT, "payload": 1}, {**EVENT, "event_type": "error"}])
def test_another_event_with_the_same_key_is_refused(admin: APIClient, other: Any) -> None:
    post(admin, **{"idempotency-key": "k"})
    answer = post(admin, other, **{"idempotency-key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert logged() == 1


def test_users_do_not_share_keys(admin: APIClient, user_with: Any) -> None:
    assert post(admin, **{"idempotency-key": "k"}).json() != post(user_with("change_layer"), **{"idempotency-key": "k"}).json()


@pytest.mark.parametrize("key", ["", '""', "x" * 256])
def test_a_key_has_1_to_255_characters(admin: APIClient, key: str) -> None:
    answer = post(admin, **{"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_key_is_forgotten_in_time(admin: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_IDEMPOTENCY_SECONDS = 100
    post(admin, **{"idempotency-key": "k"})
    (key,) = sync_redis().keys("geostream:{events}:once:*")  # type: ignore[misc]
    assert 0 < sync_redis().ttl(key) <= 100  # type: ignore[operator]


async def test_from_python(runtime: object) -> None:
    first = await apublish_event("custom", 1, idempotency_key="k")
    assert await apublish_event("custom", 1, idempotency_key="k") == first
    with pytest.raises(StreamError, match="another event"):
        await apublish_event("custom", 2, idempotency_key="k")
    assert await apublish_event("custom", 1, "other") != first


def test_from_python_without_a_loop(admin: APIClient) -> None:
    assert publish_event("custom", 1, idempotency_key="k") == publish_event("custom", 1, idempotency_key="k")


def test_features_that_are_sent_twice_are_there_once(admin: APIClient) -> None:
    first, second = (
        admin.post("/api/layers/l/features", [point("a", 1, 2), point(7, 3, 4)], format="json", headers={"idempotency-key": key}).json()
        for key in ("k1", "k2")
    )
    assert (first["added"], second["unchanged"]) == (2, 2)
    assert sync_redis().xlen(Feed("layer:l").log_key) == 2
    nameless = {key: value for key, value in point("a", 1, 2).items() if key != "id"}
    assert admin.post("/api/layers/l/features", nameless, format="json").status_code == 422


def test_a_late_repetition_with_a_version_puts_nothing_back(admin: APIClient) -> None:
    body = {**point("a", 1, 2), "if_version": None}
    admin.post("/api/layers/l/features", body, format="json")
    admin.post("/api/layers/l/features", point("a", 5, 6), format="json")
    late = admin.post("/api/layers/l/features", body, format="json")
    assert (late.status_code, late.json()["code"]) == (422, "precondition_failed")


def test_half_an_emoji_in_an_event_is_named(admin: APIClient) -> None:
    body = json.dumps({"event_type": "custom", "payload": "\ud83d"})
    answer = admin.generic("POST", "/api/events/", body, content_type="application/json")
    assert (answer.status_code, "half an emoji" in answer.json()["message"]) == (400, True)
