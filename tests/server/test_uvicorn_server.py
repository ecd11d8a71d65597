"""The server ends at once when it should, and ticks meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from streaming.server import uvicorn_server as server

from .conftest import application


class Ticking(server.Server):
    """Keeps what it ticked."""

    def __init__(self) -> None:
        super().__init__(uvicorn.Config(application, port=0, lifespan="off", log_config=None))
        self.ticks: list[int] = []

    async def on_tick(self, counter: int) -> bool:
        self.ticks.append(counter)
        return await super().on_tick(counter)

    async def until_ticks(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.ticks) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
async def ticking(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ticking]:
    """A server that has ticked once and would tick again in an hour. Signals that it was sent end nothing else."""
    monkeypatch.setattr(server, "TICK_SECONDS", 3600.0)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    ticking = Ticking()
    serving = asyncio.create_task(ticking.serve())
    await ticking.until_ticks(1)
    yield ticking
    ticking.should_exit = True
    async with asyncio.timeout(5):
        await serving
    signal.signal(signal.SIGTERM, before)


async def test_a_signal_ends_the_server_at_once(ticking: Ticking) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await ticking.until_ticks(2)
    assert ticking.should_exit


async def test_another_thread_ends_the_server_at_once(ticking: Ticking) -> None:
    await asyncio.to_thread(setattr, ticking, "should_exit", True)
    await ticking.until_ticks(2)


async def test_a_signal_ends_a_server_whose_application_does_not_start() -> None:
    waiting, interrupted = asyncio.Event(), asyncio.Event()

    async def application_that_waits(scope: Any, receive: Any, send: Any) -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            interrupted.set()

    starting = server.Server(uvicorn.Config(application_that_waits, port=0, lifespan="on", log_config=None))
    others = asyncio.all_tasks()
    serving = asyncio.create_task(starting._serve())
    async with asyncio.timeout(5):
        await waiting.wait()
        starting.handle_exit(signal.SIGTERM, None)
        await serving
        (application_task,) = asyncio.all_tasks() - others
        application_task.cancel()  # as the end of the event loop does
        await interrupted.wait()
    assert not starting.started


async def test_the_date_is_made_anew_with_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TICK_SECONDS", 0.001)
    ticking = Ticking()
    serving = asyncio.create_task(ticking.serve())
    await ticking.until_ticks(1)
    ticking.server_state.default_headers = []
    await ticking.until_ticks(len(ticking.ticks) + 2)
    assert dict(ticking.server_state.default_headers)[b"date"]
    ticking.should_exit = True
    await serving
