"""Workers and clients in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async

from processes.jobs.changes import JobChange
from processes.jobs.queue import NewJob
from processes.jobs.service import Jobs
from processes.models import Job
from processes.workers.tokens import create_token
from streaming.engine.runtime import Runtime

from .peer import WorkerPeer

Make = Callable[..., Any]


class Site:
    """One server process: makes workers and jobs, and looks at what became of them."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.jobs = runtime.service(Jobs)
        self.peers: list[WorkerPeer] = []
        self._tokens: dict[str, str] = {}

    async def token(self, name: str = "tests", processes: tuple[str, ...] = ("*",), **fields: Any) -> str:
        if name not in self._tokens:
            _, self._tokens[name] = await database_sync_to_async(create_token)(name, processes, **fields)
        return self._tokens[name]

    async def worker(self, name: str = "w", *offers: str, token: str = "tests", **hello: Any) -> WorkerPeer:
        """A worker that has said hello, and offers processes."""
        peer = WorkerPeer(await self.token(token), name, **hello)
        self.peers.append(peer)
        await peer.hello()
        for each in offers:
            await peer.offer(each)
        return peer

    async def silent(self, **options: Any) -> WorkerPeer:
        """A worker that has not said hello."""
        peer = WorkerPeer(await self.token(), **options)
        self.peers.append(peer)
        return await peer.connect()

    async def submit(self, identifier: str = "greet", **fields: Any) -> str:
        from processes.models import Process

        process = await Process.objects.aget(identifier=identifier, current=True)
        change: JobChange = await self.jobs.submit(NewJob(process.pk, {"name": [{"value": "you"}]}, **fields))
        return change.job

    async def row(self, job: str) -> Job:
        return await Job.objects.aget(pk=job)

    async def until(self, job: str, *statuses: str, seconds: float = 10.0) -> Job:
        """The job, once it has one of these states."""
        deadline = time.monotonic() + seconds
        while (row := await self.row(job)).status not in statuses:
            assert time.monotonic() < deadline, f"the job is {row.status}: {row.message}"
            await asyncio.sleep(0.02)
        return row


@pytest.fixture
async def site(runtime: Runtime) -> AsyncIterator[Site]:
    site = Site(runtime)
    yield site
    for peer in site.peers:
        await peer.close()


__all__ = ["Site"]
