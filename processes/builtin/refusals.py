"""What GeoStream refuses, as the failure of a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from processes.worker import JobFailed
from streaming.core.errors import StreamError


@contextmanager
def refusals(what: str = "") -> Iterator[None]:
    """A refusal becomes `JobFailed` with its status; where it may help to try again, as when Redis is away, the job may be tried again."""
    try:
        yield
    except StreamError as error:
        detail = f"{what}: {error.message}" if what else error.message
        raise JobFailed(detail, status=error.kind.status, retryable=error.kind.retry) from error
