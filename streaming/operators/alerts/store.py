"""Alerts in the database: rules, what fires, what is to be told. Its functions are for the thread of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from streaming.models import Alert, AlertDelivery, AlertRule, AlertWebhook

from .judge import Change
from .readings import SITE
from .webhooks import cloud_event

MOST_SHOWN = 200


class Rules(NamedTuple):
    """The rules that are judged, and the alerts that fire."""

    rules: list[AlertRule]
    firing: list[Alert]

    @property
    def untold(self) -> bool:
        """Whether there is an alert that nobody was told of, because its rule was silenced, and is not now."""
        return any(not alert.announced and not alert.rule.silenced for alert in self.firing)


def load() -> Rules:
    """As they are now."""
    return Rules(list(AlertRule.objects.filter(enabled=True)), list(_firing()))


def keep(changes: Iterable[Change], where: Mapping[str, str]) -> list[dict[str, Any]]:
    """Store changes, and put requests to webhooks into their outbox; returns all that is to be told now."""
    now = timezone.now()
    with transaction.atomic():
        told = []
        for change in changes:
            if change.fires:
                _fire(change, where, now)
            else:
                told += _resolve(change, now)
        for alert in _firing().filter(announced=False):
            if not alert.rule.silenced:
                alert.announced = True
                alert.save(update_fields=["announced"])
                told.append(document(alert))
        _enqueue(told, now)
    return told


def firing() -> list[dict[str, Any]]:
    """What fires now and was told, for who comes to look."""
    return [document(alert) for alert in _firing().filter(announced=True)[:MOST_SHOWN]]


def prune(days: float) -> None:
    """Forget what was resolved so long ago, and old requests."""
    before = timezone.now() - timedelta(days=days)
    Alert.objects.filter(resolved__lt=before).delete()
    AlertDelivery.objects.filter(created__lt=before).exclude(state="waiting").delete()


def document(alert: Alert) -> dict[str, Any]:
    """An alert as those who are told of it get it."""
    rule = alert.rule
    place = alert.where or "all processes"
    value = alert.value if alert.resolved is None else alert.worst
    return {
        "id": str(alert.id),
        "rule": rule.name,
        "severity": rule.severity,
        "state": "firing" if alert.resolved is None else "resolved",
        "measure": rule.measure,
        "labels": rule.labels,
        "comparison": rule.comparison,
        "bound": rule.bound,
        "value": alert.value,
        "worst": alert.worst,
        "node": alert.node,
        "where": alert.where,
        "since": alert.since.isoformat(),
        "resolved": alert.resolved.isoformat() if alert.resolved else None,
        "message": f"{rule.name} ({place}): {'' if alert.resolved is None else 'resolved; it was '}"
        f"{value:g}, {rule.comparison} {rule.bound:g}",
        "advice": rule.advice,
    }


def _firing() -> Any:
    return Alert.objects.filter(resolved=None).select_related("rule")


def _fire(change: Change, where: Mapping[str, str], now: datetime) -> None:
    new = {"since": now, "value": change.value, "worst": change.value, "where": where.get(change.node, change.node)}
    if AlertRule.objects.filter(pk=change.rule).exists():  # it may have been deleted a moment ago
        Alert.objects.get_or_create(rule_id=change.rule, node=change.node or SITE, resolved=None, defaults=new)


def _resolve(change: Change, now: datetime) -> list[dict[str, Any]]:
    """What is to be told: nothing, if nobody was told that it fired."""
    told = []
    for alert in _firing().filter(rule=change.rule, node=change.node):
        alert.resolved, alert.worst = now, change.worst
        alert.save(update_fields=["resolved", "worst"])
        if alert.announced:
            told.append(document(alert))
    return told


def _enqueue(told: Iterable[Mapping[str, Any]], now: datetime) -> None:
    webhooks = list(AlertWebhook.objects.filter(enabled=True))
    AlertDelivery.objects.bulk_create(
        AlertDelivery(webhook=webhook, url=webhook.url, next_at=now, event=cloud_event(f"alert.{alert['state']}", alert))
        for alert in told
        for webhook in webhooks
    )
