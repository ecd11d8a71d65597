"""POST /token: who is given a token for which channel."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from streaming.topics.tokens import verify


def ask(client: APIClient, channel: Any = "room:1", path: str = "/token", **more: Any) -> Any:
    return client.post(path, {"channel": channel, **more}, format="json")


def refused(answer: Any) -> tuple[int, str]:
    """Status and code; and it is said in the house's way, to every page."""
    body = answer.json()
    assert body["message"] and "token" not in body
    assert answer["Access-Control-Allow-Origin"] == "*"
    return answer.status_code, body["code"]


@pytest.fixture
def open_tokens(settings: Any) -> None:
    settings.GEOSTREAM_OPEN_TOKENS = True


@pytest.fixture
def session() -> APIClient:
    """A page of a user who may join topics, which does not send the CSRF token by itself."""
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("alice", password="secret"))
    return client


def csrf(client: APIClient) -> str:
    client.get("/admin/password_change/")
    return client.cookies["csrftoken"].value


# -- who may ---------------------------------------------------------------


def test_a_user_who_may_join_topics(user_with: Callable[..., APIClient]) -> None:
    answer = ask(user_with("join_topics"))
    assert (answer.status_code, set(answer.json())) == (200, {"id", "channel", "token"})
    assert (answer.json()["id"], answer.json()["channel"]) == ("user0", "room:1")
    claims = verify(answer.json()["token"])
    assert (claims.id, claims.channel) == ("user0", "room:1")


def test_nobody(nobody: APIClient) -> None:
    assert refused(ask(nobody)) == (401, "unauthenticated")


def test_a_user_without_permission(user_with: Callable[..., APIClient]) -> None:
    assert refused(ask(user_with())) == (403, "forbidden")


def test_another_id_than_ones_own(user_with: Callable[..., APIClient]) -> None:
    assert refused(ask(user_with("join_topics"), id="bob")) == (403, "forbidden")
    assert ask(user_with("issue_tokens"), id="bob").json()["id"] == "bob"


def test_a_pattern(user_with: Callable[..., APIClient]) -> None:
    assert refused(ask(user_with("join_topics"), "room:*")) == (403, "forbidden")
    assert verify(ask(user_with("issue_tokens"), "room:*").json()["token"]).opens("room:7")


def test_the_channel_admin_is_for_staff(user_with: Callable[..., APIClient], admin: APIClient) -> None:
    assert refused(ask(user_with("join_topics", "issue_tokens"), "admin")) == (403, "forbidden")
    assert ask(admin, "admin").json()["id"] == "admin"


def test_staff_needs_no_further_permission_for_the_channel_admin_but_for_other_ids(nobody: APIClient) -> None:
    user = User.objects.create_user("carol", is_staff=True)
    nobody.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    assert ask(nobody, "admin").json()["id"] == "carol"
    assert refused(ask(nobody, "admin", id="alice")) == (403, "forbidden")


@pytest.mark.parametrize(("channel", "status"), [("news", 200), ("room:1", 200), ("room:1:2", 200), ("new", 401), ("room", 401)])
def test_public_topics_are_for_anybody(nobody: APIClient, settings: Any, channel: str, status: int) -> None:
    settings.GEOSTREAM_PUBLIC_TOPICS = "news, room:*"
    assert ask(nobody, channel).status_code == status


@pytest.mark.parametrize("channel", ["admin", "room:*", "*"])
def test_neither_admin_nor_patterns_are_ever_public(nobody: APIClient, settings: Any, open_tokens: None, channel: str) -> None:
    settings.GEOSTREAM_PUBLIC_TOPICS = "admin,room:*,*"
    assert refused(ask(nobody, channel)) == (401, "unauthenticated")


def test_open_tokens_are_for_anybody(nobody: APIClient, open_tokens: None) -> None:
    assert ask(nobody, "system", id="client1").json()["id"] == "client1"


def test_open_tokens_are_for_users_without_permission_too(user_with: Callable[..., APIClient], open_tokens: None) -> None:
    assert ask(user_with(), id="client1").json()["id"] == "client1"


@pytest.mark.parametrize(("debug", "status"), [(True, 200), (False, 401)])
def test_tokens_are_open_in_debug_mode(nobody: APIClient, settings: Any, debug: bool, status: int) -> None:
    settings.DEBUG = debug
    assert ask(nobody).status_code == status


def test_nobody_gets_a_name_of_eight_characters_each_time_another(nobody: APIClient, open_tokens: None) -> None:
    names = {ask(nobody).json()["id"] for _ in range(5)}
    assert len(names) == 5 and all(len(name) == 8 and name.isalnum() for name in names)


def test_a_null_is_no_id_and_an_empty_one_is(nobody: APIClient, open_tokens: None) -> None:
    assert len(ask(nobody, id=None).json()["id"]) == 8
    assert ask(nobody, id="").json()["id"] == ""


# -- how one asks ----------------------------------------------------------


def test_a_session_with_its_csrf_token(session: APIClient) -> None:
    answer = session.post("/token", {"channel": "room:1"}, format="json", headers={"X-CSRFToken": csrf(session)})
    assert answer.json()["id"] == "alice"


def test_a_session_without_its_csrf_token(session: APIClient) -> None:
    answer = ask(session)
    assert refused(answer) == (403, "forbidden")
    assert "CSRF" in answer.json()["message"]


def test_a_session_without_its_csrf_token_is_given_what_anybody_is(session: APIClient, open_tokens: None) -> None:
    assert ask(session).json()["id"] != "alice"


def test_the_answer_is_nobody_elses(admin: APIClient) -> None:
    answer = ask(admin)
    assert answer["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize("path", ["/token", "/token/"])
def test_pages_of_other_origins_may_ask(nobody: APIClient, path: str, open_tokens: None) -> None:
    answer = nobody.options(path, headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Methods"] == "POST"
    assert {"content-type", "authorization"} == set(answer["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in answer
    assert ask(nobody, path=path)["Access-Control-Allow-Origin"] == "*"


def test_a_bad_access_token_is_refused_even_where_none_is_needed(nobody: APIClient, open_tokens: None) -> None:
    answer = nobody.post("/token", {"channel": "room:1"}, format="json", headers={"Authorization": "Bearer nonsense"})
    assert refused(answer) == (401, "token_invalid")


def test_a_channel_token_buys_no_other(nobody: APIClient, open_tokens: None) -> None:
    token = ask(nobody).json()["token"]
    answer = nobody.post("/token", {"channel": "room:2"}, format="json", headers={"Authorization": f"Bearer {token}"})
    assert refused(answer) == (401, "token_invalid")


def test_not_json(nobody: APIClient) -> None:
    assert refused(nobody.generic("POST", "/token", "{channel", content_type="application/json")) == (400, "bad_request")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/x-ndjson"])
def test_another_content_type(nobody: APIClient, content_type: str) -> None:
    answer = nobody.generic("POST", "/token", '{"channel": "room:1"}', content_type=content_type)
    assert refused(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "body", [{}, [], None, "room:1", {"id": "a"}, {"channel": 1}, {"channel": None}, {"channel": "room:1", "id": 1}, {"channel": ["a"]}]
)
def test_a_field_that_is_missing_or_of_the_wrong_type(nobody: APIClient, body: Any, open_tokens: None) -> None:
    assert refused(nobody.generic("POST", "/token", json.dumps(body), content_type="application/json")) == (422, "bad_request")


@pytest.mark.parametrize("channel", ["", "a?b", "a[b]", "*a", "a\\b", "a\x00b", "ä" * 128])
def test_a_channel_that_cannot_be(nobody: APIClient, channel: str, open_tokens: None) -> None:
    assert refused(ask(nobody, channel)) == (422, "bad_request")


@pytest.mark.parametrize("id", ["a\nb", "ä" * 128])
def test_an_id_that_cannot_be(nobody: APIClient, id: str, open_tokens: None) -> None:
    assert refused(ask(nobody, id=id)) == (422, "bad_request")


def test_a_long_body(nobody: APIClient, open_tokens: None) -> None:
    assert refused(ask(nobody, padding="x" * 16_384)) == (413, "too_large")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods(nobody: APIClient, method: str) -> None:
    assert refused(nobody.generic(method, "/token")) == (405, "method_not_allowed")


def test_tokens_are_not_in_the_log(admin: APIClient, nobody: APIClient, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [ask(admin).json()["token"], str(AccessToken.for_user(User.objects.get()))]
    nobody.post("/token", {"channel": "room:1", "token": secrets[0]}, format="json", headers={"Authorization": f"Bearer {secrets[1]}x"})
    assert any("/token" in record.getMessage() for record in caplog.records)
    assert not any(secret[:60] in record.getMessage() for record in caplog.records for secret in secrets)
