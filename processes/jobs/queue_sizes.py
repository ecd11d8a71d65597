"""How many jobs wait for a process, and of each owner: counted now and then, and added up in between, so that a job costs the same in a
long queue as in a short one.

A full queue is never exceeded by what this server process adds; by what others add, for about a second.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from django.db.models import Count

from processes.models import Job, Process
from streaming.core.errors import StreamError

BELIEVED_SECONDS = 1.0
"""How long a count is believed; one that took long is believed longer, so that counting takes 2 % of the time at most."""
FULL_SECONDS = 0.1
"""How long a count is believed that has a job refused."""
MOST_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs may wait."""

    of_process: int
    of_owner: int


@dataclass(slots=True)
class _Size:
    owners: Counter[int | None]
    total: int
    at: float
    until: float


class QueueSizes:
    """The queues as one thread knows them."""

    def __init__(self) -> None:
        self._sizes: dict[int, _Size] = {}

    def add(self, process: Process, owner: int | None, limits: Limits) -> None:
        """Another job. `StreamError` queue_full."""
        size = self._sizes.get(process.pk)
        now = time.monotonic()
        if size is None or now > size.until or (_refusal(size, process, owner, limits) and now > size.at + FULL_SECONDS):
            size = self._sizes[process.pk] = _count(process)
        if why := _refusal(size, process, owner, limits):
            raise StreamError("queue_full", why)
        size.total += 1
        size.owners[owner] += 1


def _refusal(size: _Size, process: Process, owner: int | None, limits: Limits) -> str:
    if size.total >= limits.of_process:
        return f"{limits.of_process} jobs wait for {process.identifier} already; try again later"
    if size.owners[owner] >= limits.of_owner:
        return f"{limits.of_owner} of your jobs wait for {process.identifier} already; try again later"
    return ""


def _count(process: Process) -> _Size:
    began = time.monotonic()
    owners = Counter(dict(Job.objects.queued().filter(process=process).values_list("owner").annotate(Count("pk"))))
    now = time.monotonic()
    return _Size(owners, owners.total(), now, now + max(BELIEVED_SECONDS, (now - began) / MOST_SHARE))
