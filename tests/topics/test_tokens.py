"""Channel tokens: which are believed, and what they open."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from streaming.core.errors import StreamError
from streaming.engine.token_times import InvalidClaim
from streaming.topics.tokens import Claims, announce_open_tokens, mint, verify

KEY: str = django_settings.SIMPLE_JWT["SIGNING_KEY"]
SOON = int(time.time()) + 3600
GOOD: dict[str, Any] = {"id": "alice", "channel": "room:1", "exp": SOON}


def signed(key: str = KEY, algorithm: str = "HS256", **changes: Any) -> str:
    """A token as another program makes it; a claim that is None is left out."""
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm)


def refusal(token: str) -> str:
    """The code with which it is refused, and that the refusal does not give the token away."""
    with pytest.raises(StreamError) as refused:
        verify(token)
    assert token not in refused.value.message or not token
    return refused.value.code


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_has_the_claims_and_the_head_of_tangrams() -> None:
    before = int(time.time())
    token = mint("alice", "room:1")
    claims = jwt.decode(token, KEY, algorithms=["HS256"])
    assert claims == {"id": "alice", "channel": "room:1", "exp": claims["exp"]}
    assert before + 43_200 <= claims["exp"] <= time.time() + 43_200
    assert jwt.get_unverified_header(token) == {"typ": "JWT", "alg": "HS256"}


def test_it_is_believed() -> None:
    assert verify(mint("alice", "room:1", lifetime=60)) == Claims("alice", "room:1", pytest.approx(time.time() + 60, abs=2))


def test_its_life_is_a_setting(settings: Any) -> None:
    settings.GEOSTREAM_CHANNEL_TOKEN_SECONDS = 5
    assert verify(mint("alice", "room:1")).expires <= time.time() + 5


def test_tokens_of_other_programs_are_believed() -> None:
    assert verify(signed(iat=SOON - 3600, jti="7", sub="alice", iss="tangram")) == Claims("alice", "room:1", SOON)


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_times_may_have_fractions(claim: str) -> None:
    at = time.time() + (3600.25 if claim == "exp" else -0.25)
    claims = verify(signed(**{claim: at}))
    assert claims.id == "alice" and (claim != "exp" or claims.expires == at)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exp": None}, "exp must be a number"),
        ({"exp": str(SOON)}, "exp must be a number"),
        ({"exp": int(time.time() * 1000)}, "exp is more than 366 days ahead; it is in seconds, not milliseconds"),
        ({"iat": SOON + 0.5}, "iat"),
        ({"iat": int(time.time() * 1000)}, "iat"),
        ({"nbf": SOON}, "nbf"),
        ({"iat": "then"}, "iat"),
        ({"nbf": []}, "nbf"),
        ({"id": 7}, "the claim id"),
        ({"channel": None}, "the claim channel"),
        ({"id": "a\nb"}, "the claim id"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_refusal_names_the_claim(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidClaim, match=re.escape(words)):
        verify(signed(**changes))


def test_the_longest_life_of_a_token_is_a_setting(settings: Any) -> None:
    settings.GEOSTREAM_TOKEN_MOST_SECONDS = 60
    settings.GEOSTREAM_CHANNEL_TOKEN_SECONDS = 3600
    assert verify(mint("alice", "room:1")).id == "alice"  # what this server gives is good
    assert refusal(signed(exp=time.time() + 3700)) == "token_invalid"
    with pytest.raises(StreamError, match="3600"):
        mint("alice", "room:1", lifetime=3700)


def test_a_clock_that_is_somewhat_ahead_is_forgiven() -> None:
    assert verify(signed(iat=int(time.time()) + 30)).id == "alice"


@pytest.mark.parametrize("id", ["", "ä" * 127, "__proto__", "a:b c"])
def test_ids_are_free(id: str) -> None:
    assert verify(mint(id, "room:1")).id == id


def test_an_expired_token() -> None:
    assert refusal(mint("alice", "room:1", lifetime=-1)) == "token_expired"
    assert refusal(signed(exp=int(time.time()) - 3600)) == "token_expired"


def test_a_forged_token() -> None:
    head, _, signature = signed().split(".")
    assert refusal(f"{head}.{part({**GOOD, 'channel': 'admin'})}.{signature}") == "token_invalid"


def test_a_token_of_another_key() -> None:
    assert refusal(signed("x" * 48)) == "token_invalid"
    assert refusal(signed("x" * 48, exp=1)) == "token_invalid"


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", ""])
def test_a_token_without_signature(algorithm: str) -> None:
    assert refusal(f"{part({'typ': 'JWT', 'alg': algorithm})}.{part(GOOD)}.") == "token_invalid"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm(algorithm: str) -> None:
    assert refusal(signed(KEY, algorithm)) == "token_invalid"


@pytest.mark.parametrize("claim", ["id", "channel", "exp"])
@pytest.mark.parametrize("value", [None, 4_000_000_000.5, ["a"], {}])
def test_a_claim_that_is_missing_or_of_the_wrong_type(claim: str, value: Any) -> None:
    token = f"{part({'typ': 'JWT', 'alg': 'HS256'})}.{part({k: v for k, v in {**GOOD, claim: value}.items() if v is not None})}"
    signature = jwt.get_algorithm_by_name("HS256").sign(token.encode(), KEY.encode())
    assert refusal(f"{token}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}") == "token_invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "elsewhere"},
        {"aud": []},
        {"token_type": "access"},
        {"exp": str(SOON)},
        {"exp": 10**400},
        {"nbf": SOON},
        {"id": "a\nb"},
        {"id": "\ud800"},
        {"id": "x" * 256},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_what_else_is_refused(changes: dict[str, Any]) -> None:
    assert refusal(signed(**changes)) == "token_invalid"


@pytest.mark.parametrize(
    "token", ["", "nonsense", "a.b.c", "....", "ä.ö.ü", "\ud800", f"{part([])}.e30.e30", f"{'W' * 6000}.e30.e30"], ids=range(8)
)
def test_what_is_no_token(token: str) -> None:
    assert refusal(token) == "token_invalid"


def test_a_token_of_more_than_8_kib() -> None:
    assert verify(signed(padding="x" * 5850)).id == "alice"
    assert refusal(signed(padding="x" * 6200)) == "token_invalid"


def test_access_tokens_are_no_channel_tokens() -> None:
    user = User(pk=7, username="alice")
    for token in (AccessToken.for_user(user), RefreshToken.for_user(user)):
        assert refusal(str(token)) == "token_invalid"
        token["id"], token["channel"] = "alice", "room:1"
        assert refusal(str(token)) == "token_invalid"


def test_channel_tokens_are_no_access_tokens() -> None:
    with pytest.raises(TokenError):
        AccessToken(mint("alice", "room:1"))  # type: ignore[arg-type]


def test_the_settings_of_access_tokens_do_not_matter(settings: Any) -> None:
    settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "AUDIENCE": "us", "ISSUER": "us", "ACCESS_TOKEN_LIFETIME": timedelta(0)}
    assert verify(mint("alice", "room:1")).id == "alice"
    assert verify(signed()).id == "alice"


@pytest.mark.parametrize("channel", ["", "a[b", "a*b", "**", "a\nb", "x" * 256])
def test_a_token_is_for_a_channel_that_can_be(channel: str) -> None:
    with pytest.raises(StreamError) as refused:
        mint("alice", channel)
    assert refused.value.code == "bad_request"


@pytest.mark.parametrize(
    ("channel", "topic", "opens"),
    [
        ("room:1", "room:1", True),
        ("room:1", "room:12", False),
        ("room:*", "room:1", True),
        ("room:*", "lobby", False),
        ("*", "room:1", True),
        ("admin", "admin", True),
        ("*", "admin", False),
        ("adm*", "admin", False),
        ("admin*", "admin", False),
        ("", "room:1", False),
    ],
)
def test_what_a_token_opens(channel: str, topic: str, opens: bool) -> None:
    assert Claims("alice", channel, SOON).opens(topic) is opens


def test_the_channel_need_not_be_compared(settings: Any) -> None:
    settings.GEOSTREAM_CHECK_CHANNEL_CLAIM = False
    claims = Claims("alice", "room:1", SOON)
    assert claims.opens("lobby")
    assert not claims.opens("admin")


@pytest.mark.parametrize(("debug", "setting", "said"), [(True, None, 1), (False, None, 0), (True, False, 0), (False, True, 1)])
def test_open_tokens_are_announced(settings: Any, caplog: Any, debug: bool, setting: bool | None, said: int) -> None:
    settings.DEBUG = debug
    if setting is not None:
        settings.GEOSTREAM_OPEN_TOKENS = setting
    announce_open_tokens()
    assert [record.levelno for record in caplog.records if "GEOSTREAM_OPEN_TOKENS" in record.message] == [logging.WARNING] * said


def test_open_tokens_can_be_set_in_the_environment(settings: Any, caplog: Any, monkeypatch: Any) -> None:
    settings.DEBUG = True
    monkeypatch.setenv("GEOSTREAM_OPEN_TOKENS", "0")
    announce_open_tokens()
    assert not caplog.records
