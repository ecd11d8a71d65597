"""What continuous jobs have in common: they go on until they are dismissed, for as long as their user may read and write what they use."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from django.db import DatabaseError

from processes.worker import BadInput, Job, JobCancelled, JobFailed
from streaming.core.errors import StreamError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How long a job waits for changes before it looks whether it is still wanted."""
REVIEW_SECONDS = 5.0
"""How often it is found out whether the user still may."""
REPORT_SECONDS = 5.0
DISMISSED = "dismissed"


class Review:
    """Finds out, in a thread and every few seconds, whether the user of a job may still do what the job does."""

    def __init__(self, check: Callable[[], object]) -> None:
        self._check = check
        self._next = 0.0

    async def look(self) -> None:
        """`JobFailed` if not; the first time `BadInput`, where it is an input that says so."""
        if time.monotonic() < self._next:
            return
        try:
            await asyncio.to_thread(self._check)
        except DatabaseError as error:
            logger.warning("whether a job may go on cannot be found out, and will be: %s", error)
        except BadInput as error:
            if not self._next:
                raise
            raise JobFailed(f"the job has ended: {error.detail}", title="Not allowed any more", status=403) from error
        self._next = time.monotonic() + REVIEW_SECONDS


class Reports:
    """Says where a job is every few seconds: a message for people, and a cursor for the worker that may go on with it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._next = 0.0

    def report(self, cursor: str, message: Callable[[], str], now: bool = False) -> bool:
        """Say it, if it is time; whether it was."""
        if not now and time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + REPORT_SECONDS
        self._job.checkpoint({"cursor": cursor})
        self._job.progress(0, message())
        return True


async def until_the_end(work: Awaitable[None], clean_up: Callable[[], Awaitable[None]], job: Job) -> None:
    """Do the work, and clean up after it unless another worker will go on with it."""
    try:
        await work
    except BaseException as error:
        if not _goes_on(error, job):
            with suppress(StreamError):  # Redis is away: what starts there next cleans up
                await asyncio.shield(clean_up())
        raise


def _goes_on(error: BaseException, job: Job) -> bool:
    """Whether a worker will go on with the job, if not this one."""
    if isinstance(error, JobFailed):
        return error.retryable
    try:
        job.check()
    except JobCancelled as cancelled:
        return cancelled.reason != DISMISSED
    return not isinstance(error, Exception)
