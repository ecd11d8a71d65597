"""Bans over HTTP: who is banned is refused with `banned` by each API, whether by user or by address."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from rest_framework_simplejwt.tokens import AccessToken

from streaming.engine.bans import Ban
from streaming.engine.runtime import Runtime
from tests.geo_peer import point

HERE = "127.0.0.1"
PUBLISHING = ("POST", "/api/layers/ships/features")
REQUESTS = (PUBLISHING, ("GET", "/api/layers"), ("GET", "/ogc/jobs"), ("POST", "/ogc/processes/echo/execution"))


def ban(kind: Any, value: Any) -> Ban:
    now = time.time()
    return Ban(kind, str(value), str(value), now + 60, now, "admin", "too loud")


@pytest.fixture
async def admin(runtime: Runtime) -> User:
    return await User.objects.acreate_superuser("admin", password="secret")


async def send(method: str, path: str, user: User) -> Any:
    body = b"" if method == "GET" else json.dumps(point("ferry", 7, 47)).encode()
    headers = {"Authorization": f"Bearer {AccessToken.for_user(user)}"}
    return await AsyncClient().generic(method, path, body, content_type="application/json", headers=headers)


@pytest.mark.parametrize(("method", "path"), REQUESTS)
@pytest.mark.parametrize("kind", ["user", "address"])
async def test_who_is_banned_is_refused(runtime: Runtime, admin: User, kind: str, method: str, path: str) -> None:
    runtime.connections.bans.replace([ban(kind, admin.pk if kind == "user" else HERE)])
    answer = await send(method, path, admin)
    assert answer.status_code == 403
    assert b"banned until" in answer.content
    assert answer.json()["code"] == "banned"
    assert b"too loud" not in answer.content
    assert runtime.connections.refused == {"ban": 1}


async def test_others_publish_as_before(runtime: Runtime, admin: User) -> None:
    runtime.connections.bans.replace([ban("user", admin.pk + 1), ban("address", "192.0.2.1")])
    assert (await send(*PUBLISHING, admin)).status_code == 200
