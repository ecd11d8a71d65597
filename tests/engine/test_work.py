"""The threads for costly work: in order per owner, in turn among owners."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from streaming.core.errors import StreamError
from streaming.engine.runtime import Runtime
from streaming.engine.work import WorkQueue

pytestmark = pytest.mark.django_db(transaction=True)

Waits = Callable[[], None]


@pytest.fixture
async def work(settings: Any) -> AsyncIterator[WorkQueue]:
    """A queue with one thread, where three pieces of one owner may wait."""
    settings.GEOSTREAM_WORK_THREADS, settings.GEOSTREAM_WORK_WAITING = 1, 3
    queue = Runtime().service(WorkQueue)
    yield queue
    await queue.stop()


class Gate:
    """Work that lasts until it is opened."""

    def __init__(self) -> None:
        self.entered, self._open = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.entered.set()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()


def burn() -> None:
    sum(range(300_000))


async def occupied(work: WorkQueue, owner: str) -> tuple[Gate, asyncio.Task[None]]:
    """The thread works for this owner, until the gate is opened."""
    gate = Gate()
    task = asyncio.create_task(work.run(owner, gate.wait))
    await asyncio.to_thread(gate.entered.wait, 10)
    return gate, task


async def test_it_returns_what_the_function_returns_from_another_thread(work: WorkQueue) -> None:
    assert await work.run("a", threading.get_ident) != threading.get_ident()


async def test_it_raises_what_the_function_raises(work: WorkQueue) -> None:
    with pytest.raises(ZeroDivisionError):
        await work.run("a", lambda: 1 / 0)
    assert await work.run("a", lambda: 1) == 1


async def test_work_of_one_owner_is_done_in_order(work: WorkQueue) -> None:
    gate, first = await occupied(work, "a")
    done: list[int] = []
    rest = [asyncio.create_task(work.run("a", done.append, number)) for number in range(3)]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(first, *rest)
    assert done == [0, 1, 2]


async def test_an_owner_with_one_piece_waits_for_one_of_another_with_many(work: WorkQueue) -> None:
    gate, first = await occupied(work, "greedy")
    done: list[str] = []

    def piece(owner: str) -> None:
        burn()
        done.append(owner)

    tasks = [asyncio.create_task(work.run("greedy", piece, "greedy")) for _ in range(3)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(work.run("modest", piece, "modest")))
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(first, *tasks)
    assert done.index("modest") <= 1


async def test_more_work_than_may_wait_is_refused(work: WorkQueue) -> None:
    gate, first = await occupied(work, "a")
    waiting = [asyncio.create_task(work.run("a", burn)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StreamError) as refusal:
        await work.run("a", burn)
    assert refusal.value.code == "rate_limited" and work.refused == 1
    other = asyncio.create_task(work.run("b", burn))
    gate.open()
    await asyncio.gather(first, other, *waiting)


async def test_what_a_cancelled_caller_wanted_is_not_done(work: WorkQueue) -> None:
    gate, first = await occupied(work, "a")
    done: list[int] = []
    caller = asyncio.create_task(work.run("a", done.append, 1))
    await asyncio.sleep(0)
    caller.cancel()
    gate.open()
    await first
    await work.run("a", done.append, 2)
    assert done == [2]


async def test_owners_are_forgotten(work: WorkQueue) -> None:
    await asyncio.gather(*(work.run(number, burn) for number in range(100)))
    assert not work._owners


async def test_what_waits_when_the_process_stops_is_cancelled(work: WorkQueue) -> None:
    gate, first = await occupied(work, "a")
    caller = asyncio.create_task(work.run("a", burn))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(work.stop())
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.open()
    await asyncio.gather(first, stopping)
