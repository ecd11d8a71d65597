"""Publishers that are muted, or may send so much: in every process, for a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.engine.runtime import Runtime
from streaming.features.muting import KEY, Mute, MutedPublishers, lift, mute, muted, token_id
from tests.geo_peer import point


@pytest.fixture(autouse=True)
def nobody_is_muted(redis: None) -> Iterator[None]:
    muted.use({})
    yield
    muted.use({})


def order(publisher: str = "user:bob", seconds: float = 60, rate: float = 0) -> Mute:
    return Mute(publisher, time.time() + seconds, rate, "too loud", "root")


def bob() -> SimpleNamespace:
    return SimpleNamespace(get_username=lambda: "bob")


def test_a_muted_user_is_refused_and_told_why() -> None:
    mute(order())
    with pytest.raises(StreamError, match=r"until .* UTC: too loud") as caught:
        muted.check(bob())
    assert (caught.value.code, caught.value.kind.status) == ("muted", 403)


def test_others_are_not() -> None:
    mute(order("user:alice"))
    muted.check(bob())


def test_it_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    mute(order(seconds=60))
    now = time.time()
    monkeypatch.setattr("streaming.features.muting.time.time", lambda: now + 61)
    muted.check(bob())
    assert muted.all() == []


def test_it_can_be_lifted() -> None:
    mute(order())
    lift("user:bob")
    muted.check(bob())
    assert not sync_redis().exists(KEY)


def test_a_limited_one_may_send_so_much() -> None:
    mute(order(rate=2))
    muted.check(bob())
    muted.check(bob())
    with pytest.raises(StreamError) as caught:
        muted.check(bob())
    assert caught.value.code == "rate_limited"


def test_another_process_reads_it() -> None:
    mute(order())
    other = MutedPublishers()
    other.read_sync()
    assert [each.publisher for each in other.all()] == ["user:bob"]


def test_nobody_is_muted_for_ever() -> None:
    with pytest.raises(StreamError, match="muted for"):
        mute(order(seconds=1e9))


def test_what_is_no_token_has_no_id() -> None:
    for text in (None, "", "a.b.c", "nonsense"):
        assert token_id(text) == ""


async def test_a_single_token_is_refused_over_http(runtime: Runtime) -> None:
    user = await User.objects.acreate_superuser("bob", password="secret")
    loud, quiet = AccessToken.for_user(user), AccessToken.for_user(user)
    await sync_to_async(mute)(order(f"token:{loud['jti']}"))
    client, body = AsyncClient(), json.dumps(point("a", 1, 1))
    answers = [
        await client.post("/api/layers/l/features", body, "application/json", headers={"Authorization": f"Bearer {token}"})
        for token in (loud, quiet)
    ]
    assert [answer.status_code for answer in answers] == [403, 200]
    assert answers[0].json()["code"] == "muted"
