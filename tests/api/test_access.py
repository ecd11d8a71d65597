"""Tokens, tickets and sessions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from streaming.api.authentication import user_cache
from streaming.core.redis import sync_redis
from streaming.engine.auth import TICKET_KEY
from tests.geo_peer import point

FEATURES = "/api/layers/l/features"


@pytest.fixture
def alice() -> User:
    return User.objects.create_superuser("alice", password="secret")


def published_with(client: APIClient, authorization: str) -> Any:
    return client.post(FEATURES, point(1, 0, 0), format="json", headers={"Authorization": authorization})


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_password_buys_tokens_and_they_work(nobody: APIClient, alice: User, slash: str) -> None:
    answer = nobody.post(f"/api/token{slash}", {"username": "alice", "password": "secret"}, format="json")
    assert (answer.status_code, set(answer.json())) == (200, {"access", "refresh"})
    assert published_with(nobody, f"Bearer {answer.json()['access']}").status_code == 200
    renewed = nobody.post(f"/api/token/refresh{slash}", {"refresh": answer.json()["refresh"]}, format="json")
    assert published_with(nobody, f"bearer {renewed.json()['access']}").status_code == 200


def test_a_wrong_password(nobody: APIClient, alice: User) -> None:
    answer = nobody.post("/api/token/", {"username": "alice", "password": "wrong"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_login_without_a_password(nobody: APIClient) -> None:
    answer = nobody.post("/api/token/", {"username": "alice"}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "password")


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_a_forged_token(nobody: APIClient, token: str) -> None:
    answer = published_with(nobody, f"Bearer {token}")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token(nobody: APIClient, alice: User) -> None:
    token = AccessToken.for_user(alice)
    token.set_exp(lifetime=-timedelta(minutes=1))
    answer = published_with(nobody, f"Bearer {token}")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")


def test_a_refresh_token_is_no_access_token(nobody: APIClient, alice: User) -> None:
    assert published_with(nobody, f"Bearer {RefreshToken.for_user(alice)}").json()["code"] == "token_invalid"


def test_an_invalid_refresh_token(nobody: APIClient) -> None:
    answer = nobody.post("/api/token/refresh/", {"refresh": "nonsense"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_a_bad_token_is_refused_even_where_none_is_needed(nobody: APIClient) -> None:
    assert nobody.get("/api/layers/", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_the_token_of_a_deactivated_user(nobody: APIClient, alice: User) -> None:
    token = AccessToken.for_user(alice)
    User.objects.update(is_active=False)
    assert published_with(nobody, f"Bearer {token}").json()["code"] == "token_invalid"


def test_a_user_is_believed_for_a_while_and_no_longer(nobody: APIClient, alice: User, settings: Any, monkeypatch: Any) -> None:
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 5.0
    token = AccessToken.for_user(alice)
    published_with(nobody, f"Bearer {token}")
    User.objects.update(is_active=False)
    assert published_with(nobody, f"Bearer {token}").status_code == 200
    now = time.monotonic()
    monkeypatch.setattr("streaming.api.authentication.time.monotonic", lambda: now + 5.1)
    assert published_with(nobody, f"Bearer {token}").status_code == 401


def made_elsewhere(user: User, **claims: Any) -> str:
    """An access token of another program that has the key."""
    token = AccessToken.for_user(user)
    given = {name: value for name, value in {**token.payload, **claims}.items() if value is not ...}
    return jwt.encode(given, django_settings.SIMPLE_JWT["SIGNING_KEY"], algorithm="HS256")


def test_times_in_tokens_may_have_fractions(nobody: APIClient, alice: User) -> None:
    now = time.time()
    token = made_elsewhere(alice, exp=now + 60.5, iat=now - 0.5, nbf=now - 0.5)
    assert nobody.post("/api/ticket/", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": int(time.time() * 1000)}, "the claim exp is more than 366 days ahead"),
        ({"exp": "soon"}, "exp"),
        ({"iat": time.time() + 3600}, "iat"),
        ({"nbf": time.time() + 3600}, "nbf"),
        ({"user_id": None}, "the claim user_id"),
        ({"token_type": "refresh"}, "the claim token_type must be 'access'"),
        ({"jti": ...}, "the claim jti is missing"),
    ],
)
def test_a_refusal_names_the_claim(nobody: APIClient, alice: User, claims: dict[str, Any], words: str) -> None:
    answer = nobody.post("/api/ticket/", headers={"Authorization": f"Bearer {made_elsewhere(alice, **claims)}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid") and words in answer.json()["message"]


def test_a_believed_token_still_expires(alice: User, settings: Any, monkeypatch: Any) -> None:
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 3600.0
    token = AccessToken.for_user(alice)
    user_cache.look_up(str(token))
    assert user_cache.get(str(token)) == alice
    monkeypatch.setattr("streaming.api.authentication.time.time", lambda: float(token["exp"]) + 1)
    assert user_cache.get(str(token)) is None


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_a_session_needs_the_csrf_token_to_write(alice: User, content_type: str) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(alice)
    body = json.dumps(point(1, 0, 0))
    answer = client.generic("POST", FEATURES, body, content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    client.get("/admin/password_change/")
    token = client.cookies["csrftoken"].value
    answer = client.generic("POST", FEATURES, body, content_type=content_type, headers={"X-CSRFToken": token})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/api/ticket", "/api/ticket/"])
def test_a_ticket(user_with: Callable[..., APIClient], path: str) -> None:
    answer = user_with().post(path).json()
    assert answer["expires_in"] == 30
    assert answer["url"] == f"ws://testserver/ws?ticket={answer['ticket']}"
    assert sync_redis().exists(TICKET_KEY + answer["ticket"])


def test_a_ticket_is_for_somebody(nobody: APIClient) -> None:
    assert nobody.post("/api/ticket/").status_code == 401
