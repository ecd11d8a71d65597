"""A program beside the servers of a site: puts jobs into their database and looks at what became of them. Lines of JSON in and out.

`manage.py shell` runs it: that is forked, and starts in a fraction of the time.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections import Counter
from typing import Any

from django.db import transaction
from django.utils import timezone

from processes.jobs import outcomes, queue
from processes.jobs.changes import JobChange
from processes.jobs.queue_sizes import Limits
from processes.jobs.service import CHANGED
from processes.models import Attempt, Blob, Job, JobLog, JobOutput, Process, Worker, WorkerToken
from processes.workers.tokens import create_token, revoke_token
from streaming.engine.access import announce

LIMITS = Limits(100_000, 100_000)


def _ring(*changes: JobChange | None) -> None:
    announce(CHANGED, node="", changes=[each.as_message() for each in changes if each is not None][:50])


def token(name: str = "e2e", processes: list[str] | None = None) -> str:
    WorkerToken.objects.filter(name=name).exclude(revoked=None).delete()
    return create_token(name, processes or ["*"])[1]


def revoke(name: str) -> None:
    revoke_token(WorkerToken.objects.get(name=name))


def restore(name: str) -> None:
    WorkerToken.objects.filter(name=name).update(revoked=None)


def submit(process: str, inputs: dict[str, Any], count: int = 1, ring: bool = True) -> list[str]:
    pk = Process.objects.get(identifier=process, current=True).pk
    given = {name: [each if isinstance(each, dict) else {"value": each}] for name, each in inputs.items()}
    with transaction.atomic():
        changes = [queue.submit(queue.NewJob(pk, given), LIMITS) for _ in range(count)]
    if ring:
        _ring(*changes)
    return [each.job for each in changes]


def dismiss(job: str) -> None:
    with transaction.atomic():
        change = outcomes.dismiss(uuid.UUID(job))
    _ring(change)


def jobs(ids: list[str]) -> list[dict[str, Any]]:
    fields = ("id", "status", "progress", "message", "attempt", "exception")
    rows = {str(row["id"]): {**row, "id": str(row["id"])} for row in Job.objects.filter(pk__in=ids).values(*fields)}
    return [rows[each] for each in ids]


def counts() -> dict[str, int]:
    return dict(Counter(Job.objects.values_list("status", flat=True)))


def attempts(job: str) -> list[str]:
    return list(Attempt.objects.filter(job=job).values_list("outcome", flat=True))


def log(job: str) -> list[str]:
    return list(JobLog.objects.filter(job=job).values_list("message", flat=True))


def outputs(job: str) -> dict[str, Any]:
    rows = JobOutput.objects.filter(job=job)
    return {row.output: {"value": row.value, "blob": row.blob and row.blob.file.read().decode("latin-1")} for row in rows}


def input_blob(text: str) -> dict[str, Any]:
    """A value of a job to come, in the storage."""
    from hashlib import sha256

    from django.core.files.base import ContentFile

    data = text.encode()
    row = Blob(size=len(data), sha256=sha256(data).hexdigest(), media_type="text/plain")
    row.file.save(str(row.pk), ContentFile(data))
    return {"blob": {"id": str(row.pk), "size": row.size, "sha256": row.sha256}, "mediaType": "text/plain"}


def attach(blob: dict[str, Any], job: str) -> None:
    Blob.objects.filter(pk=blob["blob"]["id"]).update(job=job)


def offered(process: str) -> int:
    return Worker.objects.filter(registrations__process__identifier=process).count()


def workers() -> dict[str, dict[str, Any]]:
    rows = Worker.objects.all()
    return {row.name: {"online": bool(row.node), "node": row.node, "jobs": row.attempts.count(), "suspect": row.suspect} for row in rows}


def claim_for(worker: str, process: str) -> None:
    """What a server does before it gives a job to a worker."""
    slots = queue.Slots(Worker.objects.get(name=worker).pk, Process.objects.get(identifier=process, current=True).pk, 1)
    with transaction.atomic():
        assert len(queue.claim([slots], 60.0)) == 1


def clear() -> None:
    """Nothing is left of earlier tests."""
    for job in Job.objects.filter(status__in=("accepted", "running")):
        dismiss(str(job.pk))
    Job.objects.all().delete()


def expire_queue() -> None:
    Job.objects.update(queue_deadline=timezone.now())


def reconnect() -> None:
    """The database was away."""
    from django.db import connection

    connection.close()


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"is": globals()[request.pop("call")](*request.pop("arguments"), **request)}
        except Exception as error:  # noqa: BLE001  # reported to the test
            answer = {"error": repr(error)}
        print(json.dumps(answer, default=str), flush=True)
