"""Rows to begin with: a process, a worker that offers it, and jobs in the queue."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from processes.jobs.outcomes import Lease
from processes.jobs.queue import Claim, NewJob, Slots, claim, submit
from processes.jobs.queue_sizes import Limits
from processes.models import Job, Process, Registration, Worker, WorkerToken

LIMITS = Limits(of_process=100, of_owner=50)
DESCRIPTION: dict[str, Any] = {
    "id": "greet",
    "version": "1.0.0",
    "title": "Greet",
    "jobControlOptions": ["sync-execute", "async-execute", "dismiss"],
    "outputTransmission": ["value", "reference"],
    "inputs": {"name": {"title": "Name", "schema": {"type": "string"}}},
    "outputs": {"greeting": {"title": "Greeting", "schema": {"type": "string"}}},
}


def make_process(identifier: str = "greet", version: str = "1.0.0", **fields: Any) -> Process:
    description = {**DESCRIPTION, "id": identifier, "version": version, **fields.pop("description", {})}
    return Process.objects.create(identifier=identifier, version=version, digest="0" * 64, description=description, **fields)


def make_worker(name: str = "worker", *processes: Process, concurrency: int = 4) -> Worker:
    token, _ = WorkerToken.objects.get_or_create(name="tests", digest="1" * 64, hint="tests", processes=["*"])
    worker = Worker.objects.create(token=token, name=name, concurrency=concurrency, connected_at=timezone.now(), last_seen=timezone.now())
    for process in processes:
        Registration.objects.create(worker=worker, process=process, concurrency=concurrency)
    return worker


def submitted(process: Process, count: int = 1, **fields: Any) -> list[Job]:
    new = [NewJob(process.pk, {"name": [{"value": "you"}]}, **fields) for _ in range(count)]
    for each in new:
        submit(each, LIMITS)
    return [Job.objects.get(pk=each.id) for each in new]


def claimed(process: Process, worker: Worker, count: int = 1, seconds: float = 60.0) -> list[Claim]:
    return claim([Slots(worker.pk, process.pk, count)], seconds)


def lease_of(each: Claim) -> Lease:
    return Lease(each.job, each.attempt, each.lease)
