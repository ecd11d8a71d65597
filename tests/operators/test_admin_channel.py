"""The topic `admin`: who may look, who may act, what they are told, and what they can do."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from streaming.engine.runtime import Runtime
from streaming.operators.service import Operators
from streaming.topics.service import Topics
from streaming.topics.tokens import mint
from tests.dialects.phoenix.backend import Backend
from tests.dialects.phoenix.peer import PhoenixPeer

from .conftest import Open, watcher


@pytest.fixture
async def backend(runtime: Runtime) -> AsyncIterator[Backend]:
    """Hears what is published."""
    backend = Backend()
    await backend.start()
    yield backend
    await backend.stop()


async def join_as(peer: PhoenixPeer, topic: str, name: str) -> Any:
    """Join an open topic, and wait until the member is shown."""
    response = await peer.join(topic, token=mint(name, topic))
    await peer.receive_event("presence_state")
    return response


async def told_until(peer: PhoenixPeer, event: str, **expected: Any) -> dict[str, Any]:
    """The payload of the next event whose payload has these values."""
    while True:
        payload: dict[str, Any] = (await peer.receive_event(event))[4]
        if all(payload.get(name) == value for name, value in expected.items()):
            return payload


async def log_entries() -> list[str]:
    return [entry.change_message async for entry in LogEntry.objects.order_by("pk")]


# -- who may look ----------------------------------------------------------


async def test_staff_may_join(open_peer: Open) -> None:
    staff = await watcher(open_peer)
    response = await staff.join("admin")
    assert response == {"id": f"{staff.name}:admin:1", "node": response["node"], "operate": False}


async def test_others_may_not(open_peer: Open) -> None:
    await User.objects.acreate_user("alice", password="secret")
    for peer in (await open_peer("alice"), await open_peer()):
        assert await peer.ask("1", "1", "admin", "phx_join", {}) == ("error", {"reason": "unauthorized"})


@pytest.mark.parametrize("channel", ["*", "adm*", "admin*", "system"])
async def test_a_token_for_many_topics_does_not_open_it(open_peer: Open, channel: str) -> None:
    peer = await open_peer()
    assert await peer.ask("1", "1", "admin", "phx_join", {"token": mint("eve", channel)}) == ("error", {"reason": "unauthorized"})


async def test_a_token_for_exactly_this_topic_may_look_but_not_act(open_peer: Open) -> None:
    peer = await open_peer()
    assert (await peer.join("admin", token=mint("eve", "admin")))["operate"] is False
    status, response = await peer.ask("1", "2", "admin", "broadcast", {"topic": "room:1", "event": "e"})
    assert (status, response["reason"]) == ("error", "unauthorized")


async def test_who_is_not_staff_any_more_leaves(open_peer: Open) -> None:
    staff = await watcher(open_peer)
    await staff.join("admin")
    user = await User.objects.aget(username="watcher")
    user.is_staff = False
    staff.connection.renew_user(user)
    assert (await staff.receive_event("phx_error"))[4] == {"reason": "unauthorized"}


# -- what they are told ----------------------------------------------------


async def test_every_topic_is_listed_at_the_join(root: PhoenixPeer, open_peer: Open) -> None:
    alice = await open_peer()
    await join_as(alice, "room:a:b", "alice")
    await root.join("admin")
    assert await told_until(root, "channel.list", channel="phoenix") == {"channel": "phoenix", "agents": [], "users": [], "count": 0}
    assert await told_until(root, "channel.list", channel="system") == {"channel": "system", "agents": [], "users": [], "count": 0}
    expected = {"channel": "room:a:b", "agents": [f"{alice.name}:room:a:b:1"], "users": ["alice"], "count": 1}
    assert await told_until(root, "channel.list", channel="room:a:b") == expected


async def test_everything_is_listed_again_when_asked(root: PhoenixPeer) -> None:
    await root.join("admin")
    await root.receive_event("node.stats")
    assert await root.ask("1", "2", "admin", "channel.list", {}) == ("ok", {"channels": 3})


async def test_the_first_join_of_a_topic_adds_it(root: PhoenixPeer, open_peer: Open) -> None:
    await root.join("admin")
    await told_until(root, "channel.join", channel="admin")
    alice = await open_peer()
    await join_as(alice, "room:1", "alice")
    assert await told_until(root, "channel.add", channel="room:1") == {
        "channel": "room:1",
        "channels": ["admin", "phoenix", "room:1", "system"],
    }
    agent = f"{alice.name}:room:1:1"
    expected = {"agent": agent, "user": "alice", "channel": "room:1", "count": 1, "agents": [agent]}
    assert await told_until(root, "channel.join") == expected


async def test_the_second_join_of_a_topic_does_not_add_it(root: PhoenixPeer, open_peer: Open) -> None:
    await join_as(await open_peer(), "room:1", "alice")
    await root.join("admin")
    await told_until(root, "channel.join", channel="admin")
    await join_as(await open_peer(), "room:1", "bob")
    events = []
    while (frame := await root.receive())[3] != "channel.join" or frame[4]["channel"] != "room:1":
        events.append(frame[3])
    assert frame[4]["count"] == 2
    assert "channel.add" not in events


async def test_two_who_come_to_a_new_topic_at_once_add_it_once(runtime: Runtime, root: PhoenixPeer) -> None:
    await root.join("admin")
    await told_until(root, "channel.join", channel="admin")
    joined = runtime.service(Topics).presence.on_joined
    assert joined is not None
    for agent in ("a:new:1", "b:new:1"):  # as presence tells of members that it wrote in one step
        joined("new", agent, "somebody", 2, ["a:new:1", "b:new:1"])
    events = [(await root.receive_event(event))[4]["channel"] for event in ("channel.add", "channel.join", "channel.join")]
    assert events == ["new", "new", "new"]


async def test_the_last_leave_of_a_topic_removes_it(root: PhoenixPeer, open_peer: Open) -> None:
    alice = await open_peer()
    await join_as(alice, "room:1", "alice")
    await root.join("admin")
    await alice.send("1", "2", "room:1", "phx_leave", {})
    left = await told_until(root, "channel.leave", channel="room:1")
    assert (left["user"], left["count"], left["agents"]) == ("alice", 0, [])
    removed = await told_until(root, "channel.remove", channel="room:1")
    assert "room:1" not in removed["channels"]


async def test_backends_hear_of_joins_on_redis(backend: Backend, open_peer: Open) -> None:
    alice = await open_peer()
    await join_as(alice, "room:1", "alice")
    assert json.loads((await backend.hears("to:admin:channel.add"))[0])["channel"] == "room:1"
    assert json.loads((await backend.hears("to:admin:channel.join"))[0])["agent"] == f"{alice.name}:room:1:1"


async def test_a_process_reports_as_soon_as_an_operator_comes(runtime: Runtime, root: PhoenixPeer, open_peer: Open) -> None:
    await join_as(await open_peer(), "room:1", "alice")
    await root.join("admin")
    stats = (await root.receive_event("node.stats"))[4]
    assert stats["node"] == runtime.hub.node
    assert stats["sockets"] == {"phoenix": 2}
    assert (stats["topics"], stats["members"], stats["redis"], stats["slow"]) == (2, 2, True, 0)
    room = next(topic for topic in stats["busiest"] if topic["topic"] == "room:1")
    assert (room["members"], room["dropped"]) == (1, 0)


async def test_a_report_names_the_newest_connections_first(root: PhoenixPeer, open_peer: Open) -> None:
    alice = await open_peer()
    await join_as(alice, "room:1", "alice")
    await root.join("admin")
    newest = (await root.receive_event("node.stats"))[4]["newest"]
    assert [socket["name"] for socket in newest] == [alice.name, root.name]
    assert [socket["user"] for socket in newest] == ["", "root"]
    assert newest[0]["topics"] == ["room:1"]
    assert newest[0]["id"] == alice.connection.id


async def test_operators_are_told_that_redis_is_away(runtime: Runtime, root: PhoenixPeer) -> None:
    await root.join("admin")
    await root.receive_event("node.stats")
    runtime.service(Topics).bus.connected = False
    runtime.service(Operators).monitor.report()
    assert (await root.receive_event("node.stats"))[4]["redis"] is False


async def test_messages_are_counted_also_of_connections_that_are_gone(runtime: Runtime, open_peer: Open) -> None:
    alice = await open_peer()
    await alice.join("room:1", token=mint("alice", "room:1"))
    await alice.close()
    assert runtime.connections.past_received.total() >= 1
    assert runtime.connections.past_sent.total() >= 1


# -- what they can do ------------------------------------------------------


async def test_a_kick_ends_one_member_and_is_logged(root: PhoenixPeer, open_peer: Open) -> None:
    alice = await open_peer()
    await join_as(alice, "room:1", "alice")
    await root.join("admin")
    agent = f"{alice.name}:room:1:1"
    assert await root.ask("1", "2", "admin", "kick", {"agent": agent}) == ("ok", {})
    assert await alice.receive_event("phx_close") == ["1", "1", "room:1", "phx_close", {"reason": "kicked"}]
    assert await alice.ask(None, "3", "phoenix", "heartbeat", {}) == ("ok", {})
    entry = await LogEntry.objects.select_related("user").aget()
    assert (entry.user.username, entry.change_message) == ("root", f"Kicked {agent}")


async def test_a_disconnect_closes_the_socket_with_1001(root: PhoenixPeer, open_peer: Open) -> None:
    alice = await open_peer()
    await root.join("admin")
    assert await root.ask("1", "2", "admin", "disconnect", {"connection": alice.connection.id}) == ("ok", {})
    assert await alice.closed() == (1001, "disconnected by an operator")
    assert await log_entries() == [f"Disconnected {alice.connection.id}"]


async def test_a_broadcast_reaches_everybody_and_its_payload_no_log(
    root: PhoenixPeer, open_peer: Open, caplog: pytest.LogCaptureFixture
) -> None:
    alice = await open_peer()
    await join_as(alice, "room:1", "alice")
    await root.join("admin")
    with caplog.at_level(logging.INFO):
        status, _ = await root.ask("1", "2", "admin", "broadcast", {"topic": "room:1", "event": "a:b", "payload": {"pin": "4711"}})
    assert status == "ok"
    assert await alice.receive_event("a:b") == [None, None, "room:1", "a:b", {"pin": "4711"}]
    assert await log_entries() == ["Broadcast 'a:b' on room:1"]
    assert "Broadcast 'a:b' on room:1" in caplog.text
    assert "4711" not in caplog.text


@pytest.mark.parametrize("command", ["kick", "disconnect", "broadcast"])
async def test_staff_without_the_permission_may_not_act(open_peer: Open, command: str) -> None:
    staff = await watcher(open_peer)
    await staff.join("admin")
    status, response = await staff.ask("1", "2", "admin", command, {})
    assert (status, response["reason"]) == ("error", "unauthorized")
    assert await log_entries() == []


async def test_staff_with_the_permission_may_act(open_peer: Open) -> None:
    staff = await watcher(open_peer, "operate_topics")
    assert (await staff.join("admin"))["operate"] is True
    assert await staff.ask("1", "2", "admin", "broadcast", {"topic": "room:1", "event": "e"}) == ("ok", {})


async def test_a_permission_that_was_taken_away_is_gone_at_once(open_peer: Open) -> None:
    staff = await watcher(open_peer, "operate_topics")
    await staff.join("admin")
    user = await User.objects.aget(username="watcher")
    await user.user_permissions.aclear()
    status, _ = await staff.ask("1", "2", "admin", "broadcast", {"topic": "room:1", "event": "e"})
    assert status == "error"


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        ("kick", {}),
        ("kick", {"agent": 1}),
        ("kick", {"agent": "a\x00b"}),
        ("disconnect", {"connection": ""}),
        ("broadcast", []),
        ("broadcast", {"topic": "room:*", "event": "e"}),
        ("broadcast", {"topic": "room:1", "event": "phx_close"}),
        ("broadcast", {"topic": "room:1", "event": "presence_state"}),
        ("broadcast", {"topic": "room:1", "event": "e", "extra": 1}),
        ("restart", {}),
    ],
)
async def test_a_command_that_cannot_be_is_refused_and_not_logged(root: PhoenixPeer, command: str, payload: Any) -> None:
    await root.join("admin")
    status, response = await root.ask("1", "2", "admin", command, payload)
    assert (status, response["reason"]) == ("error", "bad_request")
    assert await log_entries() == []


async def test_commands_are_not_published(root: PhoenixPeer, backend: Backend) -> None:
    await root.join("admin")
    await root.ask("1", "2", "admin", "kick", {"agent": "nobody"})
    assert [channel for channel, _ in await backend.everything() if channel.startswith(("from:", "envelope:"))] == []


async def test_the_page_is_for_staff(client: Any, db: None) -> None:
    assert (await sync_to_async(client.get)("/admin/live/")).status_code == 302


# -- the page of feeds -----------------------------------------------------


async def test_figures_of_feeds_come_live(open_peer: Open) -> None:
    peer = await watcher(open_peer, "operate_topics")
    await peer.join("admin:feeds", feeds=["events"])
    (feed,) = (await peer.receive_event("feeds"))[4]["feeds"]
    assert (feed["name"], feed["subscribers"]) == ("events", 0)


async def test_figures_of_feeds_are_for_operators(open_peer: Open) -> None:
    peer = await watcher(open_peer)
    assert await peer.ask("1", "1", "admin:feeds", "phx_join", {"feeds": ["events"]}) == ("error", {"reason": "unauthorized"})


async def test_a_page_of_feeds_names_only_so_many(root: PhoenixPeer) -> None:
    assert (await root.ask("1", "1", "admin:feeds", "phx_join", {"feeds": ["events"] * 101}))[0] == "error"
