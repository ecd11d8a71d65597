"""What keeps the event loop is counted by what it is, and named in the log from time to time."""

from __future__ import annotations

import asyncio
import logging

import pytest

from streaming.core import loop_watch as module
from streaming.core.loop_watch import LONG_SECONDS, LoopWatch


def test_what_is_short_is_not_counted() -> None:
    watch = LoopWatch()
    watch.took(LONG_SECONDS, "geo", "ping")
    assert not watch.count


def test_what_is_long_is_counted_by_what_it_is_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            watch.took(0.5, "geo", "subscribe_features", "connection 7")
    assert watch.count["geo", "subscribe_features"] == 3 and watch.seconds["geo", "subscribe_features"] == 1.5
    (record,) = caplog.records
    assert "500 ms by geo: subscribe_features (connection 7)" in record.getMessage()


async def test_only_what_runs_counts_not_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.02, 100.0, 100.005, 200.0, 200.03])  # three pieces, with long waits between them
    monkeypatch.setattr(module, "perf_counter", lambda: next(clock))
    took: list[float] = []

    async def work() -> str:
        await asyncio.sleep(0)
        with pytest.raises(ValueError):
            await failing()
        return "done"

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError

    assert await LoopWatch().watch(work(), took.append) == "done"
    assert [round(seconds, 3) for seconds in took] == [0.02, 0.03]


async def test_a_cancellation_reaches_what_is_watched() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.set()

    async def watching() -> None:
        await LoopWatch().watch(work(), lambda seconds: None)

    task = asyncio.create_task(watching())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
