"""What `manage.py doctor` and the dashboard say of jobs: those that wait for a process that no connected worker offers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Min
from django.utils import timezone
from django.utils.timesince import timesince

from streaming.engine.conf import conf
from streaming.engine.diagnosis import Finding, ok, warning

from .models import Job, Registration

SHOWN = 10
"""Processes that are named."""


def look_at_queues() -> Iterator[Finding]:
    """Jobs: whether somebody does them."""
    offered = Registration.objects.filter(worker__draining=False).exclude(worker__node="").values("process")
    before = timezone.now() - timedelta(seconds=conf.PROCESS_WORKERLESS_SECONDS)
    queued = Job.objects.queued().filter(process__isnull=False, created__lt=before).exclude(process__in=offered)
    groups = queued.values_list("process__identifier", "process__version").annotate(jobs=Count("pk"), oldest=Min("created"))
    found = list(groups.order_by("oldest")[: SHOWN + 1])
    for identifier, version, jobs, oldest in found[:SHOWN]:
        what = f"{jobs:,} job{' waits' if jobs == 1 else 's wait'} for {identifier} {version}, which no connected worker offers"
        hint = f"Start a worker that offers {identifier}, or dismiss the job{'s' * (jobs != 1)} in the admin."
        yield warning("Jobs", f"{what}; {'it has' if jobs == 1 else 'the first has'} waited for {timesince(oldest)}.", hint)
    if len(found) > SHOWN:
        yield warning("Jobs", "There are more such processes.", "See Processes in the admin.")
    if not found:
        yield ok("Jobs", "there are workers for all that wait")
