"""How often credentials may be asked for."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient


@pytest.fixture(autouse=True)
def few(settings: Any) -> None:
    settings.GEOSTREAM_LOGINS_PER_NAME = 3
    settings.GEOSTREAM_LOGINS_PER_ADDRESS = 5
    settings.GEOSTREAM_CHANNEL_TOKENS_PER_MINUTE = 2
    settings.GEOSTREAM_OPEN_TOKENS = True
    User.objects.create_user("alice", password="secret")


def log_in(client: APIClient, name: str = "alice", password: str = "wrong", address: str = "10.0.0.1") -> int:
    body = {"username": name, "password": password}
    return int(client.post("/api/token/", body, format="json", REMOTE_ADDR=address).status_code)


def test_a_name_is_tried_so_often_from_wherever(nobody: APIClient) -> None:
    assert [log_in(nobody, address=f"10.0.0.{number}") for number in range(4)] == [401] * 3 + [429]
    assert log_in(nobody, "ALICE", address="10.0.1.1") == 429
    assert log_in(nobody, password="secret", address="10.0.1.2") == 429
    assert log_in(nobody, "bob", address="10.0.1.3") == 401


def test_an_address_tries_so_often_whatever_the_name(nobody: APIClient) -> None:
    assert [log_in(nobody, f"user{number}") for number in range(6)] == [401] * 5 + [429]
    assert log_in(nobody, "another", address="10.0.0.2") == 401


def test_blanks_around_a_name_make_no_other_name(nobody: APIClient) -> None:
    names = ("alice", " alice", "alice\t", "\u2003alice\n")
    assert [log_in(nobody, name, address=f"10.0.0.{number}") for number, name in enumerate(names)] == [401] * 3 + [429]


def test_addresses_that_one_machine_can_choose_from_count_as_one(nobody: APIClient) -> None:
    assert [log_in(nobody, f"user{number}", address=f"2001:db8::{number:x}:1") for number in range(6)] == [401] * 5 + [429]
    assert log_in(nobody, "another", address="2001:db8:0:1::1") == 401
    assert [log_in(nobody, f"user{number}", address=f"::ffff:10.0.0.{number}") for number in range(6)] == [401] * 6


def test_successes_do_not_count(nobody: APIClient) -> None:
    assert [log_in(nobody, password="secret") for _ in range(8)] == [200] * 8


def test_a_refusal_says_when_to_try_again(nobody: APIClient) -> None:
    for _ in range(3):
        log_in(nobody)
    answer = nobody.post("/api/token/", {"username": "alice", "password": "wrong"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 0 < int(answer["Retry-After"]) <= 60


def test_channel_tokens_are_asked_for_so_often(nobody: APIClient, admin: APIClient) -> None:
    def ask(client: APIClient) -> Any:
        return client.post("/token", {"channel": "room:1"}, format="json")

    assert [ask(nobody).status_code for _ in range(3)] == [200, 200, 429]
    refused = ask(nobody)
    assert refused.json()["code"] == "rate_limited" and refused["Access-Control-Allow-Origin"] == "*" and int(refused["Retry-After"]) > 0
    assert ask(admin).status_code == 200


def test_no_limit(nobody: APIClient, settings: Any) -> None:
    settings.GEOSTREAM_LOGINS_PER_NAME = settings.GEOSTREAM_LOGINS_PER_ADDRESS = 0
    assert {log_in(nobody) for _ in range(8)} == {401}


def test_people_log_in_while_redis_is_away(nobody: APIClient, no_redis: None) -> None:
    assert log_in(nobody, password="secret") == 200


@pytest.mark.parametrize("page", ["/admin/login/", "/geostream/login/"])
def test_the_login_pages_have_the_same_limits(nobody: APIClient, page: str) -> None:
    def attempt(password: str) -> str:
        answer = nobody.post(page, {"username": "alice", "password": password}, REMOTE_ADDR="10.0.0.1")
        return str(answer.content.decode()) if answer.status_code == 200 else ""

    assert log_in(nobody) == 401
    assert ["too many attempts" in attempt("wrong") for _ in range(3)] == [False, False, True]
    assert "too many attempts" in attempt("secret")
    assert log_in(nobody) == 429


def test_who_logs_in_on_a_page_has_not_failed(nobody: APIClient) -> None:
    User.objects.create_superuser("root", password="secret")
    for _ in range(4):
        answer = nobody.post("/admin/login/", {"username": "root", "password": "secret"}, REMOTE_ADDR="10.0.0.1")
        assert answer.status_code == 302
