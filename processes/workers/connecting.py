"""The rows of connected workers: written when one connects or leaves, swept when its server process has died.

These are operations, to be run by `Jobs.change`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import Sum
from django.utils import timezone

from processes.jobs.changes import ACTIVE, JobChange
from processes.jobs.outcomes import Lease, LeaseError, give_back, lose
from processes.json_rpc import Code, RpcError
from processes.models import Job, Process, Registration, Worker, WorkerToken

from .messages import Hello
from .tokens import TokenRights


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a worker goes on with."""

    lease: Lease
    process: int
    started: bool


@dataclass(slots=True)
class Connected:
    """What became of a hello."""

    worker: int
    session: uuid.UUID
    concurrency: int
    """As much as the token leaves it."""
    replaced: bool
    """Whether another connection of the worker was open, as far as the database knows."""
    expires: str = ""
    resumed: list[HeldJob] = field(default_factory=list)
    abandoned: list[tuple[uuid.UUID, str]] = field(default_factory=list)
    changes: list[JobChange] = field(default_factory=list)


def connect(token: TokenRights, hello: Hello, node: str, session: uuid.UUID, lease_seconds: float) -> Connected:
    """A worker says hello. What it brings along it goes on with; what it had and does not bring along is over. `RpcError`."""
    concurrency = _room(token, hello)
    worker, _ = Worker.objects.select_for_update().get_or_create(token_id=token.pk, name=hello.worker_id)
    replaced = worker.session is not None and bool(worker.node)
    same_program = bool(hello.instance_id) and worker.instance == hello.instance_id
    _leave(worker)
    worker.session, worker.node, worker.instance = session, node, hello.instance_id
    worker.software = f"{hello.software.name} {hello.software.version}".strip()[:200]
    worker.concurrency, worker.draining, worker.suspect = concurrency, False, False
    worker.connected_at = worker.last_seen = timezone.now()
    worker.save()
    WorkerToken.objects.filter(pk=token.pk).update(last_used=worker.connected_at)
    connected = Connected(worker.pk, session, concurrency, replaced)
    _resume(connected, hello, lease_seconds)
    _end_others(connected, same_program)
    return connected


def disconnect(worker: int, session: uuid.UUID) -> None:
    """A connection has ended. Nothing happens if the worker has a newer one."""
    row = Worker.objects.select_for_update().filter(pk=worker, session=session).first()
    if row is not None:
        _leave(row)
        row.node, row.last_seen = "", timezone.now()
        row.save(update_fields=["node", "last_seen"])


def disconnect_session(session: uuid.UUID) -> None:
    """The same of a connection that has ended during its hello."""
    for worker in Worker.objects.filter(session=session).values_list("pk", flat=True):
        disconnect(worker, session)


def sweep_node(node: str) -> None:
    """A server process has died, or does not know its workers any more. Their jobs are decided by their leases."""
    for worker in Worker.objects.select_for_update().filter(node=node):
        _leave(worker)
        worker.node = ""
        worker.save(update_fields=["node"])


def other_nodes(node: str) -> list[str]:
    """The server processes that have workers by what the database says."""
    return list(Worker.objects.exclude(node__in=("", node)).values_list("node", flat=True).distinct())


def set_flags(worker: int, session: uuid.UUID, **flags: bool) -> None:
    """Mark a worker as suspect or draining, or as that no more."""
    Worker.objects.filter(pk=worker, session=session).update(**flags)


def look_after(node: str, sessions: Mapping[int, uuid.UUID], offers: Mapping[int, Mapping[int, int]]) -> set[int]:
    """Write that workers were seen, and their rows anew where a process swept them that took this one for dead.

    `offers`: of each worker the processes with their concurrency. Returns the workers that have a newer connection.
    """
    now = timezone.now()
    rows = {row.pk: row for row in Worker.objects.filter(pk__in=sessions)}
    current = [pk for pk, row in rows.items() if row.session == sessions[pk]]
    Worker.objects.filter(pk__in=current).update(last_seen=now, node=node)
    known = set(Registration.objects.filter(worker__in=current).values_list("worker", "process"))
    missing = [(worker, process, most) for worker in current for process, most in offers[worker].items() if (worker, process) not in known]
    Registration.objects.bulk_create(
        Registration(worker_id=worker, process_id=process, concurrency=most) for worker, process, most in missing
    )
    return set(sessions) - set(current)


def _room(token: TokenRights, hello: Hello) -> int:
    others = Worker.objects.filter(token=token.pk).exclude(node="").exclude(name=hello.worker_id)
    if others.count() >= token.max_workers:
        raise RpcError(Code.NOT_AUTHORISED, f"{token.max_workers} workers are connected with this token, which is as many as may")
    left = token.max_concurrency - (others.aggregate(all=Sum("concurrency"))["all"] or 0)
    if left <= 0:
        raise RpcError(Code.NOT_AUTHORISED, f"the workers of this token may run {token.max_concurrency} jobs at once, and others do")
    return min(hello.concurrency, left)


def _leave(worker: Worker) -> None:
    """It offers nothing any more."""
    offered = list(Registration.objects.filter(worker=worker).values_list("process", flat=True))
    if offered:
        Registration.objects.filter(worker=worker).delete()
        Process.objects.filter(pk__in=offered).update(last_online=timezone.now())


def _resume(connected: Connected, hello: Hello, lease_seconds: float) -> None:
    expires = timezone.now() + timedelta(seconds=lease_seconds)
    connected.expires = expires.isoformat()
    jobs = Job.objects.in_bulk([each.job_id for each in hello.resume])
    for each in hello.resume:
        lease = each.lease
        job = jobs.get(lease.job)
        if job is not None and job.lease == lease.lease and job.worker_id == connected.worker and job.status in ACTIVE:
            Job.objects.filter(pk=job.pk, lease=lease.lease).update(lease_expires=expires)
            connected.resumed.append(HeldJob(lease, job.process_id or 0, job.status == Job.Status.RUNNING))
        elif job is not None and job.lease == lease.lease and each.state != "running" and job.worker_id == connected.worker:
            connected.resumed.append(HeldJob(lease, job.process_id or 0, True))  # its result was stored: it may say it again
        else:
            why = "unknown" if job is None else "ended" if job.status not in ACTIVE else "lost"
            connected.abandoned.append((lease.job, why))


def _end_others(connected: Connected, same_program: bool) -> None:
    """The leases that the worker does not know. What a program that still runs does not know, it was never given."""
    known = {each.lease.lease for each in connected.resumed}
    for job in Job.objects.active().filter(worker=connected.worker, lease__isnull=False).exclude(lease__in=known):
        assert job.lease is not None
        lease = Lease(job.id, job.attempt, job.lease)
        if same_program and job.status == Job.Status.ACCEPTED:
            connected.changes.append(give_back(lease))
        elif (change := lose(lease, "worker lost")) is not None:
            connected.changes.append(change)


def revoke_lease(lease: Lease, worker: int, session: uuid.UUID) -> JobChange | None:
    """The worker did not say that it has received a job: another one gets it, and this one is suspect. None: it was started after all."""
    Worker.objects.filter(pk=worker, session=session).update(suspect=True)
    try:
        job = Job.objects.get(pk=lease.job)
        return give_back(lease) if job.status == Job.Status.ACCEPTED else None
    except (LeaseError, Job.DoesNotExist):
        return None


def give_back_all(leases: Iterable[Lease]) -> list[JobChange]:
    """Jobs were claimed for a worker that cannot be given them."""
    changes = []
    for lease in leases:
        try:
            changes.append(give_back(lease))
        except LeaseError:
            continue
    return changes
