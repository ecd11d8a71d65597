"""What an outbox holds: requests to addresses that others named, each until it was received or is given up."""

from __future__ import annotations

from django.db import models


class OutgoingRequest(models.Model):
    """Base class of the tables of outboxes (`engine/outgoing/outbox.py`): one request that is to be sent, or was."""

    STATES = (("waiting", "waiting"), ("sent", "sent"), ("given_up", "given up"))

    url = models.URLField(max_length=2000)
    state = models.CharField(max_length=10, choices=STATES, default="waiting")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(help_text="When it is tried next.")
    last_error = models.CharField(max_length=300, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    sent = models.DateTimeField(null=True)

    class Meta:
        abstract = True
