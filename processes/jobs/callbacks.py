"""Puts callbacks into their outbox, in the transaction of the change that they report."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from processes.models import Callback, Job
from streaming.engine.conf import conf

_URIS = {"success": "successUri", "progress": "inProgressUri", "failed": "failedUri"}


def enqueue(job: Job, kind: str) -> None:
    """A request to the address that the job's subscriber gave for this kind, if it gave one."""
    url = (job.subscriber or {}).get(_URIS[kind])
    if url:
        Callback.objects.create(job=job, kind=kind, url=url, next_at=timezone.now())


def enqueue_progress(job: Job) -> None:
    """One of progress, unless one waits already, which will report what is then; and not too soon after the one before."""
    if not (job.subscriber or {}).get(_URIS["progress"]):
        return
    last = job.callbacks.filter(kind="progress").order_by("-pk").first()
    if last is None:
        enqueue(job, "progress")
    elif last.state != "waiting":
        due = (last.sent or last.created) + timedelta(seconds=conf.PROCESS_CALLBACK_PROGRESS_SECONDS)
        Callback.objects.create(job=job, kind="progress", url=last.url, next_at=max(due, timezone.now()))
