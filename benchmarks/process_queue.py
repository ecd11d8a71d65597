"""A program beside the server: makes a worker's token, fills the queue and the table of jobs, and watches. Lines of JSON in and out."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.db.models import AutoField, Model  # noqa: E402
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
NUMBERS = "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < %s)"
SQL = {
    "postgresql": ("gen_random_uuid()", "source.{} - make_interval(secs => copies.number)"),
    "sqlite": ("lower(hex(randomblob(16)))", "strftime('%%Y-%%m-%%d %%H:%%M:%%f', source.{}, '-' || copies.number || ' seconds')"),
}
"""A new UUID, and the time of a column so many seconds ago, in the words of each database."""


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
    """Fill the tables with jobs that are done: one is made, and copied by the database."""
    process = Process.objects.get(identifier="nothing", current=True)
    now = timezone.now()
    times = {"created": now, "started": now, "updated": now, "finished": now}
    with transaction.atomic():
        lease = uuid.uuid4()
        done = {"status": "successful", "progress": 100, "attempt": 1, "lease": lease, **times}
        first = Job.objects.create(process=process, process_identifier=process.identifier, **done)
        JobRequest.objects.create(job=first, inputs=INPUTS, outputs={})
        JobOutput.objects.create(job=first, output="result", value="hello")
        Attempt.objects.create(job=first, number=1, lease=lease, claimed=now, ended=now, outcome="successful")
        fresh, ago = SQL[connection.vendor]
        with connection.cursor() as cursor:
            copies = f"{NUMBERS} SELECT number, {fresh} AS job, {fresh} AS lease FROM numbers"
            cursor.execute(f"CREATE TEMPORARY TABLE copies AS {copies}", [count - 1])
            _copy(cursor, Job, first.pk, id="copies.job", lease="copies.lease", **{name: ago.format(name) for name in times})
            _copy(cursor, JobRequest, first.pk, job_id="copies.job")
            _copy(cursor, JobOutput, first.pk, job_id="copies.job")
            _copy(cursor, Attempt, first.pk, job_id="copies.job", lease="copies.lease")
            cursor.execute("DROP TABLE copies")
            cursor.execute("ANALYZE")


def _copy(cursor: Any, model: type[Model], job: uuid.UUID, **changed: str) -> None:
    """The row of a job, once for each copy, with other expressions for some columns."""
    options = model._meta
    columns = [str(field.column) for field in options.concrete_fields if not isinstance(field, AutoField)]
    values = [changed.get(column, f"source.{column}") for column in columns]
    key = "id" if model is Job else "job_id"
    cursor.execute(
        f"INSERT INTO {options.db_table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM copies, {options.db_table} AS source"
        f" WHERE source.{key} = %s",
        [job.hex if connection.vendor == "sqlite" else job],
    )


COMMANDS: dict[str, Callable[..., Any]] = {"token": token, "online": online, "fill": fill, "drain": drain, "finished": finished}


def main() -> None:
    """Do what is asked, until the input ends."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(COMMANDS[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
