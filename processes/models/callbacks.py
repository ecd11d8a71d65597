"""The outbox of callbacks: requests to the addresses that subscribers of a job gave."""

from __future__ import annotations

from django.db import models


class Callback(models.Model):
    """One request that is to be sent, or was."""

    KINDS = (("success", "success"), ("progress", "in progress"), ("failed", "failed"))
    STATES = (("waiting", "waiting"), ("sent", "sent"), ("given_up", "given up"))

    job = models.ForeignKey("processes.Job", on_delete=models.CASCADE, related_name="callbacks")
    kind = models.CharField(max_length=10, choices=KINDS)
    url = models.URLField(max_length=2000)
    state = models.CharField(max_length=10, choices=STATES, default="waiting")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(help_text="When it is tried next.")
    last_error = models.CharField(max_length=300, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    sent = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=("next_at",), condition=models.Q(state="waiting"), name="waiting_callbacks"),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.job_id}"
