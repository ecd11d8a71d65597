"""Events about a layer or a tileset reach exactly those who may read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.feed import Cursor
from streaming.engine.runtime import Runtime
from streaming.features.event_audience import Audience, Rights, is_in, split_audience
from streaming.features.events import publish_event
from streaming.features.progress import Progress
from streaming.features.server_events import feeding_error, layer_readers, server_events
from streaming.models import Layer, Tileset
from tests.geo_peer import GeoPeer
from tests.server_events import server_events_on

Connect = Callable[..., GeoPeer]
VIEW, OTHER = "streaming.view_layer", "streaming.fleet"
"""The permission that private layers need if they name none, and one that no layer needs at first."""
PEOPLE = ("nobody", "plain", "viewer", "other", "root")


@pytest.fixture(autouse=True)
def _on(settings: Any) -> Iterator[None]:
    with server_events_on(settings):
        yield


def make_user(name: str) -> User:
    if name == "root":
        return User.objects.create_superuser(name)
    user = User.objects.create_user(name)
    kind = ContentType.objects.get_for_model(Layer)
    fleet, _ = Permission.objects.get_or_create(codename="fleet", content_type=kind)
    view = Permission.objects.get(codename="view_layer", content_type=kind)
    user.user_permissions.add(*{"viewer": [view], "other": [fleet]}.get(name, []))
    return user


async def people(geo: Connect, **options: Any) -> dict[str, GeoPeer]:
    """One of each, subscribed to all events."""
    peers = {}
    for name in PEOPLE:
        headers = None
        if name != "nobody":
            user = await sync_to_async(make_user)(name)
            headers = [(b"authorization", f"Bearer {AccessToken.for_user(user)}".encode())]
        peers[name] = geo(headers=headers)
        types = ["file_change", "processing_status", "error", "progress", "custom"]
        ack = await peers[name].ask(type="subscribe_events", subscription_id="e", event_types=types, **options)
        assert ack["success"], ack
    return peers


async def received(peers: dict[str, GeoPeer]) -> dict[str, list[str]]:
    """What came to each of them: the events, as their names."""
    assert await sync_to_async(server_events.flush)(10)
    await sync_to_async(publish_event)("custom", "end")
    found: dict[str, list[str]] = {}
    for name, peer in peers.items():
        found[name] = []
        while (event := await peer.next())["payload"] != "end":
            found[name].append(event["payload"].get("event", event["event_type"]))
    return {name: events for name, events in found.items() if events}


def change_layer(**values: Any) -> None:
    layer = Layer.objects.get(name="secret")
    for name, value in values.items():
        setattr(layer, name, value)
    layer.save()


async def test_a_private_layer_is_seen_by_its_readers_only(geo: Connect, runtime: Runtime) -> None:
    peers = await people(geo)

    @sync_to_async
    def life() -> None:
        layer = Layer.objects.create(name="secret", public=False)
        change_layer(title="Secret")
        feeding_error("secret", "layer_full", "no room", 1)
        progress = Progress("publish:secret", "layer:secret", 10, lambda: layer_readers("secret"))
        progress._due = 0.0
        progress.at(5)
        layer.delete()

    await life()
    seen = ["layer_created", "layer_changed", "error", "progress", "layer_removed"]
    assert await received(peers) == {"viewer": seen, "root": seen}


async def test_a_change_of_who_may_read_it_is_another_event_for_each(geo: Connect, runtime: Runtime) -> None:
    peers = await people(geo)
    await sync_to_async(Layer.objects.create)(name="secret")
    assert set(await received(peers)) == set(PEOPLE)
    await sync_to_async(change_layer)(public=False)
    removed, changed, created = ["layer_removed"], ["layer_changed"], ["layer_created"]
    assert await received(peers) == {"nobody": removed, "plain": removed, "other": removed, "viewer": changed, "root": changed}
    await sync_to_async(change_layer)(permission=OTHER)
    assert await received(peers) == {"viewer": removed, "other": created, "root": changed}
    await sync_to_async(change_layer)(public=True)
    assert await received(peers) == {"nobody": created, "plain": created, "viewer": created, "other": changed, "root": changed}


async def test_a_tileset_is_seen_by_those_who_may_read_it_and_its_layer(geo: Connect, runtime: Runtime) -> None:
    peers = await people(geo)

    @sync_to_async
    def make() -> None:
        Tileset.objects.create(name="hidden", kind="pushed", public=False, permission=OTHER)
        Layer.objects.create(name="secret", public=False)
        Tileset.objects.create(name="of-the-layer", kind="layer", source="secret")

    await make()
    of_layer = ["layer_created", "tileset_created"]
    assert await received(peers) == {"other": ["tileset_created"], "viewer": of_layer, "root": ["tileset_created", *of_layer]}
    await sync_to_async(change_layer)(public=True)
    both = ["layer_created", "tileset_created"]
    assert await received(peers) == {
        "nobody": both,
        "plain": both,
        "other": both,
        "viewer": ["layer_changed"],
        "root": ["layer_changed"],
    }


async def test_a_replay_holds_what_may_be_read(geo: Connect, runtime: Runtime) -> None:
    cursor = Cursor.parse(await sync_to_async(publish_event)("custom", {}))
    await sync_to_async(Layer.objects.create)(name="secret", public=False)
    assert await sync_to_async(server_events.flush)(10)
    assert set(await received(await people(geo, cursor=str(cursor)))) == {"viewer", "root"}


async def test_a_superuser_has_permissions_that_exist_nowhere(geo: Connect, runtime: Runtime) -> None:
    peers = await people(geo)
    await sync_to_async(Layer.objects.create)(name="secret", public=False, permission="no.such_permission")
    assert set(await received(peers)) == {"root"}


async def test_permissions_that_a_backend_cannot_list_are_asked_for(geo: Connect, runtime: Runtime, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Plain", "django.contrib.auth.backends.ModelBackend"]
    await sync_to_async(Layer.objects.create)(name="secret", public=False, permission="elsewhere.known")
    peers = await people(geo)
    await sync_to_async(change_layer)(title="Secret")
    assert set(await received(peers)) == {"plain", "root"}


class Plain:
    """A backend that knows a permission of one user."""

    def authenticate(self, request: Any, **credentials: Any) -> None:
        return None

    def has_perm(self, user: Any, permission: str, obj: Any = None) -> bool:
        return user.username == "plain" and permission == "elsewhere.known"


def test_the_audience_is_never_sent(redis: None) -> None:
    from streaming.dialects.geo.event_encoder import _StoredEvent

    assert "audience" not in _StoredEvent.__struct_fields__


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, (), {"": "created", "a": "created", "ab": "created"}),
        (None, ("a",), {"a": "created", "ab": "created"}),
        (("a",), None, {"a": "removed", "ab": "removed"}),
        (("a",), ("a", "b"), {"a": "removed", "ab": "changed"}),
        (("a", "b"), ("a",), {"a": "created", "ab": "changed"}),
        (("a",), ("b",), {"a": "removed", "b": "created", "ab": "changed"}),
    ],
)
def test_each_user_sees_one_side_of_a_change(before: Any, now: Any, expected: dict[str, str]) -> None:
    split = list(split_audience(before, now))
    for has in ("", "a", "b", "ab"):
        seen = [kind for kind, audience in split if is_in({"needs": audience.needs, "lacks": audience.lacks}, Rights(frozenset(has)))]
        wanted = expected.get(has, expected.get("") if before is None and now == () else None)
        assert seen == ([wanted] if wanted else []), has


def test_a_superuser_is_in_every_audience_but_that_of_those_who_lack_something() -> None:
    root = Rights(everything=True)
    assert is_in({"needs": ["x"]}, root)
    assert not is_in({"lacks": ["x"]}, root)
    assert Audience() == Audience((), ())
