"""How many connections one user may have, whichever way they come and whenever they log in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken

from streaming.engine.runtime import Runtime
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.geo_peer import GeoPeer


def as_user(user: User) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {token_of(user)}".encode())]


def token_of(user: User) -> str:
    return str(AccessToken.for_user(user))


@pytest.fixture
async def alice(runtime: Runtime, settings: Any) -> User:
    """Who may have one connection."""
    settings.GEOSTREAM_MAX_CONNECTIONS_PER_USER = 1
    return await User.objects.acreate(username="alice")


async def test_a_user_has_no_more_connections_than_they_may(geo: Callable[..., GeoPeer], alice: User, runtime: Runtime) -> None:
    bob = await User.objects.acreate(username="bob")
    await geo(headers=as_user(alice)).ask(type="ping", id=1)
    assert await geo(headers=as_user(alice)).closed() == (4529, "you have as many connections as you may")
    assert (await geo(headers=as_user(bob)).ask(type="ping", id=1))["type"] == "pong"
    assert runtime.connections.refused == {"user": 1}


async def test_nobody_in_particular_has_no_such_limit(geo: Callable[..., GeoPeer], alice: User) -> None:
    for _ in range(3):
        assert (await geo().ask(type="ping", id=1))["type"] == "pong"


async def test_a_connection_that_closes_makes_room(geo: Callable[..., GeoPeer], alice: User) -> None:
    for _ in range(2):
        peer = geo(headers=as_user(alice))
        assert (await peer.ask(type="ping", id=1))["type"] == "pong"
        await peer.close()


async def test_connections_in_all_dialects_count_together(geo: Callable[..., GeoPeer], alice: User) -> None:
    await geo(headers=as_user(alice)).ask(type="ping", id=1)
    peer = PhoenixPeer(headers=as_user(alice))
    assert await peer.denied() == 429
    await peer.close()


async def test_logging_in_later_is_no_way_around_it(geo: Callable[..., GeoPeer], alice: User, runtime: Runtime) -> None:
    await geo(headers=as_user(alice)).ask(type="ping", id=1)
    late = geo()
    answer = await late.ask(type="authenticate", token=token_of(alice))
    assert (answer["success"], answer["code"]) == (False, "too_many_connections")
    assert [connection.principal.username for connection in runtime.connections.open.values()] == ["alice", ""]


async def test_whoever_becomes_somebody_else_counts_as_them(geo: Callable[..., GeoPeer], alice: User) -> None:
    bob = await User.objects.acreate(username="bob")
    peer = geo(headers=as_user(alice))
    for user in (alice, bob):  # again as the same user is no second connection
        assert (await peer.ask(type="authenticate", token=token_of(user)))["success"]
    assert (await geo(headers=as_user(alice)).ask(type="ping", id=1))["type"] == "pong"
    assert (await geo(headers=as_user(bob)).closed())[0] == 4529
