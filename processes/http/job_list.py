"""The list of jobs: filters, order and pages."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils import timezone

from processes.models import Job

from .exceptions import invalid_query
from .queries import Cursor, read_interval, read_names, read_number

MOST_SECONDS = 100 * 366 * 24 * 3600


def filtered(query: QueryDict, visible: Q) -> QuerySet[Job]:
    """The jobs that a query asks for, of those that may be seen."""
    jobs = Job.objects.filter(visible)
    kinds = read_names(query, "type")
    if any(kind != "process" for kind in kinds):
        raise invalid_query("type", "jobs are of the type process")
    if processes := read_names(query, "processID"):
        jobs = jobs.filter(process_identifier__in=processes[:1000])
    statuses = read_names(query, "status")
    if unknown := [status for status in statuses if status not in Job.Status.values]:
        raise invalid_query("status", f"{unknown[0][:40]!r} is none of {', '.join(Job.Status.values)}")
    if statuses:
        jobs = jobs.filter(status__in=statuses)
    begin, end = read_interval(query, "datetime")
    if begin is not None:
        jobs = jobs.filter(created__gte=begin)
    if end is not None:
        jobs = jobs.filter(created__lte=end)
    return _by_duration(jobs, query)


def _by_duration(jobs: QuerySet[Job], query: QueryDict) -> QuerySet[Job]:
    """Those whose work has taken so long; of jobs that run, until now. What was not begun has no duration."""
    least, most = read_number(query, "minDuration"), read_number(query, "maxDuration")
    if least is None and most is None:
        return jobs
    now = Value(timezone.now(), output_field=DateTimeField())
    took = ExpressionWrapper(Coalesce(F("finished"), now) - F("started"), output_field=DurationField())
    jobs = jobs.filter(started__isnull=False).annotate(took=took)
    if least is not None:
        jobs = jobs.filter(took__gte=timedelta(seconds=min(least, MOST_SECONDS)))
    if most is not None:
        jobs = jobs.filter(took__lte=timedelta(seconds=min(most, MOST_SECONDS)))
    return jobs


class JobPage:
    """One page: the newest first, stable while new ones come."""

    def __init__(self, jobs: QuerySet[Job], cursor: Cursor | None, limit: int) -> None:
        backwards = cursor is not None and cursor.backwards
        if cursor is not None:
            sign = "gt" if backwards else "lt"
            beyond = Q(**{f"created__{sign}": cursor.created}) | Q(created=cursor.created, **{f"id__{sign}": cursor.job})
            jobs = jobs.filter(beyond)
        order = ("created", "id") if backwards else ("-created", "-id")
        found = list(jobs.order_by(*order)[: limit + 1])
        more = len(found) > limit
        self.jobs = found[:limit][::-1] if backwards else found[:limit]
        self._older = more if not backwards else True
        self._newer = more if backwards else cursor is not None

    def links(self) -> dict[str, str]:
        """The cursors of the pages beside it, by relation."""
        if not self.jobs:
            return {}
        first, last = self.jobs[0], self.jobs[-1]
        found = {}
        if self._older:
            found["next"] = str(Cursor(last.created, last.id))
        if self._newer:
            found["prev"] = str(Cursor(first.created, first.id, backwards=True))
        return found
