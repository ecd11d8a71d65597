"""Events of some types and sources are for users with a permission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ImproperlyConfigured
from rest_framework_simplejwt.tokens import AccessToken

from streaming.engine.login_review import LoginReview
from streaming.engine.runtime import Runtime
from streaming.features.event_access import rules
from streaming.features.events import apublish_event
from tests.geo_peer import GeoPeer

Connect = Callable[..., GeoPeer]


@pytest.fixture(autouse=True)
def access(settings: Any) -> None:
    settings.GEOSTREAM_EVENT_ACCESS = "error=is_staff, progress=streaming.view_layer, progress/public=is_authenticated"


async def connected(geo: Connect, *codenames: str, **user: Any) -> GeoPeer:
    alice = await database_sync_to_async(User.objects.create_user)("alice", **user)
    for codename in codenames:
        await alice.user_permissions.aadd(await Permission.objects.aget(codename=codename))
    return geo(headers=[(b"authorization", f"Bearer {AccessToken.for_user(alice)}".encode())])


async def subscribe(peer: GeoPeer, *types: str, **more: Any) -> dict[str, Any]:
    return await peer.ask(type="subscribe_events", subscription_id="e", event_types=list(types), **more)


async def publish() -> None:
    for kind, payload in (("error", 1), ("progress", 2), ("progress", {"source": "public"}), ("custom", 4)):
        await apublish_event(kind, payload)


async def received(peer: GeoPeer, count: int) -> list[Any]:
    events = [(await peer.next())["payload"] for _ in range(count)]
    assert await peer.nothing()
    return events


async def test_nobody_receives_public_events_only(geo: Connect, runtime: Runtime) -> None:
    peer = geo()
    assert (await subscribe(peer, "error", "progress", "custom"))["success"]
    await publish()
    assert await received(peer, 1) == [4]


async def test_types_that_are_all_private_are_refused(geo: Connect, runtime: Runtime) -> None:
    assert (await subscribe(geo(), "error"))["code"] == "unauthenticated"
    assert (await subscribe(await connected(geo), "error"))["code"] == "forbidden"


async def test_a_permission_opens_a_type_and_a_source_has_its_own(geo: Connect, runtime: Runtime) -> None:
    peer = await connected(geo, "view_layer")
    await subscribe(peer, "error", "progress")
    await publish()
    assert await received(peer, 2) == [2, {"source": "public"}]


async def test_a_resume_replays_what_may_be_read(geo: Connect, runtime: Runtime) -> None:
    cursor = await apublish_event("custom", 0)
    await publish()
    peer = await connected(geo)
    assert (await subscribe(peer, "error", "progress", "custom", cursor=cursor))["snapshot_count"] == 2
    assert await received(peer, 2) == [{"source": "public"}, 4]


async def test_a_lost_permission_ends_it_within_seconds(geo: Connect, runtime: Runtime) -> None:
    peer = await connected(geo, "view_layer", is_staff=True)
    await subscribe(peer, "error", "progress")
    await runtime.service(LoginReview).review()
    await User.objects.aupdate(is_staff=False)
    await runtime.service(LoginReview).review()
    await peer.ask(type="ping", id=1)
    session = next(iter(runtime.connections.open.values())).session
    await session._reviewing if session._reviewing is not None else None  # type: ignore[attr-defined]
    await publish()
    assert await received(peer, 2) == [2, {"source": "public"}]
    await database_sync_to_async(User.user_permissions.through.objects.all().delete)()
    await peer.ask(type="unsubscribe", subscription_id="e")


@pytest.mark.parametrize("setting", ["nothing=is_staff", "error", "error=", "=is_staff"])
def test_a_setting_that_cannot_be_read(setting: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="GEOSTREAM_EVENT_ACCESS"):
        rules(setting)
