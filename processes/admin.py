"""The admin of processes: what workers offer, the jobs of clients, and the workers with their tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from streaming.engine.bounded_paginator import BoundedPaginator

from .active_jobs import ActiveJobsChangeList, count_active_jobs
from .jobs import outcomes
from .jobs.changes import FINAL
from .jobs.outside import change_now
from .models import Attempt, Job, JobLog, JobOutput, Process, Worker, WorkerToken
from .workers.tokens import create_token, revoke_token

LINES = 200
"""Lines of a job's log that are shown, the newest ones."""
SHOWN = 20_000
"""Characters of inputs and outputs that are shown."""
MOST_FOUND = 100
"""Users, and processes, whose jobs a search finds; and processes that the filter of jobs lists."""
SHOWN_OFFERS = 3
"""Processes of a worker in the list of all workers."""


class RowsOfWorkers(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """Rows that workers and clients make."""

    class Media:
        css: ClassVar = {"all": ["processes/admin.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


def pretty(value: Any) -> SafeString:
    """JSON that people read."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html('<pre class="job-text">{}</pre>', text if len(text) <= SHOWN else text[:SHOWN] + " …")


@admin.register(Process)
class ProcessAdmin(RowsOfWorkers):
    """Versions of processes, and who offers them."""

    list_display = ("identifier", "version", "title", "current", "pinned", "workers", "waiting", "running", "last_online")
    list_filter = ("current", "pinned", "continuous", "retry")
    search_fields = ("identifier",)
    ordering = ("identifier", "-created")
    fields = (
        *(
            "identifier",
            "version",
            "current",
            "pinned",
            "retry",
            "max_attempts",
            "queue_seconds",
            "run_seconds",
            "continuous",
            "result_check",
        ),
        *("owner", "created", "last_online", "described"),
    )
    readonly_fields = tuple(name for name in fields if name != "pinned")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows with the number of their workers."""
        rows: QuerySet[Any] = super().get_queryset(request)
        rows = rows.annotate(offered=Count("registrations", filter=~Q(registrations__worker__node="")))
        return rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list with the jobs that have not ended."""
        return ActiveJobsChangeList

    @admin.display
    def title(self, process: Process) -> str:
        """The title of its description."""
        return str(process.description.get("title") or "")

    @admin.display(ordering="offered", description="workers online")
    def workers(self, process: Any) -> int:
        """Workers that offer it now."""
        return int(process.offered)

    @admin.display
    def waiting(self, process: Any) -> SafeString:
        """Jobs in its queue."""
        return _jobs_link(process, Job.Status.ACCEPTED)

    @admin.display
    def running(self, process: Any) -> SafeString:
        """Jobs that run."""
        return _jobs_link(process, Job.Status.RUNNING)

    @admin.display(description="description")
    def described(self, process: Process) -> SafeString:
        """The description as it was registered."""
        return pretty(process.description)


def _jobs_link(process: Any, status: str) -> SafeString:
    address, count = reverse("admin:processes_job_changelist"), process.active_jobs[status]
    return format_html('<a href="{}?process_identifier={}&status__exact={}">{}</a>', address, process.identifier, status, count)


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]
    """Which workers were given the job."""

    model = Attempt
    extra = 0
    can_delete = False
    fields = readonly_fields = ("number", "worker", "claimed", "ended", "outcome")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


class ProcessFilter(admin.SimpleListFilter):
    """The process of a job. What there is, is asked of the processes: a million jobs have few of them."""

    title = "process"
    parameter_name = "process_identifier"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """By identifier."""
        names = Process.objects.order_by("identifier").values_list("identifier", flat=True).distinct()
        return [(name, name) for name in names[:MOST_FOUND]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Its jobs."""
        return queryset if self.value() is None else queryset.filter(process_identifier=self.value())


@admin.register(Job)
class JobAdmin(RowsOfWorkers):
    """Jobs, newest first."""

    list_display = ("short_id", "process_identifier", "owner", "state", "bar", "message", "submitted", "took", "worker")
    list_filter = ("status", ProcessFilter, "hidden", "created")
    list_select_related = ("owner", "worker")
    list_per_page = 50
    sortable_by = ("submitted",)  # to sort a million rows by what there is no index for takes seconds
    show_full_result_count = False  # there may be a million
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    search_fields = ("id", "owner__username", "process_identifier")
    date_hierarchy = None
    inlines = (AttemptInline,)
    actions = ("dismiss", "requeue")
    fields = (
        *("id", "process", "owner", "hidden", "state", "bar", "message", "created", "started", "updated", "finished", "priority"),
        *("queue_deadline", "run_deadline", "attempt", "worker", "lease_expires", "subscriber", "error", "inputs", "results", "lines"),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """All of them: a job is changed by the actions."""
        return self.fields

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """A whole id is looked up as such; users and processes are found first, then their jobs by an index."""
        try:
            return queryset.filter(pk=UUID(search_term.strip())), False
        except ValueError:
            term = search_term.strip()
        if not term:
            return queryset, False
        users = get_user_model()
        owners = users._default_manager.filter(**{f"{users.USERNAME_FIELD}__icontains": term}).values_list("pk", flat=True)
        names = Process.objects.filter(identifier__icontains=term).values_list("identifier", flat=True).distinct()
        found = Q(owner__in=list(owners[:MOST_FOUND])) | Q(process_identifier__in=list(names[:MOST_FOUND]))
        return queryset.filter(found), False

    @admin.display(description="id", ordering="id")
    def short_id(self, job: Job) -> SafeString:
        """The beginning of its id, in one line; the whole one is its title."""
        return format_html('<span title="{}" class="job-id">{}…</span>', job.pk, str(job.pk)[:8])

    @admin.display(description="status", ordering="status")
    def state(self, job: Job) -> str:
        """The status, and whether the job still waits for its worker to begin."""
        return "accepted (offered)" if job.status == Job.Status.ACCEPTED and job.lease is not None else str(job.status)

    @admin.display(description="progress", ordering="progress")
    def bar(self, job: Job) -> SafeString:
        """How far it is."""
        return format_html('<progress max="100" value="{}" class="job-progress"></progress> {} %', job.progress, job.progress)

    @admin.display(description="submitted", ordering="created")
    def submitted(self, job: Job) -> str:
        """How long ago."""
        return f"{naturaltime(job.created)}"

    @admin.display(description="took")
    def took(self, job: Job) -> str:
        """From its start to its end."""
        return f"{(job.finished - job.started).total_seconds():.1f} s" if job.finished and job.started else ""

    @admin.display(description="exception")
    def error(self, job: Job) -> SafeString | str:
        """Why it failed."""
        return pretty(job.exception) if job.exception else ""

    @admin.display
    def inputs(self, job: Job) -> SafeString | str:
        """What it was asked to do."""
        return pretty(job.request.inputs) if hasattr(job, "request") else ""

    @admin.display
    def results(self, job: Job) -> SafeString | str:
        """Its outputs; what is large is linked."""
        return format_html_join("", "<h4>{}</h4>{}", ((f"{each.output} {each.media_type}", _shown(each)) for each in job.outputs.all()))

    @admin.display(description="log")
    def lines(self, job: Job) -> SafeString | str:
        """The end of its log."""
        newest = list(JobLog.objects.filter(job=job).order_by("-at", "-pk")[:LINES])
        text = "\n".join(f"{each.at:%H:%M:%S} #{each.attempt} {each.level}: {each.message}" for each in reversed(newest))
        return format_html('<pre class="job-text">{}</pre>', text)

    @admin.action(description="Dismiss selected jobs", permissions=["change"])
    def dismiss(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """End them, and throw the results away of those that have ended."""
        self._each(request, jobs.exclude(status=Job.Status.DISMISSED), outcomes.dismiss, "dismissed")

    @admin.action(description="Do selected jobs again", permissions=["change"])
    def requeue(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Put them into the queue again, from the beginning; not those that wait there anyway, or whose process is gone."""
        self._each(
            request, jobs.filter(process__isnull=False).exclude(status=Job.Status.ACCEPTED, lease=None), outcomes.requeue, "queued again"
        )

    def _each(self, request: HttpRequest, jobs: QuerySet[Job], operation: Callable[[UUID], Any], done: str) -> None:
        count = 0
        for job in jobs:
            change_now(partial(operation, job.pk))
            self.log_change(request, job, done.capitalize())
            count += 1
        self.message_user(request, f"{count} {done}.", messages.SUCCESS if count else messages.WARNING)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of jobs that have ended: the others are to be dismissed first."""
        ended = obj is None or obj.status in FINAL
        return ended and super().has_delete_permission(request, obj)


def _shown(output: JobOutput) -> SafeString | str:
    if output.blob is not None:
        return f"{output.blob.size:,} bytes, SHA-256 {output.blob.sha256}"
    return format_html('<a href="{0}">{0}</a>', output.href) if output.href else pretty(output.value)


@admin.register(Worker)
class WorkerAdmin(RowsOfWorkers):
    """Workers, those that are connected first."""

    list_display = ("name", "software", "online", "most_offers", "jobs_now", "concurrency", "draining", "suspect", "seen", "token")
    list_filter = ("draining", "suspect", "token")
    list_select_related = ("token",)
    search_fields = ("name", "software")
    ordering = ("-last_seen",)
    fields = readonly_fields = (
        "name",
        "token",
        "software",
        "online",
        "offers",
        "jobs_now",
        *("concurrency", "draining", "suspect", "connected_at", "last_seen"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows with what they offer."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.prefetch_related("registrations__process")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list with the jobs that have not ended."""
        return ActiveJobsChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Worker | None:
        """One of them, likewise."""
        worker: Worker | None = super().get_object(request, object_id, from_field)
        if worker is not None:
            count_active_jobs([worker])
        return worker

    @admin.display(boolean=True)
    def online(self, worker: Worker) -> bool:
        """Whether it is connected."""
        return bool(worker.node)

    @admin.display
    def offers(self, worker: Worker) -> str:
        """The processes that it offers."""
        return ", ".join(_offers(worker))

    @admin.display(description="offers")
    def most_offers(self, worker: Worker) -> str:
        """The same, short."""
        offers = _offers(worker)
        more = len(offers) - SHOWN_OFFERS
        return ", ".join(offers[:SHOWN_OFFERS]) + (f" and {more} more" if more > 0 else "")

    @admin.display(description="jobs")
    def jobs_now(self, worker: Any) -> int:
        """Jobs that it has now."""
        return int(worker.active_jobs.total())

    @admin.display(description="last seen", ordering="last_seen")
    def seen(self, worker: Worker) -> str:
        """How long ago."""
        return f"{naturaltime(worker.last_seen)}" if worker.last_seen else "never"


def _offers(worker: Worker) -> list[str]:
    return sorted(str(each.process) for each in worker.registrations.all())


class WorkerTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """Of a new token the processes are all, unless an operator says which."""

    def clean_processes(self) -> list[str]:
        """A list of ids, of which there must be one: a token without any lets no worker offer anything."""
        processes = self.cleaned_data["processes"]
        if not (isinstance(processes, list) and processes and all(isinstance(each, str) for each in processes)):
            raise forms.ValidationError('A list of ids in double quotes: ["buffer", "demo-*"], or ["*"] for all.')
        return processes


@admin.register(WorkerToken)
class WorkerTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The tokens that workers connect with. A new one is shown once, after it was saved."""

    list_display = ("name", "hint", "allows", "state", "online", "expires", "last_used", "created_by")
    list_filter = ("revoked", "expires")
    search_fields = ("name", "hint")
    fields = ("name", "processes", "max_workers", "max_concurrency", "expires", "hint", "state", "created", "created_by", "last_used")
    readonly_fields = ("hint", "state", "created", "created_by", "last_used")
    form = WorkerTokenForm
    actions = ("revoke",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """As `manage.py worker_token create` makes them."""
        return {"processes": ["*"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows with the number of their workers that are connected."""
        rows: QuerySet[Any] = super().get_queryset(request)
        rows = rows.annotate(connected=Count("workers", filter=~Q(workers__node="")))
        return rows

    def save_model(self, request: HttpRequest, obj: WorkerToken, form: Any, change: bool) -> None:
        """Make the token of a new row, and show it."""
        if change:
            super().save_model(request, obj, form, change)
            return
        row, text = create_token(
            obj.name,
            obj.processes,
            max_workers=obj.max_workers,
            max_concurrency=obj.max_concurrency,
            expires=obj.expires,
            created_by=request.user,
        )
        obj.pk, obj.digest, obj.hint, obj.created = row.pk, row.digest, row.hint, row.created
        shown = format_html("The token is <code>{}</code> – copy it now: only its digest is stored.", text)
        self.message_user(request, shown, messages.WARNING)

    @admin.display(description="processes")
    def allows(self, token: WorkerToken) -> str:
        """What its workers may offer."""
        return ", ".join(map(str, token.processes))

    @admin.display(description="status")
    def state(self, token: WorkerToken) -> str:
        """Whether it opens anything."""
        if token.revoked:
            return f"revoked {naturaltime(token.revoked)}"
        return "expired" if token.expires and token.expires <= timezone.now() else "valid"

    @admin.display(description="workers online", ordering="connected")
    def online(self, token: Any) -> int:
        """Workers that are connected with it."""
        return int(token.connected)

    @admin.action(description="Revoke selected tokens: their workers are disconnected", permissions=["change"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[WorkerToken]) -> None:
        """For good: a token cannot be made valid again."""
        for token in tokens:
            revoke_token(token)
            self.log_change(request, token, "Revoked")
        self.message_user(request, f"{len(tokens)} revoked.", messages.SUCCESS)
