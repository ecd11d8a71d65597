"""Jobs as events: `processing_status` when the status of one changes, `progress` when it gets on.

Each change is published by the process that made it, and reaches the job's user and staff; of a job without an owner everybody.
"""

from __future__ import annotations

import atexit
from typing import Any

from processes.jobs.changes import JobChange
from streaming.core.lru import LRU
from streaming.features.event_audience import EVERYBODY, STAFF, Audience
from streaming.features.server_events import ServerEvents

REMEMBERED = 10_000
"""Jobs whose status is known that was published last."""


class JobEvents:
    """Makes events of changes. It may be called from any thread, and never waits."""

    def __init__(self, events: ServerEvents) -> None:
        self._events = events
        self._published: LRU[str, str] = LRU(REMEMBERED)

    def changed(self, change: JobChange) -> None:
        """Publish a change, unless there are too many; the end of a job that was reported is never too much."""
        if change.hidden:
            return
        before = self._published.get(change.job)
        kind = "progress" if before == change.status else "processing_status"
        ends = change.final and before is not None
        if self._events.emit(kind, f"job:{change.job}", _payload(change, kind), audience_of(change), is_last=ends):
            self._published.put(change.job, change.status)


def audience_of(change: JobChange) -> Audience:
    """Who may see a job."""
    return EVERYBODY if change.owner is None else Audience(needs=(STAFF,), user=str(change.owner))


def _payload(change: JobChange, kind: str) -> dict[str, Any]:
    common: dict[str, Any] = {"task_id": change.job, "job": change.job, "process": change.process}
    if kind == "progress":
        common |= {"current": change.progress, "total": 100, "progress_percent": float(change.progress)}
    else:
        common |= {"status": change.status, "progress": change.progress}
    return common | ({"message": change.message} if change.message else {})


process_events = ServerEvents("PROCESS_EVENTS_PER_MINUTE")
job_events = JobEvents(process_events)
atexit.register(process_events.flush)
