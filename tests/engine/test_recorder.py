"""What the database is told about who is connected, and when."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError
from websockets.sync.client import connect

from streaming import apublish
from streaming.engine import recorder
from streaming.engine.lifespan import stop_runtime
from streaming.engine.recorder import SEEN_SECONDS, Recorder
from streaming.engine.runtime import Runtime
from streaming.features.layer_creation import aensure_layer
from streaming.features.layers import catalogue
from streaming.models import Connection, Layer, Node, Subscription
from streaming.server.embedded_redis import RedisService
from tests.geo_peer import GeoPeer, point
from tests.server_process import ServerProcess

Connect = Callable[..., GeoPeer]


@database_sync_to_async
def rows(model: Any, *fields: str) -> list[Any]:
    return list(model.objects.order_by("pk").values_list(*fields, flat=len(fields) == 1))


async def test_connections_and_subscriptions_are_written(geo: Connect, runtime: Runtime) -> None:
    await aensure_layer("l")
    await geo().subscribe(id="mine", bbox=[0, 0, 1, 1])
    await runtime.service(Recorder).write()
    assert await rows(Node, "pk") == [runtime.hub.node]
    assert await rows(Connection, "dialect", "user") == [("geo", "")]
    assert await rows(Subscription, "subscription_id", "feed", "filter") == [("mine", "layer:l", {"bbox": [0.0, 0.0, 1.0, 1.0]})]


async def test_what_ends_is_removed(geo: Connect, runtime: Runtime) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe(id="one")
    await peer.subscribe(id="two")
    await runtime.service(Recorder).write()
    await peer.ask(type="unsubscribe", subscription_id="one")
    await runtime.service(Recorder).write()
    assert await rows(Subscription, "subscription_id") == ["two"]
    await peer.close()
    await runtime.service(Recorder).write()
    assert await rows(Connection, "pk") == []
    assert await rows(Subscription, "pk") == []


async def test_a_moved_view_is_written_anew(geo: Connect, runtime: Runtime) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe(bbox=[0, 0, 1, 1])
    await runtime.service(Recorder).write()
    await peer.ask(type="update_subscription", subscription_id="s", bbox=[2, 2, 3, 3])
    await runtime.service(Recorder).write()
    assert await rows(Subscription, "filter") == [{"bbox": [2.0, 2.0, 3.0, 3.0]}]


async def test_counters_follow(geo: Connect, runtime: Runtime) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe()
    await runtime.service(Recorder).write()
    before = (await rows(Connection, "sent"))[0]
    await apublish("l", point("a", 1, 1))
    await peer.next()
    await runtime.service(Recorder).write()
    assert (await rows(Connection, "sent"))[0] == before + 1


async def test_counters_of_many_connections_are_written_in_turn(geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.engine.recorder.UPDATES", 1)
    peers = [await geo().connect() for _ in range(3)]
    await runtime.service(Recorder).write()
    for peer in peers:
        await peer.ask(type="ping", id=1)
    written = []
    for _ in range(3):
        await runtime.service(Recorder).write()
        written.append(sum(await rows(Connection, "received")))
    assert written == [1, 2, 3]


async def test_a_crowd_is_written_a_few_at_a_time(geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "ADDED", 2)
    service, made = runtime.service(Recorder), list[int]()
    make = service._batch

    def counting(*args: Any, **more: Any) -> Any:
        batch = make(*args, **more)
        made.append(len(batch.connections))
        return batch

    monkeypatch.setattr(service, "_batch", counting)
    await aensure_layer("l")
    async with service._writing:  # nothing is written until all are there
        for number in range(5):
            await geo().subscribe(id=str(number))
        made.clear()
    await service.write()
    assert max(made) == 2
    assert await rows(Subscription, "subscription_id") == ["0", "1", "2", "3", "4"]


async def test_what_could_not_be_removed_is_removed_later(geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def locked(*_: Any) -> None:
        raise OperationalError("database is locked")

    await aensure_layer("l")
    leaving, staying = geo(), geo()
    await leaving.subscribe(id="one")
    await staying.subscribe(id="two")
    await staying.subscribe(id="three")
    await runtime.service(Recorder).write()
    await leaving.close()
    await staying.ask(type="unsubscribe", subscription_id="two")
    with monkeypatch.context() as broken, pytest.raises(OperationalError):
        broken.setattr("streaming.engine.recorder._write", locked)
        await runtime.service(Recorder).write()
    await runtime.service(Recorder).write()
    assert await rows(Subscription, "subscription_id") == ["three"]
    assert len(await rows(Connection, "pk")) == 1


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The batches that are written."""
    batches: list[Any] = []
    write = recorder._write

    async def noting(node: Any, batch: Any, dead: Any, writers: Any) -> Any:
        batches.append(batch)
        return await write(node, batch, dead, writers)

    monkeypatch.setattr(recorder, "_write", noting)
    return batches


async def test_nothing_is_written_while_nothing_changes(geo: Connect, runtime: Runtime, written: list[Any]) -> None:
    await aensure_layer("l")
    await geo().subscribe()
    for _ in range(4):
        await runtime.service(Recorder).keep_up()
    first, counted = written
    assert len(first.connections) == len(counted.counted_connections) == 1
    seen = await rows(Node, "seen")
    await runtime.service(Recorder).keep_up()
    assert await rows(Node, "seen") == seen


async def test_what_changes_is_written_the_next_time(geo: Connect, runtime: Runtime, written: list[Any]) -> None:
    peer, other = geo(), geo()
    await peer.connect()
    await other.connect()
    for _ in range(3):
        await runtime.service(Recorder).keep_up()
    written.clear()
    await peer.ask(type="ping", id=1)
    await runtime.service(Recorder).keep_up()
    assert [len(batch.counted_connections) for batch in written] == [1]
    assert sorted(await rows(Connection, "received")) == [0, 1]
    await other.close()
    await runtime.service(Recorder).keep_up()
    assert await rows(Connection, "received") == [1]


async def test_a_process_of_which_nothing_changes_says_now_and_then_that_it_is_there(
    runtime: Runtime, written: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=time.monotonic())
    monkeypatch.setattr(recorder, "time", SimpleNamespace(monotonic=lambda: clock.now))
    await runtime.service(Recorder).keep_up()
    seen = await rows(Node, "seen")
    await runtime.service(Recorder).keep_up()
    assert await rows(Node, "seen") == seen
    clock.now += SEEN_SECONDS + 1
    await runtime.service(Recorder).keep_up()
    assert await rows(Node, "seen") > seen
    assert len(written) == 1


@pytest.mark.parametrize("loss", ["this process", "another"])
async def test_a_process_of_which_nothing_changes_sees_after_its_row_and_dead_ones(
    geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    clock = SimpleNamespace(now=time.monotonic())
    monkeypatch.setattr(recorder, "time", SimpleNamespace(monotonic=lambda: clock.now))
    await geo().connect()
    for _ in range(3):
        await runtime.service(Recorder).keep_up()
    if loss == "another":
        now = datetime.now(UTC)
        await Node.objects.acreate(pk="dead", host="h", pid=1, started=now, seen=now)
    else:
        await Node.objects.all().adelete()
    for _ in range(2):
        clock.now += SEEN_SECONDS + 1
        await runtime.service(Recorder).keep_up()
    assert await rows(Node, "pk") == [runtime.hub.node]
    assert await rows(Connection, "dialect") == ["geo"]


async def test_a_lag_is_written_though_nothing_was_sent(geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    await aensure_layer("l")
    await geo().subscribe()
    for _ in range(3):
        await runtime.service(Recorder).keep_up()
    for lag in (7, 0):
        with monkeypatch.context() as late:
            late.setattr(runtime.hub, "lag", lambda feed, lag=lag: lag)
            await runtime.service(Recorder).keep_up()
        assert await rows(Subscription, "lag") == [lag]


@pytest.mark.parametrize("known", [False, True], ids=["new connection", "known connection"])
@pytest.mark.parametrize("failing", ["_other_nodes", "_write"])
async def test_what_could_not_be_written_is_written_later(
    geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, failing: str, known: bool
) -> None:
    async def locked(*_: Any) -> None:
        raise OperationalError("database is locked")

    peer = geo()
    await peer.connect()
    if known:
        for _ in range(3):
            await runtime.service(Recorder).keep_up()
    await peer.ask(type="ping", id=1)
    with monkeypatch.context() as broken, pytest.raises(OperationalError):
        broken.setattr(recorder, failing, locked)
        await runtime.service(Recorder).keep_up()
    await runtime.service(Recorder).keep_up()
    assert await rows(Connection, "received") == [1]


async def test_long_conditions_are_not_written(geo: Connect, runtime: Runtime) -> None:
    ring = [[math.cos(angle / 500), math.sin(angle / 500)] for angle in range(3000)]
    await aensure_layer("l")
    await geo().subscribe(geometry={"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, bbox=[0, 0, 1, 1])
    await geo().ask(type="subscribe_events", subscription_id="e", event_types=["error"] * 10_000)
    await runtime.service(Recorder).write()
    assert await rows(Subscription, "filter") == [{"geometry": "…", "bbox": [0.0, 0.0, 1.0, 1.0]}, {"types": "error"}]


async def test_a_layer_made_private_ends_the_subscription_though_the_notice_was_lost(geo: Connect, runtime: Runtime) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe()
    await runtime.review_access()
    await Layer.objects.filter(name="l").aupdate(public=False)  # sends no signal
    await runtime.review_access()
    assert (await peer.next())["code"] == "forbidden"


async def test_the_first_look_at_layers_with_clients_is_taken_for_a_change(
    geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may have changed between the client's subscription and this look, with a notice that was lost."""
    changes: list[str] = []
    monkeypatch.setattr(runtime, "access_changed", lambda: changes.append("changed"))
    await geo().connect()
    await runtime.review_access()
    await runtime.review_access()
    assert changes == ["changed"]


async def test_layers_are_not_watched_while_nobody_is_connected(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    monkeypatch.setattr(catalogue, "_read", lambda: (reads.append("read"), {})[1])
    catalogue.clear()
    await runtime.review_access()
    assert not reads


async def test_the_rows_of_a_dead_node_are_swept(runtime: Runtime) -> None:
    now = datetime.now(UTC)
    dead = await Node.objects.acreate(pk="dead", host="h", pid=1, started=now, seen=now)
    await Connection.objects.acreate(pk="dead.1", node=dead, dialect="geo", address="", since=now)
    await runtime.service(Recorder).write()
    assert await rows(Node, "pk") == [runtime.hub.node]
    assert await rows(Connection, "pk") == []


async def test_a_process_that_ends_leaves_no_rows(geo: Connect, runtime: Runtime) -> None:
    await geo().connect()
    await runtime.service(Recorder).write()
    await stop_runtime()
    assert await rows(Node, "pk") == []


def test_another_process_sweeps_one_that_was_killed(own_redis: RedisService, make_server: Callable[..., ServerProcess]) -> None:
    first, second = (make_server(own_redis.url, GEOSTREAM_NODE_TTL_SECONDS="2") for _ in range(2))
    assert first.data_dir == second.data_dir
    with closing(sqlite3.connect(first.data_dir / "geostream.sqlite3")) as database, connect(first.ws_url):
        _wait(lambda: database.execute("SELECT count(*) FROM streaming_connection").fetchone() == (1,), 15)
        first.kill()
        _wait(lambda: database.execute("SELECT count(*) FROM streaming_connection").fetchone() == (0,), 15)
        assert database.execute("SELECT count(*) FROM streaming_node").fetchone() == (1,)


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


async def test_a_session_that_cannot_be_described_costs_nobody_else_a_row(
    geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await aensure_layer("l")
    bad, good = geo(), geo()
    await bad.subscribe(id="bad")
    await good.subscribe(id="good")
    sessions = [connection.session for connection in runtime.connections.open.values()]
    (session,) = (session for session in sessions if session.describe()[0]["id"] == "bad")
    monkeypatch.setattr(session, "describe", lambda: [{"id": "bad"}], raising=False)
    for _ in range(2):
        await runtime.service(Recorder).write()
    assert await rows(Subscription, "subscription_id") == ["good"]
    assert len(await rows(Connection, "pk")) == 2
    assert caplog.text.count("the subscriptions of geo clients cannot be recorded") == 1


async def test_a_dialect_need_not_count_what_waits(geo: Connect, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = geo()
    await peer.ask(type="ping")
    (connection,) = runtime.connections.open.values()
    monkeypatch.setattr(connection.session, "describe", lambda: [{"id": "echo", "kind": "channel", "feed": "echo"}], raising=False)
    await runtime.service(Recorder).write()
    assert await rows(Subscription, "subscription_id", "feed", "waiting", "dropped") == [("echo", "echo", 0, 0)]
