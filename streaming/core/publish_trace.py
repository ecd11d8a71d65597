"""What a traced request has published: how long Redis took to store it, and which changes it made.

A request is traced if the context that it runs in says so; feeds note here what they store for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter, time


@dataclass(slots=True)
class PublishTrace:
    """One request, of which the changes to one feed count. Times are seconds since 1970, by this machine's clock."""

    feed: str
    began: float = field(default_factory=time)
    stored_at: float = 0.0
    """When Redis last answered."""
    stored_seconds: float = 0.0
    epoch: str = ""
    first: int = 0
    last: int = 0
    """The numbers of its first change and of its last one, 0 if nothing has changed."""

    def changed(self, feed: str, epoch: str, seq: int, count: int) -> None:
        """So many changes were stored, the last of them with this number."""
        if feed == self.feed and count:
            self.epoch, self.last = epoch, seq
            self.first = self.first or seq - count + 1


publishing: ContextVar[PublishTrace | None] = ContextVar("publishing", default=None)


@contextmanager
def storing() -> Iterator[None]:
    """Something is stored in Redis."""
    trace = publishing.get()
    if trace is None:
        yield
        return
    began = perf_counter()
    try:
        yield
    finally:
        trace.stored_seconds += perf_counter() - began
        trace.stored_at = time()
