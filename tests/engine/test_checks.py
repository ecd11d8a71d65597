"""No server starts with a key that is too short or that everybody knows, or without the channels of its project."""

from __future__ import annotations

import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from redis import Redis

from streaming.dialects.redis_commands.checks import check_redis_commands
from streaming.engine.checks import check_pubsub_buffer, check_redis, is_well_known
from streaming.server.embedded_redis import RedisService

GOOD = "q7vJ0cQ4wKX3f8mB2nS9tYeU5rHdPzLa"


def found() -> list[str]:
    return [message.id for message in run_checks(tags=[Tags.security]) if str(message.id).startswith("streaming.")]


def signed_with(settings: Any, key: str, **more: Any) -> None:
    settings.SIMPLE_JWT = {"SIGNING_KEY": key, "ACCESS_TOKEN_LIFETIME": timedelta(minutes=30), **more}


def test_a_good_key(settings: Any) -> None:
    signed_with(settings, GOOD)
    assert found() == []


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("key", ["", "secret", GOOD[:-1]])
def test_a_short_key(settings: Any, debug: bool, key: str) -> None:
    settings.DEBUG = debug
    signed_with(settings, key)
    assert found() == ["streaming.E001"]


def test_its_refusal_says_how_to_make_one_and_not_what_it_was(settings: Any) -> None:
    signed_with(settings, GOOD[:-1])
    with pytest.raises(SystemCheckError) as refused:
        call_command("check")
    assert "secrets.token_urlsafe(48)" in str(refused.value) and GOOD[:-1] not in str(refused.value)


@pytest.mark.parametrize(("debug", "errors"), [(True, []), (False, ["streaming.E002"])])
def test_a_key_that_everybody_knows(settings: Any, debug: bool, errors: list[str]) -> None:
    settings.DEBUG = debug
    signed_with(settings, "changeme" * 4)
    assert found() == errors


def test_a_key_made_of_a_secret_key_that_everybody_knows(settings: Any) -> None:
    signed_with(settings, GOOD)
    settings.SECRET_KEY = "your-secret-key"
    with pytest.raises(SystemCheckError, match="Set GEOSTREAM_SECRET_KEY"):
        call_command("check")


@pytest.mark.parametrize(
    "key",
    [
        "secret" * 6,
        "secretsecretsecretsecretsecretse",
        "your-secret-key" * 3,
        "Change_Me!" * 4,
        "django-insecure-" + GOOD,
        "0" * 64,
        "abcd" * 10,
        "0123456789abcdef" * 2,
    ],
)
def test_well_known_keys(key: str) -> None:
    assert is_well_known(key)


@pytest.mark.parametrize("key", [GOOD, GOOD.lower(), "secret" + GOOD, "-" * 31 + "kqxyz", "8f14e45fceea167a5a36dedd4bea2543"])
def test_other_keys(key: str) -> None:
    assert not is_well_known(key)


def test_a_key_pair_is_no_key_of_channel_tokens(settings: Any) -> None:
    signed_with(settings, GOOD, ALGORITHM="RS256")
    assert found() == ["streaming.E003"]


@pytest.mark.parametrize(("debug", "warnings"), [(True, []), (False, ["streaming.W001"])])
def test_open_tokens_in_production(settings: Any, debug: bool, warnings: list[str]) -> None:
    settings.DEBUG = debug
    settings.GEOSTREAM_OPEN_TOKENS = True
    assert found() == warnings


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("nowhere.topics", "No module named 'nowhere'"),
        ("tests.engine.test_checks", "no attribute 'topicpatterns'"),
        ("tests.topics_without_channels", "must be made with streaming.topics.topic"),
    ],
)
def test_channels_that_cannot_be_loaded(settings: Any, monkeypatch: pytest.MonkeyPatch, module: str, reason: str) -> None:
    wrong = ModuleType("topics")
    wrong.topicpatterns = ["room:*"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests.topics_without_channels", wrong)
    settings.GEOSTREAM_TOPICS = module
    with pytest.raises(SystemCheckError, match=f"streaming.E004.*{reason}"):
        call_command("check")


def test_channels_that_can_be_loaded(settings: Any) -> None:
    settings.GEOSTREAM_TOPICS = "tests.dialects.phoenix.topics"
    call_command("check")


@pytest.mark.parametrize(("setting", "value"), [("GEOSTREAM_REDIS_READABLE", "pub:*="), ("GEOSTREAM_REDIS_SLOW", "pub:*=sometimes")])
def test_what_redis_clients_may_read_must_be_understood(settings: Any, setting: str, value: str) -> None:
    assert check_redis_commands() == []
    setattr(settings, setting, value)
    assert [found.id for found in check_redis_commands()] == ["streaming.E005"]


@pytest.mark.parametrize(("limit", "warnings"), [("33554432 8388608 60", ["streaming.W004"]), ("536870912 1 60", []), ("0 0 0", [])])
def test_a_redis_that_ends_the_connection_in_a_burst(own_redis: RedisService, settings: Any, limit: str, warnings: list[str]) -> None:
    settings.REDIS_URL = own_redis.url
    assert check_pubsub_buffer() == []
    with Redis.from_url(own_redis.url) as client:
        client.config_set("client-output-buffer-limit", f"pubsub {limit}")
    assert [message.id for message in check_pubsub_buffer()] == warnings


def test_a_redis_url_that_cannot_be_read(settings: Any) -> None:
    settings.REDIS_URL = "redis+sentinel://one,two"
    assert [message.id for message in check_redis()] == ["streaming.E017"]
    settings.REDIS_URL = "redis+sentinel://one,two/maps"
    assert check_redis() == []


def test_a_redis_that_does_not_answer_is_not_asked_about_bursts(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    assert check_pubsub_buffer() == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ALLOWED_HOSTS", ["*"], "streaming.W020"),
        ("GEOSTREAM_ALLOWED_ORIGINS", "*", "streaming.W021"),
        ("GEOSTREAM_METRICS_TOKEN", "", "streaming.W022"),
        ("GEOSTREAM_CHECK_CHANNEL_CLAIM", False, "streaming.W023"),
        ("GEOSTREAM_FILES_ANONYMOUS", "inbox=list write", "streaming.W024"),
        ("GEOSTREAM_REDIS_READABLE", "pub:*, *", "streaming.W025"),
    ],
)
def test_each_dangerous_setting_is_named_before_it_is_deployed(settings: Any, name: str, value: object, message: str) -> None:
    settings.GEOSTREAM_METRICS_TOKEN = GOOD
    before = [each.id for each in run_checks(tags=[Tags.security], include_deployment_checks=True)]
    setattr(settings, name, value)
    after = [each.id for each in run_checks(tags=[Tags.security], include_deployment_checks=True)]
    assert message not in before and message in after
