"""A process that nobody needs sleeps: its timers are a second apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streaming.engine import metrics
from streaming.engine.lifespan import get_runtime, stop_runtime
from streaming.engine.metrics import MetricsService
from streaming.engine.runtime import Runtime
from streaming.features.layer_creation import aensure_layer
from tests.geo_peer import GeoPeer
from tests.timers import timers_set


@pytest.fixture
async def resting(redis: None, transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """An engine that takes rest as soon as it can, and writes to the database as it does in production."""
    settings.GEOSTREAM_RECORD_SECONDS = 1.0
    settings.GEOSTREAM_TOPIC_HISTORY = ""
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 0.0)
    runtime = await get_runtime()
    async with asyncio.timeout(5):
        while runtime.service(MetricsService).lag.pace < metrics.REST_LOOK_SECONDS:
            await asyncio.sleep(0.01)
    yield runtime
    await stop_runtime()


async def test_an_engine_at_rest_sets_no_timer_below_half_a_second(resting: Runtime) -> None:
    with timers_set() as timers:
        await asyncio.sleep(2.2)  # each of its timers of a second is set once more
    assert len(timers) > 5
    assert min(timer.seconds for timer in timers) > 0.5


async def test_a_quiet_subscriber_needs_no_timer_below_half_a_second(resting: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LOOK_SECONDS", metrics.REST_LOOK_SECONDS)  # the loop is looked at while there are clients
    await aensure_layer("l")
    peer = GeoPeer()
    assert (await peer.subscribe(max_rate=10))["success"]
    with timers_set() as timers:
        await asyncio.sleep(2.2)
    assert min(timer.seconds for timer in timers) > 0.5
    await peer.close()
