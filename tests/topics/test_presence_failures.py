"""Processes die, stall and end; Redis forgets, restarts and is away: who is there is told all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from streaming.core.leases import NODE_KEY, NODES
from streaming.core.redis import sync_redis
from streaming.topics import presence as presence_module
from streaming.topics import presence_store
from tests.core.doubles import OneProcessLayer
from tests.core.restarting import RestartingRedis

from .presence_scene import TOPIC, Client, Process, refs, settled, until, written

Start = Callable[..., Awaitable[Process]]


async def together(*clients: Client) -> None:
    """All of them see each other."""
    everybody = {client.member.id for client in clients}
    await until(lambda: all({ref for some in refs(client.picture).values() for ref in some} == everybody for client in clients))


async def test_members_of_a_killed_process_leave(here: Process, there: Process) -> None:
    alice, bob, carol = here.join("alice"), there.join("bob"), there.join("carol", topic="room:2")
    await together(alice, bob)
    await written(there)
    left: list[Any] = []
    here.presence.on_left = lambda *what: left.append(what)
    await there.die()
    await here.leases.sweep()
    await until(lambda: set(alice.picture) == {"alice"})
    assert await here.presence.topics() == [TOPIC]
    assert sorted(left) == [
        (TOPIC, bob.member.id, "bob", 1, [alice.member.id]),
        ("room:2", carol.member.id, "carol", 0, []),
    ]
    assert sync_redis().smembers(NODES) == {here.hub.node.encode()}


async def test_the_reason_is_in_the_log(here: Process, there: Process) -> None:
    alice, bob = here.join("alice"), there.join("bob")
    await together(alice, bob)
    await there.die()
    await here.leases.sweep()
    await settled(here)
    replica = here.presence._topics[TOPIC].replica
    assert replica is not None
    assert replica.recent[-1].reason == "node_down"


async def test_a_large_room_is_swept_in_pieces(here: Process, there: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_store, "SWEEP_BATCH", 3)
    monkeypatch.setattr(presence_module, "SWEEPING", 1)
    alice = here.join("alice")
    others = [there.join(f"user {n}") for n in range(10)] + [there.join("x", topic="room:2")]
    await settled(here, there)
    await together(alice, *others[:10])
    await there.die()
    await here.leases.sweep()
    await until(lambda: set(alice.picture) == {"alice"})
    assert await here.presence.topics() == [TOPIC]


async def test_two_that_sweep_report_each_departure_once(here: Process, there: Process, start_process: Start) -> None:
    third = await start_process()
    left: list[str] = []
    for process in (here, there):
        process.presence.on_left = lambda topic, member_id, *_: left.append(member_id)
    members = [third.join(f"user {n}").member.id for n in range(20)]
    await written(third)
    await third.die()
    await asyncio.gather(here.leases.sweep(), there.leases.sweep())
    assert sorted(left) == sorted(members)


async def test_the_jobs_sweep_within_the_lease(start_process: Start) -> None:
    here, there = await start_process(ttl_seconds=0.4), await start_process(ttl_seconds=0.4)
    for seconds, job in here.leases.jobs:
        here.hub.every(seconds, job)
    alice, bob = here.join("alice"), there.join("bob")
    await together(alice, bob)
    await there.freeze()
    started = time.monotonic()
    await until(lambda: set(alice.picture) == {"alice"}, seconds=3)
    assert time.monotonic() - started < 2


async def test_who_was_swept_while_stalled_comes_back(here: Process, there: Process) -> None:
    alice, bob = here.join("alice"), there.join("bob", status="here")
    await together(alice, bob)
    await settled(here, there)
    sync_redis().delete(NODE_KEY + there.hub.node)
    await here.leases.sweep()
    await until(lambda: sync_redis().hlen(presence_store.presence_feed(TOPIC).keys[0]) == 2)
    await there.leases.renew()
    await settled(here, there)
    assert refs(alice.picture) == refs(bob.picture) == {"alice": [alice.member.id], "bob": [bob.member.id]}
    assert alice.picture["bob"][0]["status"] == "here"
    assert await there.presence._store.owned(there.hub.node) == [TOPIC]


async def test_who_writes_without_a_lease_is_swept_again(here: Process, there: Process) -> None:
    alice = here.join("alice")
    await until(lambda: alice.picture)
    sync_redis().delete(NODE_KEY + there.hub.node)
    await here.leases.sweep()
    assert not sync_redis().sismember(NODES, there.hub.node)
    bob = there.join("bob")
    await together(alice, bob)
    await there.die()
    await here.leases.sweep()
    await until(lambda: set(alice.picture) == {"alice"})


async def test_members_of_a_process_that_ends_leave_at_once(here: Process, there: Process) -> None:
    alice, bob = here.join("alice"), there.join("bob")
    there.join("carol", topic="room:2")
    await together(alice, bob)
    await there.presence.stop()
    await until(lambda: set(alice.picture) == {"alice"})
    assert await here.presence.topics() == [TOPIC]
    assert await here.presence._store.owned(there.hub.node) == []


async def test_nobody_is_tracked_by_a_process_that_has_ended(here: Process) -> None:
    await here.presence.stop()
    alice = here.join("alice")
    alice.leave()
    assert await here.presence.topics() == []


async def test_a_process_that_ends_before_anything_is_written_writes_nothing(here: Process) -> None:
    here.join("alice")
    await here.presence.stop()
    assert await here.presence.topics() == []


async def test_members_are_tracked_again_when_redis_has_forgotten_everything(here: Process, there: Process) -> None:
    alice, bob = here.join("alice", status="here"), there.join("bob")
    await together(alice, bob)
    await settled(here, there)
    sync_redis().flushall()
    await settled(here, there)
    await until(lambda: set(sync_redis().hkeys(presence_store.presence_feed(TOPIC).keys[0])) == ids(alice, bob))  # type: ignore[arg-type]
    await settled(here, there)
    await together(alice, bob)
    assert alice.picture["alice"][0]["status"] == "here"
    assert await here.presence.topics() == [TOPIC]


async def test_who_was_killed_while_redis_forgot_everything_leaves_too(here: Process, there: Process) -> None:
    alice, bob = here.join("alice"), there.join("bob")
    await together(alice, bob)
    await settled(here, there)
    await there.die()
    sync_redis().flushall()
    await settled(here)
    await until(lambda: set(alice.picture) == {"alice"})


async def test_a_topic_of_which_only_one_process_has_members_left_is_listed_for_it_alone(here: Process, there: Process) -> None:
    alice, bob = here.join("alice"), there.join("bob")
    await together(alice, bob)
    bob.leave()
    await written(there)
    assert await here.presence._store.owned(there.hub.node) == []
    assert await here.presence._store.owned(here.hub.node) == [TOPIC]


def ids(*clients: Client) -> set[bytes]:
    return {client.member.id.encode() for client in clients}


@pytest.fixture
def restarting(restarting_redis: RestartingRedis) -> RestartingRedis:
    """A Redis that may be stopped and started again."""
    return restarting_redis


async def test_who_comes_and_goes_while_redis_is_away_is_made_up_for(
    restarting: RestartingRedis, start_process: Start, caplog: pytest.LogCaptureFixture
) -> None:
    layer = OneProcessLayer()
    here = await start_process(get_layer=lambda: layer)
    alice, bob = here.join("alice"), here.join("bob")
    await together(alice, bob)
    restarting.stop()
    bob.leave()
    carol, passing = here.join("carol"), here.join("passing")
    await until(lambda: "presence waits" in caplog.text)
    passing.leave()
    assert carol.told == []
    restarting.start()
    await until(lambda: set(alice.picture) == set(carol.picture) == {"alice", "carol"}, seconds=10)
    await settled(here)
    assert await here.presence.count(TOPIC) == 2
    assert caplog.text.count("presence waits") == 1


async def test_a_process_can_end_without_redis(restarting: RestartingRedis, start_process: Start, caplog: pytest.LogCaptureFixture) -> None:
    layer = OneProcessLayer()
    here = await start_process(get_layer=lambda: layer)
    alice = here.join("alice")
    await until(lambda: alice.picture)
    restarting.stop()
    started = time.monotonic()
    await here.presence.stop()
    assert time.monotonic() - started < 5
    assert "until its lease has run out" in caplog.text
    restarting.start()
