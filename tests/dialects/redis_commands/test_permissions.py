"""Names of Redis that need a permission: for users who have it, as long as they have it. For others they are as if they were not there."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError
from pytest_django import Settings
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.redis import sync_redis
from streaming.dialects.redis_commands import permissions as permissions_module
from streaming.dialects.redis_commands.permissions import UserPermissions
from streaming.dialects.redis_commands.service import RedisCommandsService
from streaming.engine.runtime import Runtime

from .clients import until
from .peer import RedisPeer

Connect = Callable[..., Awaitable[RedisPeer]]
OPS = "streaming.view_layer"


@pytest.fixture
async def connect(settings: Settings, runtime: Runtime) -> AsyncIterator[Connect]:
    """Opens connections; the names `ops:...` need a permission, but not all of them do."""
    settings.GEOSTREAM_REDIS_READABLE = f"pub:*, ops:*={OPS}, ops:open, staff=is_staff, users:*=is_authenticated"
    peers: list[RedisPeer] = []

    async def opened(user: User | None = None) -> RedisPeer:
        peers.append(RedisPeer("" if user is None else str(AccessToken.for_user(user))))
        await peers[-1].opened()
        await peers[-1].ask("HELLO 2 errors=1")
        return peers[-1]

    yield opened
    for peer in peers:
        await peer.close()


@database_sync_to_async
def user(name: str = "someone", *permissions: str, **fields: Any) -> User:
    made = User.objects.create_user(name, **fields)
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return made


async def operator() -> User:
    return await user("operator", "view_layer")


@database_sync_to_async
def renewed(owner: User, *permissions: str) -> User:
    """The user as the database has them now, with these permissions instead."""
    owner.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return User.objects.get(pk=owner.pk)


def subscriptions(peer: RedisPeer) -> list[str]:
    return [described["id"] for described in peer.connection.session.describe()]


def publish(*names: str) -> None:
    for name in names:
        sync_redis().publish(name, f'"{name}"')


# -- who may -------------------------------------------------------------------


@pytest.mark.parametrize("command", ["GET ops:a", "GET ops:a field x", "PGET ops:a", "SUB ops:a"])
async def test_a_name_that_needs_a_permission_is_as_one_that_is_not_there(connect: Connect, command: str) -> None:
    sync_redis().hset("ops:a", "field", '"treasure"')
    for peer in (await connect(), await connect(await user(is_staff=True))):
        [forbidden] = await peer.ask(command)
        [missing] = await peer.ask(command.replace("ops:a", "missing"))
        assert forbidden["content"] == missing["content"] and forbidden["content"]["code"] == "forbidden"
    assert sync_redis().publish("ops:a", "1") == 0


async def test_a_user_with_the_permission_reads_and_subscribes(connect: Connect) -> None:
    sync_redis().hset("ops:a", "field", '"treasure"')
    peer = await connect(await operator())
    assert await peer.contents("GET ops:a", "GET ops:a field x", "PGET ops:a", "SUB ops:a") == ["treasure"] * 3
    publish("ops:a")
    assert (await peer.receive())["content"] == "ops:a"


async def test_a_superuser_has_every_permission(connect: Connect) -> None:
    assert await (await connect(await user(is_superuser=True))).contents("GET ops:a") == [None]


@pytest.mark.parametrize(
    ("fields", "answers"),
    [(None, ["forbidden"] * 2), ({}, ["forbidden", None]), ({"is_staff": True}, [None, None])],
)
async def test_names_for_staff_and_for_users(connect: Connect, fields: dict[str, bool] | None, answers: list[str | None]) -> None:
    peer = await connect(None if fields is None else await user(**fields))
    assert [content and content["code"] for content in await peer.contents("GET staff", "GET users:a")] == answers


async def test_a_longer_entry_opens_a_name_for_anybody(connect: Connect) -> None:
    assert await (await connect()).contents("GET ops:open", "SUB ops:open") == [None]


# -- patterns ------------------------------------------------------------------


async def test_a_pattern_finds_only_what_each_user_may_read(connect: Connect) -> None:
    stranger, staff, reader = await connect(), await connect(await user(is_staff=True)), await connect(await operator())
    for peer in (stranger, staff, reader):
        await peer.ask("PSUB *")
    publish("ops:a", "staff", "users:a", "ops:open", "pub:last")
    expected = {stranger: ["ops:open", "pub:last"], staff: ["staff", "users:a", "ops:open", "pub:last"]}
    expected[reader] = ["ops:a", "users:a", "ops:open", "pub:last"]
    for peer, names in expected.items():
        assert [(await peer.receive())["content"] for _ in names] == names
        assert await peer.ask() == []


async def test_a_pattern_that_is_unsubscribed_finds_nothing_more(connect: Connect) -> None:
    stranger, reader = await connect(), await connect(await operator())
    await stranger.ask("PSUB ops:*")
    await reader.ask("PSUB ops:*", "PDEL ops:*", "SUB pub:last")
    publish("ops:a", "ops:open", "pub:last")
    assert (await reader.receive())["content"] == "pub:last"
    assert (await stranger.receive())["content"] == "ops:open"


# -- when it changes -----------------------------------------------------------


async def test_a_user_who_loses_the_permission_is_sent_no_more(connect: Connect) -> None:
    owner = await operator()
    peer = await connect(owner)
    await peer.ask("SUB ops:a", "SUB users:a", "PSUB *")
    peer.connection.renew_user(await renewed(owner))
    await until(lambda: subscriptions(peer) == ["users:a", "*"])
    assert await peer.errors("GET ops:a", "SUB ops:a") == [("forbidden", None)] * 2
    publish("ops:a", "users:a")
    assert (await peer.receive())["content"] == "users:a"
    assert await peer.ask() == []


async def test_the_admin_sees_that_a_subscription_ended(connect: Connect) -> None:
    owner = await operator()
    peer = await connect(owner)
    await peer.ask("SUB ops:a")
    session = peer.connection.session
    before = session.revision
    peer.connection.renew_user(await renewed(owner))
    await until(lambda: not subscriptions(peer))
    session.tick(0.0)
    assert session.revision > before


async def test_a_user_who_loses_it_does_not_take_it_from_others(connect: Connect) -> None:
    owner = await operator()
    peer, other = await connect(owner), await connect(await user("other", "view_layer"))
    for one in (peer, other):
        await one.ask("SUB ops:a", "PSUB ops:b*")
    peer.connection.renew_user(await renewed(owner))
    await until(lambda: subscriptions(peer) == ["ops:b*"])
    publish("ops:a", "ops:b")
    assert [(await other.receive())["content"] for _ in range(2)] == ["ops:a", "ops:b"]
    assert await peer.ask() == []


async def test_a_user_who_is_given_the_permission_is_sent_more_without_asking_again(connect: Connect) -> None:
    owner = await user()
    peer = await connect(owner)
    await peer.ask("PSUB ops:* client_ref=mine")
    peer.connection.renew_user(await renewed(owner, "view_layer"))
    service = peer.connection.runtime.service(RedisCommandsService)
    await until(lambda: service.channels.allows(peer.connection.session.commands.subscriber, "ops:a"))
    publish("ops:a")
    received = await peer.receive()
    assert (received["content"], received["client_reference"]) == ("ops:a", "mine")


async def test_without_such_names_the_database_is_never_asked(
    settings: Settings, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GEOSTREAM_REDIS_READABLE = "pub:*"
    peer = await connect(await operator())
    monkeypatch.setattr(User, "has_perm", None)
    assert await peer.contents("GET pub:a", "SUB pub:a", "PSUB pub:*") == [None]


async def test_the_database_is_asked_once_per_connection(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = await connect(await operator())
    assert await peer.contents("GET ops:a") == [None]
    monkeypatch.setattr(User, "has_perm", None)
    assert await peer.contents("GET ops:a", "SUB ops:a", "PSUB ops:*") == [None]


# -- finding out ---------------------------------------------------------------


class Holder:
    """A user whose permission is found out when the test lets it, if `gate` is not open."""

    is_authenticated = True

    def __init__(self, has: bool) -> None:
        self.has = has
        self.gate = threading.Event()
        self.gate.set()
        self.queries = 0
        self.failures = 0

    def has_perm(self, permission: str) -> bool:
        self.queries += 1
        self.gate.wait(5)
        if self.queries <= self.failures:
            raise DatabaseError("away")
        return self.has


class Grantee:
    """A connection's user, and the permissions that became known."""

    def __init__(self, user: Holder) -> None:
        self.user = user
        self.known: list[set[str]] = []
        self.permissions = UserPermissions(frozenset([OPS]), lambda: self.user, lambda granted: self.known.append(set(granted)))


@pytest.mark.django_db(transaction=True)
async def test_permissions_of_a_replaced_user_are_not_believed() -> None:
    old = Holder(True)
    grantee = Grantee(old)
    await grantee.permissions.load()
    old.gate.clear()
    grantee.permissions.review()
    await until(lambda: old.queries == 2)
    grantee.user = Holder(False)
    grantee.permissions.review()
    old.gate.set()
    await until(lambda: len(grantee.known) == 2)
    assert grantee.known == [{OPS}, set()]


@pytest.mark.django_db(transaction=True)
async def test_a_database_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions_module, "REVIEW_AGAIN_SECONDS", 0.01)
    grantee = Grantee(Holder(True))
    await grantee.permissions.load()
    grantee.user = Holder(False)
    grantee.user.failures = 2
    grantee.permissions.review()
    await until(lambda: len(grantee.known) == 2)
    assert grantee.known == [{OPS}, set()] and grantee.user.queries == 3


async def test_permissions_that_were_never_needed_are_not_reviewed() -> None:
    grantee = Grantee(Holder(True))
    grantee.permissions.review()
    assert grantee.permissions._review is None


@pytest.mark.django_db(transaction=True)
async def test_a_review_ends_with_its_client() -> None:
    grantee = Grantee(Holder(True))
    await grantee.permissions.load()
    grantee.user.gate.clear()
    grantee.permissions.review()
    await until(lambda: grantee.user.queries == 2)
    grantee.permissions.stop()
    grantee.user.gate.set()
    review = grantee.permissions._review
    assert review is not None
    await until(review.done)
    assert len(grantee.known) == 1
