"""What other processes and clients are notified of when a job changes: its state, never its inputs and results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from processes.models import Job

ACTIVE = (Job.Status.ACCEPTED, Job.Status.RUNNING)
FINAL = (Job.Status.SUCCESSFUL, Job.Status.FAILED, Job.Status.DISMISSED)


@dataclass(frozen=True, slots=True)
class JobChange:
    """A job as it is after a change. Times are seconds since 1970."""

    job: str
    process: str
    """The process's identifier."""
    owner: int | None
    hidden: bool
    revision: int
    status: str
    progress: int
    message: str
    created: float
    started: float | None
    finished: float | None
    updated: float
    subscribed: bool = False
    """Whether somebody is called back at some of its changes."""
    queued: int | None = None
    """The primary key of the process in whose queue it is now."""
    cancel: str | None = None
    """The lease that has ended by this, if a worker still works for it, and …"""
    reason: str = ""
    """… why: dismissed, timeout or leaseLost."""

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self.status in FINAL

    def as_message(self) -> dict[str, Any]:
        """For the channel layer."""
        return asdict(self)


class WithChanges(Protocol):
    """What an operation returns that changes jobs and finds out more besides."""

    @property
    def changes(self) -> Sequence[JobChange]:
        """The jobs that it has changed."""


def changes_in(result: Any) -> list[JobChange]:
    """The changes in what an operation has returned."""
    found = result if isinstance(result, list) else getattr(result, "changes", [result])
    return [each for each in found if isinstance(each, JobChange)]


def change_of(job: Job, cancel: Any = None, reason: str = "") -> JobChange:
    """The change that a row shows now."""
    waits = job.status == Job.Status.ACCEPTED and job.lease is None
    return JobChange(
        job=str(job.id),
        process=job.process_identifier,
        owner=job.owner_id,
        hidden=job.hidden,
        revision=job.revision,
        status=str(job.status),
        progress=job.progress,
        message=job.message,
        created=job.created.timestamp(),
        started=job.started.timestamp() if job.started else None,
        finished=job.finished.timestamp() if job.finished else None,
        updated=job.updated.timestamp(),
        subscribed=bool(job.subscriber),
        queued=job.process_id if waits else None,
        cancel=str(cancel) if cancel else None,
        reason=reason,
    )
