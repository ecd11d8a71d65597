"""Into the queue and out of it: submitting jobs, and claiming them for workers.

Fair shares are start-time fair queueing (Goyal, Vin and Cheng, 1996) with jobs of equal length: a job's `turn` is one more than the turn of
the same owner's job before it, or than the turn that the process is at. Whoever submits a thousand waits behind those who submit one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Case, F, Q, UUIDField, Value, When
from django.utils import timezone

from processes.models import Attempt, Blob, Job, JobRequest, Process
from streaming.core.errors import StreamError

from .changes import JobChange, change_of
from .queue_sizes import Limits, QueueSizes


@dataclass(frozen=True, slots=True)
class Reservation:
    """A slot of a worker that is kept for a job: where nobody waits, a job is claimed as it is submitted.

    The lease is decided before it is stored, so that a submission that is done twice gives it once.
    """

    worker: int
    lease: uuid.UUID
    seconds: float
    """How long the lease holds at first."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is to be done; everything in it has been checked."""

    process: int
    """The primary key of the process, of the version that shall do it."""
    inputs: Mapping[str, Any]
    owner: int | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    response: str = "raw"
    subscriber: Mapping[str, str] | None = None
    hidden: bool = False
    priority: int = 0
    queue_seconds: float | None = None
    blobs: Sequence[uuid.UUID] = ()
    """The inputs that were too large for a message."""
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    reservation: Reservation | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """A worker could run so many more jobs of a process."""

    worker: int
    process: int
    count: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's job."""

    job: uuid.UUID
    attempt: int
    lease: uuid.UUID
    expires: datetime
    worker: int
    process: int
    identifier: str
    version: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    owner: int | None
    continuous: bool
    checkpoint: Any


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that was stored, and its claim if a slot was reserved for it."""

    change: JobChange
    claim: Claim | None = None

    @property
    def changes(self) -> Sequence[JobChange]:
        """What others are notified of."""
        return (self.change,)


def submit(new: NewJob, limits: Limits) -> JobChange:
    """Put a job into the queue. `StreamError` queue_full. Of a job that is there already, stored by a call before, nothing changes."""
    (found,) = submit_all([new], limits, QueueSizes())
    if isinstance(found, Exception):
        raise found
    return found.change


def submit_all(jobs: Sequence[NewJob], limits: Limits, sizes: QueueSizes) -> list[Submitted | Exception]:
    """Put jobs into their queues, as `submit` does, and claim those with a reservation; in place of a refused one is its exception."""
    processes = Process.objects.defer("description").in_bulk({each.process for each in jobs})
    turns: dict[tuple[int, int | None], int] = {}
    outcomes: list[Submitted | Exception] = []
    rows, requests = [], []
    for new in jobs:
        try:
            process = processes[new.process]
            if new.reservation is None:
                sizes.add(process, new.owner, limits)
        except KeyError:
            outcomes.append(Process.DoesNotExist("the process was deleted"))
        except StreamError as refusal:
            outcomes.append(refusal)
        else:
            before = turns.get((process.pk, new.owner), 0)
            if not before and new.reservation is None:
                before = _last_turn(process, new.owner)
            turn = turns[process.pk, new.owner] = max(process.turn, before) + 1
            job = _row(new, process, turn)
            rows.append(job)
            requests.append(JobRequest(job=job, inputs=new.inputs, outputs=new.outputs, response=new.response))
            claim = None if new.reservation is None else _claim_of(job)
            outcomes.append(Submitted(change_of(job), claim))
    Job.objects.bulk_create(rows, ignore_conflicts=True)
    JobRequest.objects.bulk_create(requests, ignore_conflicts=True)
    _store_attempts([each.claim for each in outcomes if isinstance(each, Submitted) and each.claim], ignore_conflicts=True)
    for new, outcome in zip(jobs, outcomes, strict=True):
        if new.blobs and isinstance(outcome, Submitted):
            Blob.objects.filter(pk__in=new.blobs).update(job=new.id)
    return outcomes


def _last_turn(process: Process, owner: int | None) -> int:
    """Of an owner's jobs in a queue."""
    newest = Job.objects.queued().filter(process=process, owner=owner).order_by("-turn").values_list("turn", flat=True)
    return newest.first() or 0


def _row(new: NewJob, process: Process, turn: int) -> Job:
    now = timezone.now()
    job = Job(
        id=new.id,
        process=process,
        process_identifier=process.identifier,
        owner_id=new.owner,
        hidden=new.hidden,
        subscriber=new.subscriber,
        priority=new.priority,
        turn=turn,
        created=now,
        updated=now,
        queue_deadline=now + timedelta(seconds=new.queue_seconds) if new.queue_seconds else None,
    )
    if new.reservation is not None:
        expires = now + timedelta(seconds=new.reservation.seconds)
        job.attempt, job.lease, job.lease_expires, job.worker_id = 1, new.reservation.lease, expires, new.reservation.worker
    return job


def claim(slots: Sequence[Slots], lease_seconds: float) -> list[Claim]:
    """Take the next jobs of the queues for workers that have room, each with a lease of its own.

    Of several server processes that claim at once each gets other jobs.
    """
    claims: list[Claim] = []
    by_process: dict[int, list[int]] = {}
    for each in slots:
        by_process.setdefault(each.process, []).extend([each.worker] * each.count)
    for process, workers in by_process.items():
        claims += _claim(process, workers, lease_seconds)
    _store_attempts(claims)
    return claims


def _store_attempts(claims: Sequence[Claim], ignore_conflicts: bool = False) -> None:
    now = timezone.now()
    Attempt.objects.bulk_create(
        (Attempt(job_id=each.job, number=each.attempt, lease=each.lease, worker_id=each.worker, claimed=now) for each in claims),
        ignore_conflicts=ignore_conflicts,
    )


def _claim(process: int, workers: Sequence[int], lease_seconds: float) -> list[Claim]:
    now = timezone.now()
    expires = now + timedelta(seconds=lease_seconds)
    queued = Job.objects.queued().filter(Q(not_before=None) | Q(not_before__lte=now), process=process)
    if connection.features.has_select_for_update_skip_locked:
        queued = queued.select_for_update(skip_locked=True, of=("self",))
    jobs = list(
        queued.select_related("request", "process").defer("process__description").order_by("-priority", "turn", "created")[: len(workers)]
    )
    claims = []
    for job, worker in zip(jobs, workers, strict=False):
        job.attempt += 1
        job.lease, job.lease_expires, job.worker_id = uuid.uuid4(), expires, worker
        claims.append(_claim_of(job))
    if jobs:
        _lease(jobs, expires)
        turn = max(job.turn for job in jobs)
        if jobs[0].process is not None and jobs[0].process.turn < turn:
            Process.objects.filter(pk=process, turn__lt=turn).update(turn=turn)
    return claims


def _claim_of(job: Job) -> Claim:
    """Of a job that has a lease, with its request and its process."""
    assert job.process is not None and job.lease is not None and job.lease_expires is not None and job.worker_id is not None
    return Claim(
        job=job.id,
        attempt=job.attempt,
        lease=job.lease,
        expires=job.lease_expires,
        worker=job.worker_id,
        process=job.process.pk,
        identifier=job.process.identifier,
        version=job.process.version,
        inputs=job.request.inputs,
        outputs=job.request.outputs,
        owner=job.owner_id,
        continuous=job.process.continuous,
        checkpoint=job.request.checkpoint,
    )


def _lease(jobs: Sequence[Job], expires: datetime) -> None:
    """Store who has claimed jobs: one statement for each worker, since only the lease differs among its jobs."""
    for worker in {job.worker_id for job in jobs}:
        leases = {job.pk: job.lease for job in jobs if job.worker_id == worker}
        lease = Case(*(When(pk=pk, then=Value(lease, UUIDField())) for pk, lease in leases.items()))
        Job.objects.filter(pk__in=leases).update(attempt=F("attempt") + 1, lease=lease, lease_expires=expires, worker=worker)
