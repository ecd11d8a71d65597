"""A name that somebody may not read looks as one that does not exist, over HTTP and in every dialect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from streaming.engine.runtime import Runtime
from streaming.models import Layer, Tileset
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.dialects.redis_commands.peer import RedisPeer
from tests.geo_peer import GeoPeer

PATHS = (
    "/api/layers/{}/",
    "/api/layers/{}/features",
    "/api/layers/{}/features/a",
    "/api/tilesets/{}/",
    "/tiles/{}/tilejson.json",
    "/tiles/{}/0/0/0.png",
)


@pytest.fixture
def private(tmp_path: Path) -> str:
    """A layer and a tileset of this name, neither of which is public."""
    Layer.objects.create(name="hidden", public=False)
    Tileset.objects.create(name="hidden", public=False, kind="layer", source="hidden")
    return "hidden"


def answers(client: APIClient, name: str) -> list[tuple[int, dict[str, str], Any]]:
    """Everything in the answers, with the name taken out."""
    found = [client.get(path.format(name)) for path in PATHS]
    return [(answer.status_code, dict(answer.headers), answer.content.replace(name.encode(), b"NAME")) for answer in found]


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a user's permissions were asked for since the last call."""
    asked = []
    has_perm = User.has_perm
    monkeypatch.setattr(User, "has_perm", lambda self, *args: asked.append(args) or has_perm(self, *args))

    def count() -> int:
        number = len(asked)
        asked.clear()
        return number

    return count


def test_over_http(nobody: APIClient, user_with: Callable[..., APIClient], private: str) -> None:
    for client in (nobody, user_with()):
        hidden, absent = answers(client, private), answers(client, "absent")
        assert [status for status, _, _ in absent] == [404] * len(PATHS)
        for (_, headers, _), (_, other, _) in zip(hidden, absent, strict=True):
            headers.pop("Content-Length", None), other.pop("Content-Length", None)
        assert hidden == absent


def test_finding_out_takes_as_much_work(user_with: Callable[..., APIClient], private: str, questions: Callable[[], int]) -> None:
    client = user_with()
    for path in PATHS:
        counts = []
        for name in (private, "absent"):
            client.get(path.format(name))
            counts.append(questions())
        assert counts[0] == counts[1] > 0, path


def test_those_who_may_read_it_do(user_with: Callable[..., APIClient], private: str) -> None:
    reader = user_with("view_layer", "view_tileset")
    assert [reader.get(path.format(private)).status_code for path in PATHS[:2]] == [200] * 2


async def without_login(runtime: Runtime, user: User | None) -> list[tuple[bytes, bytes]]:
    return [] if user is None else [(b"authorization", f"Bearer {AccessToken.for_user(user)}".encode())]


@pytest.mark.parametrize("known", [False, True], ids=["nobody", "a user without the right"])
async def test_in_every_dialect(runtime: Runtime, private: str, known: bool, questions: Callable[[], int]) -> None:
    user = await database_sync_to_async(User.objects.create_user)("alice") if known else None
    headers = await without_login(runtime, user)
    geo, phoenix, redis = GeoPeer(headers=headers), PhoenixPeer(headers=headers), RedisPeer()
    redis._scope["headers"] = headers
    await phoenix.connect()
    await redis.opened()
    await redis.ask("HELLO 2 errors=1 acks=1")

    async def refusals(name: str) -> list[Any]:
        layer = await geo.subscribe(name)
        tiles = await geo.ask(
            type="subscribe_tiles", subscription_id="t", tileset=name, bbox=[0, 0, 1, 1], zoom_range={"start": 0, "end": 0}
        )
        joined = await phoenix.ask("1", "1", f"layer:{name}", "phx_join", {})
        commands = [(content["status"], content["code"]) for content in await redis.contents(f"GET {name}", f"SUB {name}")]
        return [(layer["code"], layer["message"]), (tiles["code"], tiles["message"]), joined, commands]

    questions()
    hidden, for_hidden = str(await refusals("hidden")), questions()
    absent, for_absent = str(await refusals("absent")), questions()
    assert for_hidden == for_absent
    assert "unknown_layer" in hidden and "unknown_tileset" in hidden
    assert hidden.replace("hidden", "NAME") == absent.replace("absent", "NAME")
    for peer in (geo, phoenix, redis):
        await peer.close()
