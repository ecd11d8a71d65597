"""Requests that wait for the end of their job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from django.core.exceptions import RequestAborted
from django.http import HttpRequest

from processes.catalogue import Offer, ProcessCatalogue
from processes.jobs.changes import FINAL
from processes.jobs.queue import NewJob
from processes.jobs.service import Bell, Jobs
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service

from .exceptions import OgcError
from .results import StoredJob, load_all, stored_just_now

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

POLL_SECONDS = 2.0
"""How often the database is asked for what no doorbell has announced."""
WORKER_POLL_SECONDS = 0.25


class WaitingRequests(Service):
    """The requests of one process that wait."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._jobs = runtime.service(Jobs)
        self._bells: set[asyncio.Event] = set()
        self._ending = False

    def collect(self) -> Iterable[Sample]:
        """How many there are."""
        yield "geostream_process_waiting_requests", (), len(self._bells)

    def ending(self) -> None:
        """Who still waits is given the job."""
        self._ending = True
        for bell in self._bells:
            bell.set()

    async def until_ended(self, job: NewJob, bell: Bell, seconds: float, left: Callable[[], bool]) -> StoredJob | None:
        """The job when it has ended; None: it has not in time. `bell`, older than the job, rings at its end; the database is the truth,
        and is asked where the bell does not bring along what was stored there.

        `RequestAborted` once the bell rings because the client has `left`.
        """
        until = time.monotonic() + seconds
        self._bells.add(bell)
        try:
            while True:
                remaining = until - time.monotonic()
                if not self._ending:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(max(0.0, min(remaining, POLL_SECONDS))):
                            await bell.wait()
                if left():
                    raise RequestAborted
                bell.clear()
                stored = stored_just_now(job, bell.outcome) or await self._jobs.read_together(load_all, job.id)
                if stored is None or stored.job.status in FINAL:
                    return stored
                if remaining <= POLL_SECONDS or self._ending:
                    return None
        finally:
            self._bells.discard(bell)


@asynccontextmanager
async def watching_client(request: HttpRequest, bell: asyncio.Event) -> AsyncIterator[Callable[[], bool]]:
    """Meanwhile `bell` rings when the client hangs up; yields the question whether it has.

    Django cancels requests that pass its middleware; this is for those that go past it, for which nobody listens otherwise.
    """
    listen = getattr(request, "client_left", None)
    if listen is None:
        yield lambda: False
        return
    listening = asyncio.create_task(listen())
    listening.add_done_callback(lambda done: bell.set())
    try:
        yield listening.done
    finally:
        listening.cancel()


async def until_online(catalogue: ProcessCatalogue, offer: Offer) -> Offer:
    """The offer with a worker; a moment is waited for one. `OgcError` 503."""
    until = time.monotonic() + conf.PROCESS_WORKER_SECONDS
    found: Offer | None = offer
    while found is not None and not found.online:
        if time.monotonic() >= until:
            break
        await asyncio.sleep(WORKER_POLL_SECONDS)
        found = await catalogue.get(offer.identifier)
    if found is None or not found.online:
        raise OgcError(503, f"no worker offers {offer.identifier} now; try again later, or with 'Prefer: respond-async'")
    return found
