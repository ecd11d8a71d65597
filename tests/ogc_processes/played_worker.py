"""A worker that is played in the test's own process, through the queue and without a socket: functions do the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from processes.catalogue import ProcessCatalogue
from processes.jobs import outcomes
from processes.jobs.outcomes import Lease, LeaseError, OutputPart
from processes.jobs.queue import Claim, Slots, claim
from processes.jobs.service import Jobs
from processes.models import Process
from streaming.core.tasks import TaskSet, cancel
from streaming.engine.runtime import Runtime

from .rows import lease_of, make_worker

Inputs = Mapping[str, list[Any]]
Function = Callable[[Inputs, "Work"], Awaitable[list[OutputPart]]]


class Failure(Exception):
    """The process fails with this exception document."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.document = outcomes.problem(status, "Process failed", detail, **more)


class Work:
    """What a function may do to its job."""

    def __init__(self, jobs: Jobs, given: Claim) -> None:
        self.claim = given
        self.lease: Lease = lease_of(given)
        self._jobs = jobs

    async def progress(self, percent: int, message: str | None = None) -> None:
        await self._jobs.change(partial(outcomes.progress, self.lease, percent, message))


class PlayedWorker:
    """Does the jobs of some processes as soon as they are in the queue."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.jobs = runtime.service(Jobs)
        self.functions: dict[int, Function] = {}
        self.slots: list[Slots] = []
        self._bell = asyncio.Event()
        self._tasks = TaskSet()
        self._loop = asyncio.create_task(self._claim_for_ever())
        self.jobs.observe(lambda change: self._bell.set())

    async def offer(self, function: Function, *processes: Process, name: str = "played") -> None:
        """Do the jobs of these processes from now on."""
        worker = await self.jobs.read(partial(make_online, name, *processes))
        for process in processes:
            self.functions[process.pk] = function
            self.slots.append(Slots(worker, process.pk, 100))
        await self.runtime.service(ProcessCatalogue).announce()
        self._bell.set()

    async def stop(self) -> None:
        await cancel([self._loop])
        self._tasks.cancel()
        await self._tasks.wait(5)

    async def _claim_for_ever(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            for each in await self.jobs.change(partial(claim, self.slots, 60.0)):
                self._tasks.spawn(self._do(each))

    async def _do(self, given: Claim) -> None:
        work = Work(self.jobs, given)
        values = {name: [each.get("value", each) for each in occurrences] for name, occurrences in given.inputs.items()}
        try:
            await self.jobs.change(partial(outcomes.start, work.lease, None))
            parts = await self.functions[given.process](values, work)
            await self.jobs.change(partial(outcomes.succeed, work.lease, parts))
        except Failure as failure:
            await self.jobs.change(partial(outcomes.fail, work.lease, failure.document))
        except LeaseError:
            pass  # dismissed meanwhile


def make_online(name: str, *processes: Process) -> int:
    """The primary key of a connected worker that offers these processes."""
    import uuid

    worker = make_worker(name, *processes)
    worker.session = uuid.uuid4()
    worker.save(update_fields=["session"])
    return worker.pk


async def echo(inputs: Inputs, work: Work) -> list[OutputPart]:
    """The echo process: outputs are the inputs of the same ids."""
    await asyncio.sleep(inputs.get("pause", [0])[0])
    return [OutputPart(name, values[0]) for name, values in inputs.items() if name != "pause"]
