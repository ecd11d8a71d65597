"""Sockets and channel tokens end with the login that they rest on, within seconds, in every dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from streaming.engine.login_review import LoginReview
from streaming.engine.logins import live_sessions, login_of, password_digest, user_states
from streaming.engine.runtime import Runtime
from streaming.models import Layer
from streaming.topics.tokens import issue, mint, verify
from tests.dialects.phoenix.conftest import Connect as ConnectPhoenix
from tests.dialects.phoenix.conftest import phoenix
from tests.dialects.phoenix.poller import Poller
from tests.dialects.redis_commands.peer import RedisPeer
from tests.geo_peer import GeoPeer

Connect = Callable[..., GeoPeer]
Headers = list[tuple[bytes, bytes]]
in_thread = database_sync_to_async


@pytest.fixture
async def alice(runtime: Runtime) -> User:
    return await in_thread(User.objects.create_user)("alice", password="secret")


@pytest.fixture
async def page(alice: User) -> Client:
    """A page of Alice, who is logged in."""
    client = Client()
    await in_thread(client.force_login)(alice)
    return client


def of_page(page: Client) -> Headers:
    """What a browser sends when a page opens a WebSocket."""
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in page.cookies.items())
    return [(b"host", b"testserver"), (b"origin", b"http://testserver"), (b"cookie", cookies.encode())]


def with_token(user: User) -> Headers:
    return [(b"authorization", f"Bearer {AccessToken.for_user(user)}".encode())]


async def opened(geo: Connect, headers: Headers) -> GeoPeer:
    peer = geo(headers=headers)
    assert (await peer.ask(type="ping", id=1))["type"] == "pong"
    return peer


async def review(runtime: Runtime) -> None:
    await runtime.service(LoginReview).review()


async def is_open(peer: GeoPeer) -> bool:
    return bool((await peer.ask(type="ping", id=1))["type"] == "pong")


# -- sockets -------------------------------------------------------------------


async def test_a_logout_ends_the_sockets_of_its_session_and_no_others(geo: Connect, page: Client, alice: User) -> None:
    other_page = Client()
    await in_thread(other_page.force_login)(alice)
    mine, other, token = await opened(geo, of_page(page)), await opened(geo, of_page(other_page)), await opened(geo, with_token(alice))
    await in_thread(page.logout)()
    assert (await mine.closed())[0] == 4401
    assert await is_open(other) and await is_open(token)


@pytest.fixture
async def peers(geo: Connect, phoenix: ConnectPhoenix, page: Client) -> AsyncIterator[dict[str, Callable[[], Awaitable[Any]]]]:
    """A socket of the page in each dialect, and how it is closed."""
    headers = of_page(page)
    geo_peer, phoenix_peer = await opened(geo, headers), await phoenix(headers=headers)
    redis_peer = RedisPeer()
    redis_peer._scope["headers"] = headers
    await redis_peer.opened()
    yield {"geo": geo_peer.closed, "phoenix": phoenix_peer.closed, "redis": redis_peer.closed}
    await redis_peer.close()


async def test_a_session_that_was_flushed_ends_its_sockets_in_every_dialect(
    peers: dict[str, Callable[[], Awaitable[Any]]], runtime: Runtime
) -> None:
    await review(runtime)
    await in_thread(Session.objects.all().delete)()  # sends no signal of a logout
    await review(runtime)
    assert {dialect: (await closed())[0] for dialect, closed in peers.items()} == {"geo": 4401, "phoenix": 1008, "redis": 4401}


async def test_a_client_that_polls_is_gone_with_its_session(page: Client, runtime: Runtime) -> None:
    poller = Poller()
    headers = {name.decode(): value.decode() for name, value in of_page(page)}
    await poller.poll(**headers)
    assert len(runtime.connections.open) == 1
    await in_thread(Session.objects.all().delete)()
    await review(runtime)
    assert (await poller.poll(**headers))[0] == 410


def change(user: User, how: str) -> None:
    """Mostly without a signal of Django."""
    if how == "deactivated":
        User.objects.filter(pk=user.pk).update(is_active=False)
    elif how == "deleted":
        User.objects.filter(pk=user.pk).delete()
    else:
        other = User(pk=user.pk)
        other.set_password("another")
        User.objects.filter(pk=user.pk).update(password=other.password)


@pytest.mark.parametrize("how", ["deactivated", "deleted", "password"])
async def test_a_session_ends_with_its_user(geo: Connect, page: Client, alice: User, runtime: Runtime, how: str) -> None:
    peer = await opened(geo, of_page(page))
    await in_thread(change)(alice, how)
    await review(runtime)
    assert (await peer.closed())[0] == 4401


async def test_a_ticket_ends_with_the_session_of_the_page_that_asked_for_it(geo: Connect, page: Client, alice: User) -> None:
    client = APIClient()
    client.cookies = page.cookies
    ticket = (await in_thread(client.post)("/api/ticket/")).json()["ticket"]
    peer = geo(path=f"/ws?ticket={ticket}")
    assert await is_open(peer)
    await in_thread(page.logout)()
    assert (await peer.closed())[0] == 4401


async def test_an_access_token_outlives_a_change_of_the_password_and_no_deactivation(geo: Connect, alice: User, runtime: Runtime) -> None:
    peer = await opened(geo, with_token(alice))
    await in_thread(change)(alice, "password")
    await review(runtime)
    assert await is_open(peer)
    await in_thread(change)(alice, "deactivated")
    await review(runtime)
    assert (await peer.closed())[0] == 4401


# -- permissions ---------------------------------------------------------------


@pytest.fixture
async def secret(runtime: Runtime) -> Layer:
    return await in_thread(Layer.objects.create)(name="secret", public=False)


async def test_a_permission_that_was_taken_away_ends_the_subscription(geo: Connect, alice: User, secret: Layer, runtime: Runtime) -> None:
    await alice.user_permissions.aadd(await Permission.objects.aget(codename="view_layer"))
    peer = await opened(geo, with_token(alice))
    assert (await peer.subscribe("secret"))["success"]
    await review(runtime)
    assert await peer.nothing()
    await in_thread(User.user_permissions.through.objects.all().delete)()
    await review(runtime)
    refused = await peer.next()
    assert (refused["type"], refused["request_id"]) == ("error", "s")


async def test_changes_of_groups_and_users_are_noticed_without_waiting(geo: Connect, alice: User, secret: Layer) -> None:
    readers = await Group.objects.acreate(name="readers")
    await readers.permissions.aadd(await Permission.objects.aget(codename="view_layer"))
    await alice.groups.aadd(readers)
    peer = await opened(geo, with_token(alice))
    assert (await peer.subscribe("secret"))["success"]
    await readers.permissions.aclear()
    assert (await peer.next())["request_id"] == "s"
    alice.is_active = False
    await alice.asave()
    assert (await peer.closed())[0] == 4401


async def test_what_did_not_change_is_asked_for_with_a_handful_of_queries(geo: Connect, runtime: Runtime) -> None:
    users = [await in_thread(User.objects.create_user)(f"user{number}") for number in range(5)]
    for user in users:
        await opened(geo, with_token(user))
    await review(runtime)

    def queries() -> int:
        with CaptureQueriesContext(database) as captured:
            user_states([str(user.pk) for user in users])
            live_sessions(["a", "b", "c"])
        return len(captured)

    assert await in_thread(queries)() == 4
    renewed: list[Any] = []
    for connection in runtime.connections.open.values():
        connection.renew_user = renewed.append  # type: ignore[method-assign]
    await review(runtime)
    assert not renewed


async def test_nobody_is_looked_up_while_nobody_is_connected(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.engine.login_review.user_states", lambda ids: pytest.fail("the database was asked"))
    await review(runtime)


# -- channel tokens ------------------------------------------------------------


async def token_for(user: User, channel: str = "room:1", **more: Any) -> str:
    return (await issue(await User.objects.aget(pk=user.pk), channel, **more)).token


@pytest.fixture
async def member(alice: User, phoenix: ConnectPhoenix) -> Any:
    """A client with a token of Alice, who may join topics; it is not logged in itself."""
    await alice.user_permissions.aadd(await Permission.objects.aget(codename="join_topics"))
    peer = await phoenix()
    peer.token = await token_for(alice)  # type: ignore[attr-defined]
    await peer.join("room:1", token=peer.token)  # type: ignore[attr-defined]
    await peer.receive_event("presence_state")
    return peer


@pytest.mark.parametrize("how", ["deactivated", "deleted", "password", "permission"])
async def test_a_channel_token_ends_with_the_login_it_was_given_to(member: Any, alice: User, runtime: Runtime, how: str) -> None:
    await review(runtime)
    await member.rest()
    if how == "permission":
        await in_thread(User.user_permissions.through.objects.all().delete)()
    else:
        await in_thread(change)(alice, how)
    await review(runtime)
    ended = await member.receive_event("phx_error")
    assert ended[:3] == ["1", "1", "room:1"] and ended[4]["reason"] == "unauthorized" and ended[4]["detail"]
    status, response = await member.ask("2", "2", "room:1", "phx_join", {"token": member.token})
    assert (status, response["reason"]) == ("error", "unauthorized") and response["detail"] == ended[4]["detail"]


async def test_a_channel_token_ends_with_the_session_it_was_given_to(
    alice: User, page: Client, phoenix: ConnectPhoenix, settings: Any
) -> None:
    settings.GEOSTREAM_OPEN_TOKENS = True
    client = APIClient()
    client.cookies = page.cookies
    answer = await in_thread(client.post)("/token", {"channel": "room:1"}, format="json")
    token = answer.json()["token"]
    assert page.session.session_key not in token
    peer = await phoenix()
    await peer.join("room:1", token=token)
    await in_thread(page.logout)()
    assert (await peer.receive_event("phx_error"))[4]["reason"] == "unauthorized"


async def test_tokens_that_are_nobodys_are_not_reviewed(phoenix: ConnectPhoenix, runtime: Runtime) -> None:
    peer = await phoenix()
    await peer.join("room:1", token=mint("alice", "room:1"))
    await peer.receive_event("presence_state")
    await review(runtime)
    await peer.receive_nothing()


async def test_a_renewed_token_is_reviewed_and_the_one_before_is_not(member: Any, alice: User, runtime: Runtime) -> None:
    assert await member.ask("1", "2", "room:1", "access_token", {"token": mint("alice", "room:1")}) == ("ok", {})
    await in_thread(change)(alice, "deactivated")
    await review(runtime)
    assert await member.ask("1", "5", "room:1", "said", {}) == ("ok", {})
    status, _ = await member.ask("1", "3", "room:1", "access_token", {"token": member.token})
    assert status == "error"


async def test_members_that_have_left_are_forgotten(member: Any, runtime: Runtime) -> None:
    logins = runtime.service(LoginReview).holders[-1].logins
    assert len(list(logins())) == 1
    await member.ask("1", "2", "room:1", "phx_leave", {})
    assert not list(logins())


async def test_a_login_is_in_the_token_and_no_secret_is(alice: User) -> None:
    login = login_of(alice, "the-key-of-the-session")
    token = mint("alice", "room:1", login=login)
    assert verify(token).login == login and login.password == password_digest(alice)


__all__ = ["phoenix"]
