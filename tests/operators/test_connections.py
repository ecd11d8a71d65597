"""The topic `admin:connections`: what operators see of connections, and what they do about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from streaming import apublish
from streaming.engine.client_connection import ClientConnection
from streaming.engine.recorder import Recorder
from streaming.engine.runtime import Runtime
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.geo_peer import GeoPeer, point

from .conftest import Open, watcher

TOPIC = "admin:connections"
Geo = Callable[..., GeoPeer]


@pytest.fixture
async def page(root: PhoenixPeer, runtime: Runtime) -> PhoenixPeer:
    """A superuser who has opened the page."""
    assert await root.join(TOPIC) == {"operate": True}
    return root


async def ask(peer: PhoenixPeer, event: str, payload: Any) -> Any:
    """Status and response of a command."""
    return await peer.ask("1", "2", TOPIC, event, payload)


def the_only(runtime: Runtime, dialect: str) -> ClientConnection:
    """The only client of a dialect who has not logged in."""
    found = [each for each in runtime.connections.open.values() if each.session.dialect == dialect and each.principal.user_id is None]
    assert len(found) == 1
    return found[0]


async def recorded(runtime: Runtime) -> None:
    await runtime.service(Recorder).write()


async def until(page: PhoenixPeer, condition: Callable[[Any], bool], event: str = "connections") -> Any:
    """The first list for which this holds."""
    async with asyncio.timeout(10):
        while not condition(payload := (await page.receive_event(event))[4]):
            pass
    return payload


async def log() -> list[str]:
    return [entry.change_message async for entry in LogEntry.objects.order_by("pk")]


async def test_a_connection_is_listed_with_its_box(page: PhoenixPeer, geo: Geo, runtime: Runtime) -> None:
    await apublish("ships", [point(1, 5, 5)])
    peer = geo(headers=[(b"user-agent", b"a ship/1.0")])
    await peer.subscribe("ships", bbox=[0, 1, 10, 11])
    await recorded(runtime)
    listed = await until(page, lambda found: len(found["boxes"]) == 1)
    [row] = [each for each in listed["rows"] if each["dialect"] == "geo"]
    assert (row["format"], row["user_agent"], row["subscription_count"]) == ("Json", "a ship/1.0", 1)
    assert row["subscriptions"][0]["filter"]["bbox"] == [0, 1, 10, 11]
    assert listed["boxes"][0] == {"connection": row["id"], "subscription": "s", "feed": "layer:ships", "user": "", "box": [0, 1, 10, 11]}


@pytest.mark.parametrize(
    ("wanted", "count"), [({"find": "ships"}, 1), ({"find": "nowhere"}, 0), ({"dialect": "geo"}, 1), ({"node": "none"}, 0)]
)
async def test_the_list_is_searched_and_filtered(page: PhoenixPeer, geo: Geo, runtime: Runtime, wanted: Any, count: int) -> None:
    await apublish("ships", [point(1, 5, 5)])
    await geo().subscribe("ships")
    await recorded(runtime)
    assert (await ask(page, "look", wanted))[0] == "ok"
    await until(page, lambda found: found["count"] == count)


@pytest.mark.parametrize("payload", [{"order": "worst"}, {"more": 1}, {"page": "x"}, {"find": 1}], ids=["order", "member", "page", "find"])
async def test_what_cannot_be_looked_for_is_refused(page: PhoenixPeer, payload: Any) -> None:
    status, response = await ask(page, "look", payload)
    assert (status, response["reason"]) == ("error", "bad_request")


async def test_a_disconnected_client_is_told_in_its_own_dialect(page: PhoenixPeer, geo: Geo, runtime: Runtime) -> None:
    peer, other = geo(), PhoenixPeer()
    await peer.ask(type="ping", id=1)
    await other.connect()
    for dialect, code in (("geo", 4410), ("phoenix", 1001)):
        connection = the_only(runtime, dialect)
        assert (await ask(page, "disconnect", {"connection": connection.id}))[0] == "ok"
        assert (await (peer if dialect == "geo" else other).closed())[0] == code
    await other.close()


async def test_a_ban_is_imposed_listed_written_down_and_lifted(page: PhoenixPeer, geo: Geo) -> None:
    alice = await User.objects.acreate(username="alice")
    banned = {"kind": "user", "value": "alice", "seconds": 60, "reason": "too loud"}
    await page.send("1", "2", TOPIC, "ban", banned)  # the list may come before the answer
    [ban] = (await until(page, lambda found: bool(found["bans"]), "bans"))["bans"]
    assert (ban["name"], ban["label"], ban["by"], ban["reason"]) == (f"user:{alice.pk}", "alice", "root", "too loud")
    await page.send("1", "2", TOPIC, "lift", {"name": ban["name"]})
    await until(page, lambda found: not found["bans"], "bans")
    assert await log() == ["Banned the user alice for 60 seconds: too loud", "Lifted the ban of the user alice"]


@pytest.mark.parametrize(
    ("address", "banned"),
    [("2001:db8:1:2::5", "2001:db8:1:2::/64"), ("2001:db8:1:2::/64", "2001:db8:1:2::/64"), (" 192.0.2.1/32 ", "192.0.2.1")],
)
async def test_an_address_is_banned_as_the_page_shows_it(page: PhoenixPeer, address: str, banned: str) -> None:
    await page.send("1", "2", TOPIC, "ban", {"kind": "address", "value": address, "seconds": 60})
    [ban] = (await until(page, lambda found: bool(found["bans"]), "bans"))["bans"]
    assert ban["label"] == banned


async def test_a_picture_of_what_databases_cannot_store_is_refused(page: PhoenixPeer) -> None:
    status, response = await ask(page, "picture", {"connection": "a\0b", "subscription": "s"})
    assert (status, response) == ("error", {"reason": "bad_request", "detail": "this cannot be an id"})


NO_NETWORKS = "single addresses are banned, and IPv6 networks of 64 bits (/64), but no other networks"


@pytest.mark.parametrize(
    ("ban", "detail"),
    [
        ({"kind": "user", "value": "root"}, "you cannot ban yourself"),
        ({"kind": "address", "value": "127.0.0.1"}, "you cannot ban the address that you come from yourself"),
        ({"kind": "address", "value": "::ffff:127.0.0.1"}, "you cannot ban the address that you come from yourself"),
        ({"kind": "address", "value": "somewhere"}, "'somewhere' is no network address"),
        ({"kind": "address", "value": "0.0.0.0/0"}, NO_NETWORKS),
        ({"kind": "address", "value": "192.0.2.0/24"}, NO_NETWORKS),
        ({"kind": "address", "value": "::/0"}, NO_NETWORKS),
        ({"kind": "user", "value": "nobody"}, "there is no user 'nobody'"),
        ({"kind": "user", "value": "nob\0dy"}, "a text holds the character NUL, which databases cannot store"),
        ({"kind": "address", "value": "192.0.2.1", "seconds": 0}, "a ban takes 1 to 31,622,400 seconds"),
    ],
)
async def test_nobody_bans_themselves_or_nothing(page: PhoenixPeer, ban: Any, detail: str) -> None:
    status, response = await ask(page, "ban", {"seconds": 60, **ban})
    assert (status, response) == ("error", {"reason": "bad_request", "detail": detail})
    assert await log() == []


async def test_a_clients_picture_is_what_its_filter_lets_through(page: PhoenixPeer, geo: Geo, runtime: Runtime) -> None:
    await apublish("ships", [point(number, number, 5, speed=number) for number in range(150)])
    peer = geo()
    await peer.subscribe("ships", bbox=[0, 0, 119.5, 10])
    connection = the_only(runtime, "geo")
    wanted = {"connection": connection.id, "subscription": "s"}
    status, picture = await ask(page, "picture", wanted)
    assert (status, picture["total"], picture["next"], len(picture["features"])) == ("ok", 120, 100, 100)
    assert picture["filter"] == {"bbox": [0.0, 0.0, 119.5, 10.0]}
    for each in picture["features"]:
        number = int(each["id"])
        assert each == {"id": str(number), "feature": point(number, number, 5, speed=number), "delayed": False}
    _, rest = await ask(page, "picture", {**wanted, "start": 100})
    assert (rest["start"], rest["next"], len(rest["features"])) == (100, None, 20)
    assert await log() == [f"Looked at what {connection.id} holds of s"] * 2


async def test_what_the_throttle_holds_is_marked(page: PhoenixPeer, geo: Geo, runtime: Runtime) -> None:
    await apublish("ships", [point(1, 1, 5)])
    peer = geo()
    await peer.subscribe("ships", max_rate=0.01)
    for step in range(2):
        await apublish("ships", [point(1, 1, 6 + step)])
    await peer.until("updated", 1)
    connection = the_only(runtime, "geo")
    async with asyncio.timeout(5):
        delayed = False
        while not delayed:
            _, picture = await ask(page, "picture", {"connection": connection.id, "subscription": "s"})
            delayed = picture["features"][0]["delayed"]


async def test_a_topic_of_a_layer_has_a_picture_too(page: PhoenixPeer, runtime: Runtime) -> None:
    await apublish("ships", [point(1, 1, 5)])
    other = await PhoenixPeer().connect()
    await other.join("layer:ships")
    connection = the_only(runtime, "phoenix")
    _, picture = await ask(page, "picture", {"connection": connection.id, "subscription": "layer:ships"})
    assert (picture["layer"], [each["id"] for each in picture["features"]]) == ("ships", ["1"])
    await other.close()


async def test_a_subscription_that_is_gone_has_no_picture(page: PhoenixPeer, geo: Geo, runtime: Runtime) -> None:
    await geo().ask(type="ping", id=1)
    connection = the_only(runtime, "geo")
    status, response = await ask(page, "picture", {"connection": connection.id, "subscription": "s"})
    assert (status, response["reason"]) == ("error", "unknown_subscription")


async def test_who_may_see_connections_may_look_but_not_act(open_peer: Open) -> None:
    peer = await watcher(open_peer, "view_connection")
    assert await peer.join(TOPIC) == {"operate": False}
    for command in ("ban", "lift", "picture", "disconnect"):
        status, response = await ask(peer, command, {"connection": "x"})
        assert (status, response["reason"]) == ("error", "unauthorized")


async def test_nobody_else_may_look(open_peer: Open) -> None:
    peer = await watcher(open_peer)
    status, response = await peer.ask("1", "1", TOPIC, "phx_join", {})
    assert (status, response["reason"]) == ("error", "unauthorized")
