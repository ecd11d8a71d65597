"""Jobs: one execution of a process, its attempts, log and outputs."""

from __future__ import annotations

import uuid
from typing import Self

from django.conf import settings
from django.db import models

from .json_field import OrderedJSONField

_ENDED = models.Q(status="successful") | models.Q(status="failed") | models.Q(status="dismissed")
_ACTIVE = models.Q(status="accepted") | models.Q(status="running")
"""Of the indexes of lists: two, for one of all states would be taken for what the queue asks. SQLite knows alternatives, no IN."""


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs by their state, in the words of the partial indexes: SQLite uses one only where the value is in the query itself.

    They have no order: that of the model would lead to another index, and through all jobs.
    """

    def queued(self) -> Self:
        """Those that wait for a worker."""
        return self._where("processes_job.status = 'accepted'").filter(lease=None)

    def running(self) -> Self:
        """Those that were begun."""
        return self._where("processes_job.status = 'running'")

    def active(self) -> Self:
        """Those that have not ended."""
        return self._where("processes_job.status IN ('accepted', 'running')")

    def _where(self, condition: str) -> Self:
        return self.filter().extra(where=[condition]).order_by()  # type: ignore[return-value]  # `extra` is typed loosely


class Job(models.Model):
    """One execution. Its row stays small, for it is written often; what was asked for is a `JobRequest`.

    An accepted job without a lease waits in the queue. With a lease it belongs to a worker, and only who knows the lease may write.
    """

    class Status(models.TextChoices):
        """The states of OGC API - Processes. Those after `running` are final, but that a finished job can still be dismissed."""

        ACCEPTED = "accepted"
        RUNNING = "running"
        SUCCESSFUL = "successful"
        FAILED = "failed"
        DISMISSED = "dismissed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    process = models.ForeignKey("processes.Process", null=True, on_delete=models.SET_NULL, related_name="jobs")
    process_identifier = models.CharField(max_length=200)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Empty: an anonymous client."
    )
    hidden = models.BooleanField(default=False, help_text="Of a synchronous request: clients do not see it.")
    status = models.CharField(max_length=10, choices=Status, default=Status.ACCEPTED)
    message = models.CharField(max_length=1000, blank=True)
    progress = models.PositiveSmallIntegerField(default=0)
    revision = models.PositiveIntegerField(default=1, help_text="Grows with every change.")
    created = models.DateTimeField()
    started = models.DateTimeField(null=True)
    updated = models.DateTimeField()
    finished = models.DateTimeField(null=True)
    exception = models.JSONField(null=True, help_text="Why it failed, as in RFC 7807.")
    subscriber = models.JSONField(null=True, help_text="Addresses for callbacks: successUri, inProgressUri, failedUri.")

    priority = models.SmallIntegerField(default=0, help_text="Higher ones are first.")
    turn = models.BigIntegerField(default=0, help_text="Fair shares: the number of its turn in the queue of its process.")
    not_before = models.DateTimeField(null=True, help_text="When it may be tried again.")
    queue_deadline = models.DateTimeField(null=True)
    run_deadline = models.DateTimeField(null=True)

    attempt = models.PositiveSmallIntegerField(default=0)
    lease = models.UUIDField(null=True)
    lease_expires = models.DateTimeField(null=True)
    worker = models.ForeignKey("processes.Worker", null=True, on_delete=models.SET_NULL, related_name="jobs")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ("-created", "-id")
        constraints = (
            # Of all rows it would be the index that SQLite looks for those without a lease in.
            models.UniqueConstraint(fields=("lease",), condition=models.Q(lease__isnull=False), name="one_job_of_a_lease"),
        )
        indexes = (
            models.Index(
                fields=("process", "-priority", "turn", "created"),
                condition=models.Q(status="accepted", lease=None),
                name="queued_jobs",
            ),
            models.Index(fields=("process", "owner", "turn"), condition=models.Q(status="accepted", lease=None), name="turns_of_owner"),
            models.Index(fields=("lease_expires",), condition=models.Q(status__in=("accepted", "running")), name="leased_jobs"),
            models.Index(fields=("run_deadline",), condition=models.Q(status="running"), name="running_jobs"),
            models.Index(fields=("queue_deadline",), condition=models.Q(status="accepted"), name="waiting_jobs"),
            models.Index(fields=("owner", "-created", "-id"), name="jobs_of_owner"),
            models.Index(fields=("process_identifier", "-created", "-id"), name="newest_of_process"),
            models.Index(fields=("process_identifier", "status", "-created", "-id"), name="status_of_process"),
            models.Index(fields=("status", "-created", "-id"), condition=_ENDED, name="newest_of_status"),
            models.Index(fields=("-created", "-id"), condition=_ACTIVE, name="newest_active"),
            models.Index(fields=("-created", "-id"), condition=models.Q(hidden=True), name="newest_hidden"),
            models.Index(fields=("-created", "-id"), name="newest_jobs"),
            models.Index(fields=("finished",), name="finished_jobs"),
        )

    def __str__(self) -> str:
        return str(self.id)


class JobRequest(models.Model):
    """What a job was asked to do: written once."""

    job = models.OneToOneField(Job, primary_key=True, on_delete=models.CASCADE, related_name="request")
    inputs = OrderedJSONField(help_text="Normalised: of each input a list of {value}, {blob}, or {href}, each perhaps with a mediaType.")
    outputs = OrderedJSONField(help_text="Of each requested output {mediaType?, transmissionMode}; empty: all by value.")
    response = models.CharField(max_length=10, default="raw", help_text="raw or document")
    checkpoint = OrderedJSONField(null=True, help_text="Where a continuous job goes on after its worker was lost.")

    def __str__(self) -> str:
        return str(self.job_id)


class Attempt(models.Model):
    """A worker was given a job."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    lease = models.UUIDField(unique=True)
    worker = models.ForeignKey("processes.Worker", null=True, on_delete=models.SET_NULL, related_name="attempts")
    claimed = models.DateTimeField()
    ended = models.DateTimeField(null=True)
    outcome = models.CharField(
        max_length=40, blank=True, help_text="successful, failed, dismissed, rejected, worker lost, …; empty: not ended."
    )

    class Meta:
        ordering = ("job", "number")
        constraints = (models.UniqueConstraint(fields=("job", "number"), name="one_attempt_of_a_number"),)

    def __str__(self) -> str:
        return f"{self.job_id} #{self.number}"


class JobOutput(models.Model):
    """An output, or a part of one that is delivered progressively: a value, a blob or a link."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="outputs")
    output = models.CharField(max_length=200, help_text="Its id in the description.")
    seq = models.PositiveIntegerField(default=0, help_text="The number of the part.")
    value = OrderedJSONField(null=True)
    blob = models.ForeignKey("processes.Blob", null=True, on_delete=models.RESTRICT)
    href = models.URLField(max_length=2000, blank=True)
    media_type = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("job", "output", "seq")
        constraints = (models.UniqueConstraint(fields=("job", "output", "seq"), name="one_part_of_an_output"),)

    def __str__(self) -> str:
        return f"{self.output} of {self.job_id}"


class JobLog(models.Model):
    """One line of a job's log."""

    LEVELS = (("debug", "debug"), ("info", "info"), ("warning", "warning"), ("error", "error"))

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="log")
    attempt = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField()
    level = models.CharField(max_length=10, choices=LEVELS, default="info")
    message = models.TextField(max_length=10_000)

    class Meta:
        ordering = ("job", "at", "pk")

    def __str__(self) -> str:
        return self.message[:80]
