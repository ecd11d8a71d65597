"""An outbox: a table of requests, which of them are due, and what became of them. Its operations are for the thread of the database."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db import connection, transaction
from django.db.models import F, Min, QuerySet
from django.utils import timezone

from streaming.models.outgoing import OutgoingRequest

TO_ONE_DESTINATION = 4
"""Requests that are sent at once to the same host: one that never answers holds up no others."""
LOOKED_THROUGH = 100
"""Requests, those first that are due first, among which those for different destinations are looked for."""
FIRST_SECONDS = 2.0
MOST_SECONDS = 3600.0
LONGEST_ERROR = 300

R = TypeVar("R", bound=OutgoingRequest)


@dataclass(frozen=True, slots=True)
class Due(Generic[R]):
    """A request that this process is to send. If it dies over it, another one does when its turn is over."""

    row: R
    attempt: int

    @property
    def destination(self) -> str:
        """Where it is sent."""
        return destination(self.row.url)


class Outbox(Generic[R]):
    """The requests of one table."""

    def __init__(self, model: type[R]) -> None:
        self._rows = model._default_manager

    def take_due(self, count: int, seconds: float, sending_to: Collection[str] = ()) -> list[Due[R]]:
        """The requests whose time has come, for so many seconds: none for a destination that enough are being sent to."""
        with transaction.atomic():
            return self._take(count, seconds, Counter(sending_to))

    def _take(self, count: int, seconds: float, sending_to: Counter[str]) -> list[Due[R]]:
        now = timezone.now()
        waiting = self._waiting(sending_to).filter(next_at__lte=now).order_by("next_at")
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        rows = list[R]()
        for row in waiting[:LOOKED_THROUGH]:
            sending_to[destination(row.url)] += 1
            if sending_to[destination(row.url)] <= TO_ONE_DESTINATION and len(rows) < count:
                rows.append(row)
        taken = self._rows.filter(pk__in=[row.pk for row in rows])
        taken.update(next_at=now + timedelta(seconds=seconds), attempts=F("attempts") + 1)
        return [Due(row, row.attempts + 1) for row in rows]

    def next_due(self, sending_to: Collection[str] = ()) -> datetime | None:
        """When the next one is, of those that `take_due` would find."""
        found: datetime | None = self._waiting(Counter(sending_to)).aggregate(at=Min("next_at"))["at"]
        return found

    def _waiting(self, sending_to: Counter[str]) -> QuerySet[R]:
        waiting = self._rows.filter(state="waiting")
        for place, count in sending_to.items():
            if count >= TO_ONE_DESTINATION:
                waiting = waiting.exclude(url__istartswith=place)
        return waiting

    def sent(self, due: Due[R]) -> None:
        """It was received."""
        self._update(due, state="sent", sent=timezone.now(), last_error="")

    def failed(self, due: Due[R], error: str, attempts: int) -> bool:
        """It was not: it is tried again later. Returns whether it is given up, after so many attempts."""
        over = due.attempt >= attempts
        if over:
            self.give_up(due, error)
        else:
            again = timezone.now() + timedelta(seconds=backoff(due.attempt))
            self._update(due, last_error=error[:LONGEST_ERROR], next_at=again)
        return over

    def give_up(self, due: Due[R], reason: str) -> None:
        """It is not to be sent."""
        self._update(due, state="given_up", last_error=reason[:LONGEST_ERROR])

    def drop(self, due: Due[R]) -> None:
        """It has been overtaken: there is nothing to report."""
        self._rows.filter(pk=due.row.pk).delete()

    def _update(self, due: Due[R], **changes: Any) -> None:
        self._rows.filter(pk=due.row.pk).update(**changes)


def backoff(attempt: int) -> float:
    """Seconds until the next attempt: twice as long each time, and not for all at the same moment."""
    return float(min(FIRST_SECONDS * 2 ** (attempt - 1), MOST_SECONDS) * random.uniform(0.5, 1.5))


def destination(url: str) -> str:
    """Scheme, host and port of a URL."""
    return "/".join(url.split("/", 3)[:3]).lower()
