"""Processes as workers describe them."""

from __future__ import annotations

from django.db import models

from .json_field import OrderedJSONField


class Process(models.Model):
    """One version of a process. Jobs stay with the version they were accepted for."""

    RETRIES = (("never", "never: at most once"), ("safe", "safe: again after a lost worker"))
    CHECKS = (("fail", "the job fails"), ("warn", "the job succeeds with a warning in its log"))

    identifier = models.CharField(max_length=200, help_text="The id in its address.")
    version = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, help_text="SHA-256 of its description: workers with the same one share its jobs.")
    description = OrderedJSONField(help_text="As it was registered: schemas are JSON Schema 2020-12.")
    owner = models.ForeignKey(
        "processes.WorkerToken", null=True, on_delete=models.SET_NULL, related_name="owned", help_text="Who may replace it."
    )
    current = models.BooleanField(default=True, help_text="The version that is listed; new jobs are for it.")
    pinned = models.BooleanField(default=False, help_text="Listed also while no worker offers it.")
    retry = models.CharField(max_length=10, choices=RETRIES, default="never")
    max_attempts = models.PositiveSmallIntegerField(default=3)
    queue_seconds = models.FloatField(null=True, help_text="How long a job may wait for a worker; empty: as the setting.")
    run_seconds = models.FloatField(null=True, help_text="How long a job may run; empty: as the setting. Not for continuous processes.")
    continuous = models.BooleanField(default=False, help_text="Its jobs run until they are dismissed.")
    result_check = models.CharField(
        max_length=10, choices=CHECKS, default="fail", help_text="What follows a result that its schema refuses."
    )
    turn = models.BigIntegerField(default=0, editable=False, help_text="Of the last job that was claimed: see Job.turn.")
    created = models.DateTimeField(auto_now_add=True)
    last_online = models.DateTimeField(null=True, help_text="When a worker last offered it.")

    class Meta:
        ordering = ("identifier", "-created")
        verbose_name_plural = "processes"
        constraints = (
            models.UniqueConstraint(fields=("identifier", "version"), name="one_process_version"),
            models.UniqueConstraint(fields=("identifier",), condition=models.Q(current=True), name="one_current_version"),
        )

    def __str__(self) -> str:
        return f"{self.identifier} {self.version}"


class Registration(models.Model):
    """A connected worker offers a process."""

    worker = models.ForeignKey("processes.Worker", on_delete=models.CASCADE, related_name="registrations")
    process = models.ForeignKey(Process, on_delete=models.CASCADE, related_name="registrations")
    concurrency = models.PositiveIntegerField(default=1, help_text="Jobs of this process that the worker runs at once.")
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("worker", "process"), name="one_registration"),)

    def __str__(self) -> str:
        return f"{self.worker_id} offers {self.process_id}"
