"""Workers, and the tokens they connect with."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class WorkerToken(models.Model):
    """What workers connect with. Only its digest is kept; the token itself is shown once."""

    name = models.CharField(max_length=100, help_text="What it is for, such as the machine that has it.")
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the token, in hexadecimal.")
    hint = models.CharField(max_length=8, editable=False, help_text="How the token begins, to tell it from others.")
    processes = models.JSONField(
        default=list,
        blank=True,
        help_text='Ids of processes that its workers may offer, "*" at the end for any ending: ["buffer", "demo-*"].',
    )
    max_workers = models.PositiveIntegerField(default=100, help_text="Workers that may be connected with it at once.")
    max_concurrency = models.PositiveIntegerField(default=1000, help_text="Jobs that all its workers may run at once.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField(null=True, blank=True)
    revoked = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"


class Worker(models.Model):
    """A worker that is or was connected, by the name it gives itself."""

    token = models.ForeignKey(WorkerToken, on_delete=models.CASCADE, related_name="workers")
    name = models.CharField(max_length=200, help_text="The workerID of its hello.")
    session = models.UUIDField(null=True, help_text="Of its newest connection: an older one of the same worker writes no more.")
    instance = models.CharField(max_length=200, blank=True, help_text="Of its program's last start, as it says.")
    node = models.CharField(max_length=64, blank=True, help_text="The server process that it is connected to; empty: to none.")
    software = models.CharField(max_length=200, blank=True)
    concurrency = models.PositiveIntegerField(default=1, help_text="Jobs it runs at once.")
    draining = models.BooleanField(default=False, help_text="It takes no new jobs.")
    suspect = models.BooleanField(default=False, help_text="It did not answer when it was given a job.")
    connected_at = models.DateTimeField(null=True)
    last_seen = models.DateTimeField(null=True)

    class Meta:
        ordering = ("name", "pk")
        constraints = (models.UniqueConstraint(fields=("token", "name"), name="one_worker_of_a_name"),)

    def __str__(self) -> str:
        return self.name
