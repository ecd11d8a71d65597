"""Puts callbacks into their outbox, in the transaction of the change that they report."""

from __future__ import annotations

from django.utils import timezone

from processes.models import Callback, Job

_URIS = {"success": "successUri", "progress": "inProgressUri", "failed": "failedUri"}


def enqueue(job: Job, kind: str) -> None:
    """A request to the address that the job's subscriber gave for this kind, if it gave one."""
    url = (job.subscriber or {}).get(_URIS[kind])
    if url:
        Callback.objects.create(job=job, kind=kind, url=url, next_at=timezone.now())
