"""How long rows are kept: jobs that have ended, workers that do not come again, and old versions of processes that have no jobs.

Each batch is an operation of its own, so that whoever wants something of the database is not held up by it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from processes.models import Blob, Callback, Job, JobOutput, Process, Registration, Worker
from streaming.engine.conf import conf
from streaming.engine.service import Service

from .service import Jobs

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

SWEEP_SECONDS = 300.0
AT_ONCE = 20
"""Rows of a batch. A job has up to some thousand lines in its log, and its files go with it."""


class Retention(Service):
    """The sweep of what was kept for long enough."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._jobs = runtime.service(Jobs)

    async def start(self) -> None:
        """Look for it again and again."""
        self._jobs.every(SWEEP_SECONDS, self.sweep)

    async def sweep(self) -> None:
        """Delete it, batch by batch. A setting that is 0 keeps all."""
        if conf.PROCESS_JOBS_KEEP_SECONDS:
            await self._all(delete_jobs, conf.PROCESS_JOBS_KEEP_SECONDS)
        if conf.PROCESS_WORKERS_KEEP_SECONDS:
            await self._all(delete_workers, conf.PROCESS_WORKERS_KEEP_SECONDS)
            await self._all(delete_versions, conf.PROCESS_WORKERS_KEEP_SECONDS)

    async def _all(self, delete: Callable[[datetime], int], seconds: float) -> None:
        before = timezone.now() - timedelta(seconds=seconds)
        while await self._jobs.change(partial(delete, before)) == AT_ONCE:
            pass


def delete_jobs(before: datetime) -> int:
    """An operation: a batch of jobs that ended before, with inputs, results, files, logs and callbacks. Returns how many.

    Those whose callbacks are still being sent stay.
    """
    calling = Callback.objects.filter(job=OuterRef("pk"), state="waiting")
    jobs = _locked(Job.objects.filter(~Exists(calling), finished__lt=before).order_by("finished"))
    JobOutput.objects.filter(job__in=jobs).delete()
    # A value that is a result of another job, too, belongs to that one from now on.
    others = Blob.objects.filter(Exists(JobOutput.objects.filter(blob=OuterRef("pk"))), job__in=jobs)
    others.update(job=Subquery(JobOutput.objects.filter(blob=OuterRef("pk")).values("job")[:1]))
    Job.objects.filter(pk__in=jobs).delete()
    return len(jobs)


def delete_workers(before: datetime) -> int:
    """An operation: a batch of workers that were last seen before, and have no jobs. Returns how many."""
    active = Job.objects.filter(worker=OuterRef("pk"), lease__isnull=False, finished=None)
    seen = Q(last_seen__lt=before) | Q(last_seen=None, connected_at__lt=before)
    workers = _locked(Worker.objects.filter(~Exists(active), seen, node="").order_by("pk"))
    Worker.objects.filter(pk__in=workers).delete()
    return len(workers)


def delete_versions(before: datetime) -> int:
    """An operation: a batch of versions that were replaced, were last offered before, and have no jobs. Returns how many."""
    used = Exists(Job.objects.filter(process=OuterRef("pk"))) | Exists(Registration.objects.filter(process=OuterRef("pk")))
    versions = Process.objects.alias(offered=Coalesce(F("last_online"), F("created"))).filter(~used, current=False, offered__lt=before)
    rows = _locked(versions.order_by("pk"))
    Process.objects.filter(pk__in=rows).delete()
    return len(rows)


def _locked(rows: QuerySet[Any]) -> list[Any]:
    """The keys of a batch that no other server process is about to delete."""
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    return list(rows.values_list("pk", flat=True)[:AT_ONCE])
