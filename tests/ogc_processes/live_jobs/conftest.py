"""Jobs whose every step the test takes itself, and clients that follow them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken

from processes.catalogue import ProcessCatalogue
from processes.jobs import outcomes
from processes.jobs.outcomes import Lease, OutputPart
from processes.jobs.queue import NewJob, Slots, claim
from processes.jobs.service import Jobs
from processes.models import Process, Worker
from streaming.engine.runtime import Runtime
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.ogc_processes.rows import lease_of, make_process, make_worker

ConnectPhoenix = Callable[..., Awaitable[PhoenixPeer]]


class Queue:
    """The queue of one process with one worker."""

    def __init__(self, runtime: Runtime, process: Process, worker: Worker) -> None:
        self.jobs = runtime.service(Jobs)
        self.process, self.worker = process, worker

    async def submit(self, owner: User | None = None, **fields: Any) -> str:
        change = await self.jobs.submit(NewJob(self.process.pk, {}, owner=None if owner is None else owner.pk, **fields))
        return change.job

    async def begin(self) -> Lease:
        """Claim the next job, and start it."""
        (given,) = await self.jobs.change(partial(claim, [Slots(self.worker.pk, self.process.pk, 1)], 60.0))
        await self.jobs.change(partial(outcomes.start, lease_of(given), None))
        return lease_of(given)

    async def progress(self, lease: Lease, percent: int, message: str | None = None) -> None:
        await self.jobs.change(partial(outcomes.progress, lease, percent, message))

    async def succeed(self, lease: Lease) -> None:
        await self.jobs.change(partial(outcomes.succeed, lease, [OutputPart("greeting", "hello")]))


@pytest.fixture
async def queue(runtime: Runtime) -> Queue:
    process = await database_sync_to_async(make_process)()
    worker = await database_sync_to_async(make_worker)("worker", process)
    await runtime.service(ProcessCatalogue).announce()
    return Queue(runtime, process, worker)


@pytest.fixture
async def phoenix(runtime: Runtime) -> AsyncIterator[ConnectPhoenix]:
    """Opens connections of Phoenix Channels for users, or nobody."""
    peers: list[PhoenixPeer] = []

    async def connect(user: User | None = None) -> PhoenixPeer:
        peers.append(PhoenixPeer(headers=authorization(user)))
        return await peers[-1].connect()

    yield connect
    for peer in peers:
        await peer.close()


def authorization(user: User | None) -> list[tuple[bytes, bytes]]:
    return [] if user is None else [(b"authorization", f"Bearer {AccessToken.for_user(user)}".encode())]


@database_sync_to_async
def make_user(name: str, **fields: Any) -> User:
    return User.objects.create_user(name, **fields)
