"""Alert rules, the alerts that they raised, and the webhooks that are told."""

from __future__ import annotations

import secrets
import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from .outgoing import OutgoingRequest


def new_secret() -> str:
    """What the requests to one webhook are signed with."""
    return secrets.token_urlsafe(32)


class AlertRule(models.Model):
    """A bound for a measure. Counters are judged by how much they grew in the last minute."""

    SCOPES = (("process", "each process"), ("site", "all processes together"))
    COMPARISONS = (("above", "above"), ("below", "below"))
    SEVERITIES = (("warning", "warning"), ("critical", "critical"))

    name = models.CharField(max_length=100, unique=True)
    measure = models.CharField(max_length=100, help_text="A gauge as it is; a counter by how much it grew in the last minute.")
    labels = models.CharField(max_length=200, blank=True, help_text="Only series with these, such as code=slow, dialect=geo.")
    scope = models.CharField("of", max_length=10, choices=SCOPES, default="process")
    comparison = models.CharField("fires", max_length=10, choices=COMPARISONS, default="above")
    bound = models.FloatField()
    for_seconds = models.PositiveIntegerField("for", default=30, help_text="Seconds that it has to last before the alert fires.")
    clear_bound = models.FloatField(
        null=True,
        blank=True,
        help_text="It is well again only beyond this, so that a value near the bound does not flap. Empty: the bound.",
    )
    clear_seconds = models.PositiveIntegerField("well for", default=60, help_text="Seconds that it has to be well before it is resolved.")
    severity = models.CharField(max_length=10, choices=SEVERITIES, default="warning")
    advice = models.TextField(blank=True, help_text="What to do: shown with the alert, and sent with it.")
    enabled = models.BooleanField(default=True)
    silenced_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then nobody is told. What still fires afterwards is told then."
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def silenced(self) -> bool:
        """Whether nobody is told now."""
        return self.silenced_until is not None and self.silenced_until > timezone.now()


class Alert(models.Model):
    """One time that a rule fired, of one process or of the site. It fires until it is resolved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    node = models.CharField(max_length=32, blank=True)
    where = models.CharField(max_length=220, blank=True, help_text="Host and process; empty: all processes together.")
    since = models.DateTimeField(db_index=True)
    resolved = models.DateTimeField(null=True, blank=True)
    value = models.FloatField(help_text="When it fired.")
    worst = models.FloatField(help_text="Furthest beyond the bound.")
    announced = models.BooleanField("told", default=False, help_text="No: its rule was silenced.")

    class Meta:
        ordering = ("-since",)
        constraints = (models.UniqueConstraint(fields=("rule", "node"), condition=Q(resolved=None), name="one_firing_alert"),)

    def __str__(self) -> str:
        return f"{self.rule} ({self.where or 'all processes'})"


class AlertWebhook(models.Model):
    """An address that is told of every alert, with requests that its secret signs."""

    name = models.CharField(max_length=100, unique=True)
    url = models.URLField("URL", max_length=2000)
    secret = models.CharField(max_length=100, default=new_secret, editable=False)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class AlertDelivery(OutgoingRequest):
    """One request to a webhook that is to be sent, or was."""

    webhook = models.ForeignKey(AlertWebhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.JSONField(help_text="The CloudEvent.")

    class Meta:
        ordering = ("-created",)
        verbose_name_plural = "alert deliveries"
        indexes = (models.Index(fields=("next_at",), condition=Q(state="waiting"), name="waiting_alert_deliveries"),)

    def __str__(self) -> str:
        return f"{self.event.get('type', '')} to {self.webhook_id}"
