"""What the database is told of who is on which topic: behind, and only what has changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError

from streaming.engine import recorder
from streaming.engine.lifespan import stop_runtime
from streaming.engine.recorder import Recorder
from streaming.engine.runtime import Runtime
from streaming.models import Node, Presence
from streaming.topics import presence_rows
from streaming.topics.rooms import Member
from streaming.topics.service import Topics

from .presence_scene import Client, Process


@pytest.fixture
def process(runtime: Runtime) -> Process:
    """The engine, seen as a process with members."""
    process = Process.__new__(Process)
    process.serve(runtime.hub, runtime.service(Topics).rooms, runtime.leases, runtime.service(Topics).presence)
    return process


@database_sync_to_async
def rows(*fields: str) -> list[Any]:
    return list(Presence.objects.order_by("key").values_list(*fields, flat=len(fields) == 1))


async def test_members_are_written_changed_and_removed(runtime: Runtime, process: Process) -> None:
    alice, bob = process.join("alice", status="here"), process.join("bob")
    await runtime.service(Recorder).write()
    assert await rows("id", "topic", "key", "node_id") == [
        (alice.member.id, "room:1", "alice", runtime.hub.node),
        (bob.member.id, "room:1", "bob", runtime.hub.node),
    ]
    alice.update(status="away")
    bob.leave()
    await runtime.service(Recorder).write()
    assert [(key, meta["status"]) for key, meta in await rows("key", "meta")] == [("alice", "away")]


async def test_only_what_has_changed_is_written(runtime: Runtime, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[list[str]] = []
    write = recorder._write

    async def noting(node: Any, batch: Any, dead: Any, writers: Any) -> Any:
        (presences,) = writers
        written.append([row().key for row in presences._rows])
        return await write(node, batch, dead, writers)

    monkeypatch.setattr(recorder, "_write", noting)
    alice = process.join("alice")
    await runtime.service(Recorder).write()
    process.join("bob")
    await runtime.service(Recorder).write()
    alice.update(status="away")
    await runtime.service(Recorder).write()
    await runtime.service(Recorder).write()
    assert written == [["alice"], ["bob"], ["alice"], []]


async def test_a_member_that_comes_or_goes_is_enough_to_write(runtime: Runtime, process: Process) -> None:
    for _ in range(2):
        await runtime.service(Recorder).keep_up()
    alice = process.join("alice")
    await runtime.service(Recorder).keep_up()
    assert await rows("key") == ["alice"]
    alice.leave()
    await runtime.service(Recorder).keep_up()
    assert await rows("key") == []


async def test_many_are_written_over_several_turns(runtime: Runtime, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_rows, "PRESENCES", 2)
    for name in "abc":
        process.join(name)
    await runtime.service(Recorder).write()
    assert await rows("key") == ["a", "b"]
    await runtime.service(Recorder).write()
    assert await rows("key") == ["a", "b", "c"]


async def test_what_could_not_be_written_is_written_later(runtime: Runtime, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    async def locked(*_: Any) -> None:
        raise OperationalError("database is locked")

    alice = process.join("alice")
    await runtime.service(Recorder).write()
    alice.leave()
    process.join("bob")
    with monkeypatch.context() as broken, pytest.raises(OperationalError):
        broken.setattr(recorder, "_write", locked)
        await runtime.service(Recorder).write()
    await runtime.service(Recorder).write()
    assert await rows("key") == ["bob"]


async def test_rows_that_were_swept_while_this_process_stalled_are_written_again(runtime: Runtime, process: Process) -> None:
    process.join("alice")
    await runtime.service(Recorder).write()
    await Node.objects.all().adelete()
    process.join("bob")
    await runtime.service(Recorder).write()
    await runtime.service(Recorder).write()
    assert await rows("key") == ["alice", "bob"]


async def test_rows_of_a_dead_process_go_with_it(runtime: Runtime) -> None:
    now = datetime.now(UTC)
    dead = await Node.objects.acreate(pk="dead", host="h", pid=1, started=now, seen=now)
    await Presence.objects.acreate(pk="x", node=dead, topic="t", key="k", since=now)
    await runtime.service(Recorder).write()
    assert await rows("key") == []


async def test_a_process_that_ends_leaves_nobody(runtime: Runtime, process: Process) -> None:
    process.join("alice")
    await runtime.service(Recorder).write()
    await stop_runtime()
    assert await rows("key") == []


async def test_what_databases_cannot_hold_is_shortened(runtime: Runtime, process: Process) -> None:
    client: Client = process.enter()
    member = Member("x:" + "é" * 700, client.member.topic, client.member.outbox, client.member.encoder, "1")
    process.rooms.add(member)
    process.presence.join(member, "nul\0key", {"text": "a\0b", "long": "x" * 3000})
    await runtime.service(Recorder).write()
    (row,) = await rows("id", "key", "meta")
    assert (len(row[0]), row[1], row[2]["text"], row[2]["long"]) == (600, "nulkey", "ab", "…")
