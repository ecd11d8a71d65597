"""Continuous jobs on the test's event loop, and what they have made of the layers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from channels.db import database_sync_to_async

from processes.worker import Job, JobCancelled
from streaming.core.feed import Feed
from streaming.core.redis import sync_redis
from streaming.features.events import event_feed

JOB = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"


class Running:
    """A job that runs in a task. `kill` is the end of its worker, `dismiss` that of the job."""

    def __init__(self, function: Callable[..., Any], job: Job, inputs: dict[str, Any]) -> None:
        self.job = job
        self.task = asyncio.create_task(function(**inputs, job=job))

    async def kill(self) -> None:
        while not self.task.done():  # again and again: a cancellation that meets a reply of Redis can get lost in its client
            self.task.cancel()
            await asyncio.wait([self.task], timeout=0.2)
        if not self.task.cancelled():
            self.task.result()

    async def dismiss(self) -> None:
        self.job.cancel("dismissed")
        with suppress(JobCancelled):
            await self.task


@asynccontextmanager
async def running(function: Callable[..., Any], id: str = JOB, **inputs: Any) -> AsyncIterator[Running]:
    """A job, which is killed at the end at the latest."""
    made = Running(function, Job(id, process=function.__name__), inputs)
    try:
        yield made
    finally:
        if not made.task.done():
            await made.kill()


async def until(condition: Callable[[], bool], running: Running | None = None, seconds: float = 10.0) -> None:
    """Wait for a condition, for as long as the job runs."""
    async with asyncio.timeout(seconds):
        while not await database_sync_to_async(condition)():
            if running is not None and running.task.done():
                running.task.result()
                raise AssertionError("the job has ended")
            await asyncio.sleep(0.02)


def held(layer: str) -> dict[Any, Any]:
    """The features of a layer by id."""
    return {json.loads(key): json.loads(stored[13:]) for key, stored in Feed(f"layer:{layer}").read_sync().stored.items()}


def events() -> list[dict[str, Any]]:
    """The events so far, without their type and time."""
    lines: Any = sync_redis().xrange(event_feed().log_key)
    return [json.loads(fields[b"n"][13:]) for _, fields in lines]


def payloads() -> list[dict[str, Any]]:
    return [each["payload"] for each in events()]
