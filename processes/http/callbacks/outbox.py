"""The outbox: which callbacks are due, and what became of them. Operations, as those of `processes.jobs`."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Min
from django.utils import timezone

from processes.models import Callback

FIRST_SECONDS = 2.0
MOST_SECONDS = 3600.0
LONGEST_ERROR = 300


@dataclass(frozen=True, slots=True)
class Due:
    """A callback that this process is to send. If it dies over it, another one does when its turn is over."""

    pk: int
    job: UUID
    kind: str
    url: str
    attempt: int


def take_due(count: int, seconds: float) -> list[Due]:
    """The callbacks whose time has come, for so many seconds."""
    now = timezone.now()
    waiting = Callback.objects.filter(state="waiting", next_at__lte=now).order_by("next_at")
    if connection.features.has_select_for_update_skip_locked:
        waiting = waiting.select_for_update(skip_locked=True)
    rows = list(waiting[:count])
    Callback.objects.filter(pk__in=[row.pk for row in rows]).update(next_at=now + timedelta(seconds=seconds), attempts=F("attempts") + 1)
    return [Due(row.pk, row.job_id, row.kind, row.url, row.attempts + 1) for row in rows]


def next_due() -> datetime | None:
    """When the next one is."""
    found: datetime | None = Callback.objects.filter(state="waiting").aggregate(at=Min("next_at"))["at"]
    return found


def sent(pk: int) -> None:
    """It was received."""
    Callback.objects.filter(pk=pk).update(state="sent", sent=timezone.now(), last_error="")


def failed(due: Due, error: str, attempts: int) -> bool:
    """It was not: it is tried again later. Returns whether it is given up, after so many attempts."""
    over = due.attempt >= attempts
    changes: dict[str, Any] = {"last_error": error[:LONGEST_ERROR]}
    if over:
        changes["state"] = "given_up"
    else:
        changes["next_at"] = timezone.now() + timedelta(seconds=backoff(due.attempt))
    Callback.objects.filter(pk=due.pk).update(**changes)
    return over


def give_up(pk: int, reason: str) -> None:
    """It is not to be sent."""
    Callback.objects.filter(pk=pk).update(state="given_up", last_error=reason[:LONGEST_ERROR])


def drop(pk: int) -> None:
    """It has been overtaken: there is nothing to report."""
    Callback.objects.filter(pk=pk).delete()


def backoff(attempt: int) -> float:
    """Seconds until the next attempt: twice as long each time, and not for all at the same moment."""
    return float(min(FIRST_SECONDS * 2 ** (attempt - 1), MOST_SECONDS) * random.uniform(0.5, 1.5))
