"""Bans: who is banned leaves and stays away, in every dialect, until the ban ends or is lifted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.engine import ban_store
from streaming.engine.ban_store import BANS_KEY, ENDS_KEY, BanWatch
from streaming.engine.bans import Ban
from streaming.engine.runtime import Runtime
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.geo_peer import GeoPeer

HERE, THERE = "", "127.0.0.1"
"""The addresses of peers in this process: of the geo protocol and of Phoenix."""


def ban(kind: Any, value: Any, seconds: float = 60) -> Ban:
    now = time.time()
    return Ban(kind, str(value), str(value), now + seconds, now, "admin", "too loud")


async def impose(*bans: Ban) -> None:
    for each in bans:
        await asyncio.to_thread(ban_store.impose, each)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def alice(runtime: Runtime) -> User:
    return await User.objects.acreate(username="alice")


def headers(user: User) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {AccessToken.for_user(user)}".encode())]


async def test_a_banned_user_is_told_and_cut(geo: Callable[..., GeoPeer], alice: User) -> None:
    bob, other = geo(headers=headers(alice)), geo()
    for peer in (bob, other):
        await peer.ask(type="ping", id=1)
    await impose(ban("user", alice.pk))
    told = await bob.next()
    assert (told["type"], told["code"]) == ("error", "banned")
    code, reason = await bob.closed()
    assert code == 4411
    assert reason.startswith("you are banned until ")
    assert "too loud" not in reason
    assert (await other.ask(type="ping", id=2))["type"] == "pong"


async def test_a_banned_user_stays_away_until_the_ban_is_lifted(geo: Callable[..., GeoPeer], alice: User, runtime: Runtime) -> None:
    await impose(ban("user", alice.pk))
    await until(lambda: len(runtime.connections.bans) == 1)
    assert (await geo(headers=headers(alice)).closed())[0] == 4411
    assert runtime.connections.refused == {"ban": 1}
    lifted = await asyncio.to_thread(ban_store.lift, f"user:{alice.pk}")
    assert lifted is not None
    assert lifted.by == "admin"
    await until(lambda: not len(runtime.connections.bans))
    assert (await geo(headers=headers(alice)).ask(type="ping", id=1))["type"] == "pong"


async def test_logging_in_later_is_no_way_around_a_ban(geo: Callable[..., GeoPeer], alice: User, runtime: Runtime) -> None:
    await impose(ban("user", alice.pk))
    await until(lambda: len(runtime.connections.bans) == 1)
    answer = await geo().ask(type="authenticate", token=str(AccessToken.for_user(alice)))
    assert (answer["success"], answer["code"]) == (False, "banned")


async def test_phoenix_clients_get_the_codes_that_they_know(runtime: Runtime) -> None:
    peer = PhoenixPeer()
    await peer.connect()
    await impose(ban("address", THERE))
    assert (await peer.closed())[0] == 1008
    again = PhoenixPeer()
    assert await again.denied() == 403
    for each in (peer, again):
        await each.close()


async def test_a_ban_ends_by_itself(runtime: Runtime) -> None:
    runtime.connections.bans.replace([ban("address", "192.0.2.1", seconds=-0.1)])
    runtime.connections.admit("192.0.2.1")
    await impose(ban("address", "192.0.2.1", seconds=-1))
    assert await asyncio.to_thread(ban_store.bans) == []
    assert (sync_redis().hlen(BANS_KEY), sync_redis().zcard(ENDS_KEY)) == (0, 0)


async def test_a_ban_of_an_ipv6_address_is_one_of_its_network(runtime: Runtime) -> None:
    runtime.connections.bans.replace([ban("address", "2001:db8::/64")])
    with pytest.raises(StreamError, match="your address is banned until"):
        runtime.connections.admit("2001:db8::77")
    runtime.connections.admit("2001:db8:0:1::77")


async def test_a_lost_notice_is_made_up_for(geo: Callable[..., GeoPeer], runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ban_store, "announce", lambda kind: None)
    peer = geo()
    await peer.ask(type="ping", id=1)
    await impose(ban("address", HERE))
    await runtime.service(BanWatch).refresh()
    assert (await peer.closed())[0] == 4411


async def test_there_are_so_many_bans_and_no_more(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ban_store, "MOST_BANS", 1)
    await impose(ban("address", "192.0.2.1"))
    await impose(ban("address", "192.0.2.1", seconds=90))
    with pytest.raises(StreamError, match="lift some"):
        await impose(ban("address", "192.0.2.2"))
    assert len(await asyncio.to_thread(ban_store.bans)) == 1
