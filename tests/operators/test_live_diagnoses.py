"""The diagnoses on the dashboard: made by one process, told by all, and only what is not well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from streaming.core.redis import sync_redis
from streaming.engine.diagnoses.redis_server import look_at_memory
from streaming.engine.diagnosis import Finding, error, ok, warning
from streaming.engine.registry import all_live_diagnoses
from streaming.engine.runtime import Runtime
from streaming.operators import live_diagnoses
from streaming.operators.health import Problem
from streaming.operators.live_diagnoses import CLAIM_KEY, FOUND_KEY, known, look
from streaming.operators.measure_recorder import CLAIM_KEY as FRAME_CLAIM
from streaming.operators.service import Operators

FULL = Problem("note", "Memory: full. Buy more.")


def look_around() -> Iterator[Finding]:
    """Everything."""
    yield ok("Disk", "fine")
    yield warning("Memory", "full.", "Buy more.")
    yield error("Queue", "nobody works.")


@pytest.fixture(autouse=True)
def one_diagnosis(monkeypatch: pytest.MonkeyPatch, redis: None) -> None:
    monkeypatch.setattr(live_diagnoses, "all_live_diagnoses", lambda: [look_around])


def test_what_is_not_well_is_a_problem_the_worst_first() -> None:
    assert live_diagnoses.diagnosed() == [Problem("bad", "Queue: nobody works."), FULL]


async def test_one_process_looks_and_all_know(runtime: Runtime) -> None:
    sync_redis().delete(CLAIM_KEY)
    await look("one")
    sync_redis().set(FOUND_KEY, b"[]")
    await look("another")
    assert await known() == []
    sync_redis().delete(CLAIM_KEY)
    await look("another")
    assert FULL in await known()


async def test_what_another_version_found_is_left_out(runtime: Runtime) -> None:
    sync_redis().set(FOUND_KEY, b'[{"colour": 7}]')
    assert await known() == []


async def test_the_frame_tells_them(runtime: Runtime) -> None:
    recorder = runtime.service(Operators).recorder
    sync_redis().set(CLAIM_KEY, "somebody")
    sync_redis().set(FOUND_KEY, b'[{"level": "note", "text": "Memory: full. Buy more."}]')
    for claim in list(sync_redis().scan_iter(FRAME_CLAIM + "*")):
        sync_redis().delete(claim)
    told: asyncio.Future[list[Problem]] = asyncio.get_running_loop().create_future()
    recorder.on_frame.append(lambda event: None if told.done() else told.set_result(event.problems))
    await recorder.step([])
    assert await told == [FULL]


def test_a_redis_that_is_nearly_full_is_looked_at_live() -> None:
    assert look_at_memory in all_live_diagnoses()
