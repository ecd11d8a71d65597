"""The topic `monitor`: who may join, and what it answers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.redis import sync_redis
from streaming.engine.recorder import Recorder
from streaming.engine.runtime import Runtime
from streaming.operators import history, monitor_channel
from streaming.operators.history import Frame, Report
from streaming.operators.measure_recorder import CLAIM_KEY
from streaming.operators.service import Operators
from streaming.topics.tokens import mint
from tests.dialects.phoenix.peer import PhoenixPeer


async def connected(name: str, staff: bool, sees: bool = False) -> PhoenixPeer:
    user = await User.objects.acreate_user(name, is_staff=staff)
    if sees:
        await user.user_permissions.aadd(await Permission.objects.aget(codename="view_connection"))
    token = AccessToken.for_user(user)
    return await PhoenixPeer(headers=[(b"authorization", f"Bearer {token}".encode())]).connect()


@pytest.fixture
async def operator(runtime: Runtime) -> AsyncIterator[PhoenixPeer]:
    peer = await connected("olga", staff=True)
    yield peer
    await peer.close()


async def test_only_staff_may_join(runtime: Runtime) -> None:
    peer = await connected("alice", staff=False)
    for params in ({}, {"token": mint("alice", "monitor")}):
        assert await peer.ask("1", "1", "monitor", "phx_join", params) == ("error", {"reason": "unauthorized"})
    await peer.close()


async def test_the_charts_are_told_at_the_beginning(operator: PhoenixPeer) -> None:
    told = await operator.join("monitor")
    connections = next(chart for chart in told["charts"] if chart["title"] == "Connections")
    assert connections["lines"][0]["split"] == "dialect"
    assert told["steps"] == {"5m": 5.0, "1h": 30.0, "24h": 600.0}


async def test_frames_are_told_as_they_are_written(operator: PhoenixPeer, runtime: Runtime) -> None:
    await operator.join("monitor")
    recorder = runtime.service(Operators).recorder
    for claim in list(sync_redis().scan_iter(CLAIM_KEY + "*")):
        sync_redis().delete(claim)
    await recorder.step([])
    told = (await operator.receive_event("frame"))[4]
    assert list(told["frame"]["nodes"]) == [runtime.hub.node]
    assert (told["problems"], told["redis"]) == ([], True)


async def test_what_was_before_is_asked_for(operator: PhoenixPeer) -> None:
    await operator.join("monitor")
    at = time.time()
    await history.append(history.RINGS[1], Frame(at, 1, {"late": 2.0}, {"n": Report(at, "h:1", 0, {"late": 2.0})}))
    _, answer = await operator.ask("1", "2", "monitor", "history", {"period": "1h", "by_process": True})
    assert answer["total"] == {"late": [2.0]}
    assert answer["nodes"] == {"n": {"name": "h:1", "lines": {"late": [2.0]}}}


async def test_another_period_is_refused(operator: PhoenixPeer) -> None:
    await operator.join("monitor")
    status, answer = await operator.ask("1", "2", "monitor", "history", {"period": "1y"})
    assert (status, answer["reason"]) == ("error", "bad_request")


async def test_who_is_connected_is_told_as_it_changes(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_channel, "SECONDS", 0.1)
    peer = await connected("olga", staff=True, sees=True)
    await peer.join("monitor")
    assert (await peer.receive_event("connected"))[4]["lists"][0] == {"heading": "Connections by user", "rows": []}
    await runtime.service(Recorder).write()
    told = (await peer.receive_event("connected"))[4]["lists"][0]
    assert told["rows"] == [{"name": "olga", "value": "1", "address": "/admin/streaming/connection/?q=olga"}]
    await peer.close()


async def test_who_may_not_see_connections_is_told_of_none(operator: PhoenixPeer) -> None:
    await operator.join("monitor")
    assert (await operator.receive_event("connected"))[4] == {"lists": []}
