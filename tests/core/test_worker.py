"""The background task that does what waits, step by step."""

from __future__ import annotations

import asyncio

from streaming.core.worker import Worker


async def test_what_can_wait_is_done_together_and_after_what_was_woken_first() -> None:
    waiting, steps, done = list[int](), list[list[int]](), asyncio.Event()

    async def step() -> None:
        steps.append(list(waiting))
        waiting.clear()
        done.set()

    worker = Worker(step, lambda: waiting, gather_seconds=0.02)
    waiting.append(1)
    worker.wake()
    for number in (2, 3):
        await asyncio.sleep(0)
        waiting.append(number)
        worker.wake()
    assert not steps
    await done.wait()
    await worker.stop()
    assert steps == [[1, 2, 3]]
