"""A program beside the server: makes a worker's token, fills the queue and the table of jobs, and watches. Lines of JSON in and out."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from processes.jobs import queue  # noqa: E402
from processes.jobs.changes import JobChange  # noqa: E402
from processes.jobs.queue_sizes import Limits, QueueSizes  # noqa: E402
from processes.jobs.service import CHANGED  # noqa: E402
from processes.models import Attempt, Job, JobOutput, JobRequest, Process, Worker  # noqa: E402
from processes.workers.tokens import create_token  # noqa: E402
from streaming.engine.access import announce  # noqa: E402

LIMITS = Limits(1_000_000, 1_000_000)
queued: list[JobChange] = []
INPUTS = {"name": [{"value": "hello"}]}


def token() -> str:
    """Of a worker."""
    return create_token("benchmark")[1]


def online(count: int) -> bool:
    """Whether so many workers offer the process."""
    return Worker.objects.filter(registrations__process__identifier="nothing").exclude(node="").count() == count


def fill(count: int) -> None:
    """Put jobs into the queue; no server notices."""
    process = Process.objects.get(identifier="nothing", current=True).pk
    for start in range(0, count, 100):
        new = [queue.NewJob(process, INPUTS) for _ in range(min(100, count - start))]
        with transaction.atomic():
            queued[:] = [each.change for each in queue.submit_all(new, LIMITS, QueueSizes()) if isinstance(each, queue.Submitted)]


def drain() -> float:
    """Ring for what was put into the queue and wait until all is done; returns seconds from the doorbell to the last result."""
    began = time.perf_counter()
    announce(CHANGED, node="", changes=[queued[0].as_message()])
    while Job.objects.active().exists():
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    assert not Job.objects.filter(status="failed").exists()
    return seconds


def finished(count: int) -> None:
    """Fill the tables with jobs that are done."""
    process = Process.objects.get(identifier="nothing", current=True)
    now = timezone.now()
    for start in range(0, count, 5000):
        jobs = [_finished(process, now - timedelta(seconds=start + number)) for number in range(min(5000, count - start))]
        with transaction.atomic():
            Job.objects.bulk_create(jobs, 500)
            JobRequest.objects.bulk_create([JobRequest(job=job, inputs=INPUTS, outputs={}) for job in jobs], 500)
            JobOutput.objects.bulk_create([JobOutput(job=job, output="result", value="hello") for job in jobs], 500)
            attempts = (
                Attempt(job=job, number=1, lease=job.lease or uuid.uuid4(), claimed=now, ended=now, outcome="successful") for job in jobs
            )
            Attempt.objects.bulk_create(attempts, 500)


def _finished(process: Process, at: Any) -> Job:
    lease = {"attempt": 1, "lease": uuid.uuid4(), "lease_expires": at}
    times = {"created": at, "started": at, "updated": at, "finished": at}
    return Job(process=process, process_identifier=process.identifier, status="successful", progress=100, **lease, **times)


COMMANDS: dict[str, Callable[..., Any]] = {"token": token, "online": online, "fill": fill, "drain": drain, "finished": finished}


def main() -> None:
    """Do what is asked, until the input ends."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(COMMANDS[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
