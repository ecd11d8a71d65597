"""The outbox of callbacks: requests to the addresses that subscribers of a job gave."""

from __future__ import annotations

from django.db import models

from streaming.models.outgoing import OutgoingRequest


class Callback(OutgoingRequest):
    """One request that is to be sent, or was."""

    KINDS = (("success", "success"), ("progress", "in progress"), ("failed", "failed"))

    job = models.ForeignKey("processes.Job", on_delete=models.CASCADE, related_name="callbacks")
    kind = models.CharField(max_length=10, choices=KINDS)

    class Meta:
        indexes = (models.Index(fields=("next_at",), condition=models.Q(state="waiting"), name="waiting_callbacks"),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.job_id}"
