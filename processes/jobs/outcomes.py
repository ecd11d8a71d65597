"""What becomes of claimed jobs: started, progress, parts of outputs, results, failures, dismissal, lost workers, deadlines.

Whoever writes for a worker must know the lease of the job; a lease that has ended writes nothing any more. The first result wins, and
the same result again is answered in the same way.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, F, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from processes.models import Attempt, Blob, Job, JobLog, JobOutput, JobRequest

from .callbacks import enqueue, enqueue_progress
from .changes import ACTIVE, FINAL, JobChange, change_of

MOST_BACKOFF_SECONDS = 60.0
ABOUT_BLANK = "about:blank"
_OUTPUT_KEY = ("job", "output", "seq")
_OUTPUT_STATE = ("value", "blob", "href", "media_type")


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to write for a job."""

    job: uuid.UUID
    attempt: int
    lease: uuid.UUID


@dataclass(frozen=True, slots=True)
class OutputPart:
    """An output, or a part of one: a value, a blob, or a link."""

    output: str
    value: Any = None
    blob: uuid.UUID | None = None
    href: str = ""
    media_type: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Success:
    """The result of a job; `warning` is for its log."""

    lease: Lease
    outputs: Sequence[OutputPart]
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A result that was stored."""

    change: JobChange
    outputs: Sequence[OutputPart] | None
    """All that the job has; None: parts of outputs may have come before."""

    @property
    def changes(self) -> Sequence[JobChange]:
        """What others are notified of."""
        return (self.change,)


class LeaseError(Exception):
    """The lease does not hold: `unknown` (no such job), `lost` (it was given to somebody else), `ended` (the job is over)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def problem(status: int, title: str, detail: str, kind: str = ABOUT_BLANK, **more: Any) -> dict[str, Any]:
    """An exception as in RFC 7807."""
    return {"type": kind, "title": title, "status": status, "detail": detail, **more}


def start(lease: Lease, run_seconds: float | None) -> JobChange | None:
    """The worker has begun. None: it had before."""
    job = _leased(lease)
    if job.status == Job.Status.RUNNING:
        return None
    now = timezone.now()
    job.status = Job.Status.RUNNING
    job.started = job.started or now
    job.run_deadline = now + timedelta(seconds=run_seconds) if run_seconds else None
    enqueue(job, "progress")
    return _save(job, "status", "started", "run_deadline")


def progress(lease: Lease, percent: int, message: str | None) -> JobChange:
    """How far the worker is. A job that was not started is by this."""
    job = _leased(lease)
    job.progress = percent
    if message is not None:
        job.message = message[:1000]
    enqueue_progress(job)
    return _save(job, "progress", "message")


def log(lease: Lease, level: str, message: str) -> None:
    """A line of the job's log."""
    job = _leased(lease)
    JobLog.objects.create(job=job, attempt=lease.attempt, at=timezone.now(), level=level, message=message[:10_000])


def store_part(lease: Lease, part: OutputPart) -> JobChange:
    """A part of an output that is delivered progressively. The same number again takes the place of the one before."""
    job = _leased(lease)
    _store({job.pk: [part]})
    job.status, job.started = Job.Status.RUNNING, job.started or timezone.now()
    return _save(job, "status", "started")


def checkpoint(lease: Lease, data: Any) -> None:
    """Where another worker may go on, should this one be lost."""
    _leased(lease)
    JobRequest.objects.filter(job=lease.job).update(checkpoint=data)


def succeed(lease: Lease, outputs: Sequence[OutputPart], warning: str = "") -> JobChange | None:
    """The result. None: it was stored before. What the worker said on the way (its message) is over."""
    (found,) = succeed_all([Success(lease, outputs, warning)])
    if isinstance(found, Exception):
        raise found
    return found.change if found else None


def succeed_all(results: Sequence[Success]) -> list[Succeeded | Exception | None]:
    """Results of several jobs, as `succeed` takes one. In place of one whose lease does not hold is its `LeaseError`."""
    locked = Job.objects.select_for_update().filter(pk__in={each.lease.job for each in results})
    jobs = {job.pk: job for job in locked.order_by("pk")}
    now = timezone.now()
    outcomes: list[Succeeded | Exception | None] = []
    ended: dict[uuid.UUID, Success] = {}
    running = []
    for each in results:
        try:
            job = _holding(each.lease, jobs.get(each.lease.job), final=Job.Status.SUCCESSFUL)
        except LeaseError as error:
            outcomes.append(error)
            continue
        if job.status == Job.Status.SUCCESSFUL:
            outcomes.append(None)
            continue
        outputs = each.outputs if job.status == Job.Status.ACCEPTED else None
        if outputs is None:
            running.append(job.pk)
        ended[job.pk] = each
        job.status, job.progress, job.message = Job.Status.SUCCESSFUL, 100, ""
        job.started, job.finished, job.updated = job.started or now, now, now  # what takes no time was not stored as running before
        job.revision += 1
        outcomes.append(Succeeded(change_of(job), outputs))
    if ended:
        _store_results(ended, running)
        Attempt.objects.filter(lease__in=[each.lease.lease for each in ended.values()]).update(ended=now, outcome="successful")
        Job.objects.filter(pk__in=ended).update(
            status=Job.Status.SUCCESSFUL,
            progress=100,
            message="",
            started=Coalesce("started", Value(now, DateTimeField())),
            finished=now,
            updated=now,
            revision=F("revision") + 1,
        )
        for pk in ended:
            enqueue(jobs[pk], "success")
    return outcomes


def _store_results(ended: Mapping[uuid.UUID, Success], running: Sequence[uuid.UUID]) -> None:
    """In place of parts that came before; a worker that sends some has begun."""
    partial = JobOutput.objects.filter(job__in=running).values_list("job", flat=True).distinct() if running else ()
    for job in partial:
        JobOutput.objects.filter(job=job, output__in=[part.output for part in ended[job].outputs]).delete()
    _store({job: each.outputs for job, each in ended.items()})
    warned = [each for each in ended.values() if each.warning]
    JobLog.objects.bulk_create(
        JobLog(job_id=each.lease.job, attempt=each.lease.attempt, at=timezone.now(), level="warning", message=each.warning)
        for each in warned
    )


def fail(lease: Lease, exception: Mapping[str, Any], *, retryable: bool = False, outcome: str = "failed") -> JobChange | None:
    """The worker could not do it. None: that was stored before. A job that may be tried again is queued again if it is `retryable`."""
    job = _leased(lease, final=Job.Status.FAILED)
    if job.status == Job.Status.FAILED:
        return None
    if retryable and _may_retry(job):
        return _requeue(job, str(exception.get("detail") or exception.get("title") or "failed"), outcome)
    return _fail(job, exception, outcome)


def give_back(lease: Lease) -> JobChange:
    """The worker had no room after all: as if it had never been given the job."""
    job = _leased(lease)
    Attempt.objects.filter(lease=lease.lease).delete()
    job.attempt -= 1
    return _queue(job)


def lose(lease: Lease, reason: str) -> JobChange | None:
    """The worker is lost, or works on the job no more: it is tried again or has failed. None: the lease does not hold anyway."""
    try:
        job = _leased(lease)
    except LeaseError:
        return None
    return _lose(job, reason)


def renew(leases: Iterable[Lease], lease_seconds: float) -> tuple[list[uuid.UUID], list[tuple[uuid.UUID, str]]]:
    """Prolong leases; returns those that hold, and those that do not with the reason."""
    by_lease = {lease.lease: lease for lease in leases}
    if not by_lease:
        return [], []
    active = Job.objects.filter(lease__in=by_lease, status__in=ACTIVE)
    renewed = active.update(lease_expires=timezone.now() + timedelta(seconds=lease_seconds))
    if renewed == len(by_lease):
        return list(by_lease), []
    held = [lease for lease in active.values_list("lease", flat=True) if lease is not None]
    missing = [lease for key, lease in by_lease.items() if key not in held]
    jobs = Job.objects.in_bulk([lease.job for lease in missing])
    return held, [(lease.lease, _why(lease, jobs.get(lease.job))) for lease in missing]


def move(lease: Lease, worker: int, lease_seconds: float) -> bool:
    """A worker that has connected again goes on with a job. Returns whether its lease holds."""
    expires = timezone.now() + timedelta(seconds=lease_seconds)
    found = Job.objects.filter(pk=lease.job, lease=lease.lease, status__in=ACTIVE)
    return bool(found.update(lease_expires=expires, worker=worker))


def dismiss(job_id: uuid.UUID) -> JobChange | None:
    """End a job, or throw away the results of one that has ended. None if it was dismissed before. `Job.DoesNotExist`."""
    job = Job.objects.select_for_update().get(pk=job_id)
    if job.status == Job.Status.DISMISSED:
        return None
    if job.status in FINAL:
        job.outputs.all().delete()
        job.status = Job.Status.DISMISSED
        return _save(job, "status")
    lease = job.lease
    enqueue(job, "failed")
    return _end(job, Job.Status.DISMISSED, "dismissed", cancel=lease, reason="dismissed")


def requeue(job_id: uuid.UUID) -> JobChange:
    """Have a job done again from its beginning, whatever became of it (an operator asks for that). `Job.DoesNotExist`."""
    job = Job.objects.select_for_update().get(pk=job_id)
    lease = job.lease if job.status in ACTIVE else None
    job.outputs.all().delete()
    job.finished, job.exception = None, None
    return _queue(job, "finished", "exception", cancel=lease, reason="replaced")


def expire(most: int = 100, leases: bool = True) -> list[JobChange]:
    """What time has decided: leases that ran out (if these are to be looked at), jobs that waited or ran for too long.

    Any number of processes may call it.
    """
    now = timezone.now()
    changes = []
    for job in _due(now, leases, most):
        if job.status == Job.Status.RUNNING and job.run_deadline is not None and job.run_deadline < now:
            lease = job.lease
            exception = problem(504, "Timed out", "the job ran longer than its process may")
            changes.append(_fail(job, exception, "timed out", cancel=lease, reason="timeout"))
        elif job.lease is not None:
            changes.append(_lose(job, "worker lost"))
        else:
            changes.append(_fail(job, problem(503, "No worker", "no worker took the job in time"), ""))
    return changes


def _due(now: datetime, leases: bool, most: int) -> Iterator[Job]:
    """Each is found by an index of its own. What was decided by one is not found by the next."""
    jobs = Job.objects.select_for_update(skip_locked=_skips())
    yield from jobs.running().filter(run_deadline__lt=now)[:most]
    if leases:
        yield from jobs.active().filter(lease_expires__lt=now)[:most]
    yield from jobs.queued().filter(queue_deadline__lt=now)[:most]


def _skips() -> bool:
    return connection.features.has_select_for_update_skip_locked


def _leased(lease: Lease, final: str | None = None) -> Job:
    """The locked row of a lease that holds, or whose job has ended by it as `final`. `LeaseError`."""
    return _holding(lease, Job.objects.select_for_update().filter(pk=lease.job).first(), final)


def _holding(lease: Lease, job: Job | None, final: str | None) -> Job:
    if job is None or job.lease != lease.lease or not (job.status in ACTIVE or job.status == final):
        raise LeaseError(_why(lease, job))
    return job


def _why(lease: Lease, job: Job | None) -> str:
    if job is None:
        return "unknown"
    return "ended" if job.status in FINAL else "lost"


def _save(job: Job, *fields: str, cancel: uuid.UUID | None = None, reason: str = "") -> JobChange:
    job.revision += 1
    job.updated = timezone.now()
    job.save(update_fields=["revision", "updated", *fields])
    return change_of(job, cancel, reason)


def _end(job: Job, status: str, outcome: str, *fields: str, cancel: uuid.UUID | None = None, reason: str = "") -> JobChange:
    job.status = status
    job.finished = timezone.now()
    _attempts(job).update(ended=job.finished, outcome=outcome)
    return _save(job, "status", "finished", *fields, cancel=cancel, reason=reason)


def _fail(job: Job, exception: Mapping[str, Any], outcome: str, *, cancel: uuid.UUID | None = None, reason: str = "") -> JobChange:
    job.exception = dict(exception)
    job.message = str(exception.get("detail") or exception.get("title") or "failed")[:1000]
    enqueue(job, "failed")
    return _end(job, Job.Status.FAILED, outcome, "exception", "message", cancel=cancel, reason=reason)


def _attempts(job: Job) -> QuerySet[Attempt]:
    """The attempt that the job's lease is for, if it has one."""
    return Attempt.objects.none() if job.lease is None else Attempt.objects.filter(lease=job.lease)


def _may_retry(job: Job) -> bool:
    process = job.process
    return process is not None and (process.continuous or (process.retry == "safe" and job.attempt < process.max_attempts))


def _lose(job: Job, reason: str) -> JobChange:
    lease = job.lease
    if _may_retry(job):
        return _requeue(job, reason, reason, cancel=lease)
    return _fail(
        job, problem(500, "Worker lost", f"{reason}, and the process does not allow another try"), reason, cancel=lease, reason="leaseLost"
    )


def _requeue(job: Job, why: str, outcome: str, cancel: uuid.UUID | None = None) -> JobChange:
    assert job.process is not None
    now = timezone.now()
    _attempts(job).update(ended=now, outcome=outcome[:40])
    job.outputs.all().delete()
    attempt = f"attempt {job.attempt + 1}" + ("" if job.process.continuous else f" of {job.process.max_attempts}")
    job.message = f"{why}, {attempt}"[:1000]
    job.not_before = now + timedelta(seconds=min(2.0 ** (job.attempt - 1), MOST_BACKOFF_SECONDS))
    return _queue(job, "message", "not_before", cancel=cancel, reason="leaseLost")


def _queue(job: Job, *fields: str, cancel: uuid.UUID | None = None, reason: str = "") -> JobChange:
    job.status, job.progress = Job.Status.ACCEPTED, 0
    job.lease, job.lease_expires, job.worker, job.run_deadline = None, None, None, None
    changed = ("status", "progress", "lease", "lease_expires", "worker", "run_deadline", "attempt")
    return _save(job, *changed, *fields, cancel=cancel, reason=reason if cancel else "")


def _store(parts: Mapping[uuid.UUID, Sequence[OutputPart]]) -> None:
    rows = [
        JobOutput(
            job_id=job, output=each.output, seq=each.seq, value=each.value, blob_id=each.blob, href=each.href, media_type=each.media_type
        )
        for job, outputs in parts.items()
        for each in outputs
    ]
    JobOutput.objects.bulk_create(rows, update_conflicts=True, unique_fields=_OUTPUT_KEY, update_fields=_OUTPUT_STATE)
    for job, outputs in parts.items():
        if blobs := [each.blob for each in outputs if each.blob is not None]:
            Blob.objects.filter(pk__in=blobs).update(job=job)
