"""The changes of a job as server-sent events: its state at once and at each change, until it has ended."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from processes.jobs.changes import FINAL
from processes.jobs.service import Jobs
from processes.models import Job
from streaming.engine.auth import Principal
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service

from .exceptions import OgcError
from .identity import client_of
from .jobs import JobView
from .site import Site
from .status_info import status_info

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

EVENT_STREAM = "text/event-stream"
RETRY_MS = 2000
POLL_SECONDS = 5.0
"""How often the database is asked for what no doorbell has announced."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class EventStreams(Service):
    """The streams of one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._jobs = runtime.service(Jobs)
        self._bells: set[asyncio.Event] = set()
        self._of_clients = Counter[Hashable]()
        self._ending = False

    def collect(self) -> Iterable[Sample]:
        """How many there are."""
        yield "geostream_process_event_streams", (), len(self._bells)

    def ending(self) -> None:
        """Browsers open their streams again, where there is a server."""
        self._ending = True
        for bell in self._bells:
            bell.set()

    def check_room(self, client: Hashable) -> None:
        """`OgcError` if there are as many as there may be."""
        if self._of_clients[client] >= conf.PROCESS_EVENT_STREAMS_OF_CLIENT:
            raise OgcError(429, "you follow as many jobs here as one client may; ask for the state of the job instead")
        if len(self._bells) >= conf.PROCESS_EVENT_STREAMS:
            raise OgcError(503, "as many clients follow jobs here as may; ask for the state of the job instead")

    async def follow(self, job: Job, site: Site, principal: Principal, client: Hashable) -> AsyncIterator[bytes]:
        """The text of one stream."""
        async with self._jobs.doorbell(job.id) as bell:
            self._bells.add(bell)
            self._of_clients[client] += 1
            try:
                yield f"retry: {RETRY_MS}\n\n".encode()
                async for text in self._changes(job, site, principal, bell):
                    yield text
            finally:
                self._bells.discard(bell)
                self._of_clients -= Counter({client: 1})

    async def _changes(self, job: Job, site: Site, principal: Principal, bell: asyncio.Event) -> AsyncIterator[bytes]:
        until = time.monotonic() + conf.PROCESS_EVENT_MOST_SECONDS
        revision, sent_at = 0, time.monotonic()
        while time.monotonic() < until and not principal.expired and not self._ending:
            bell.clear()
            state = await self._jobs.read(partial(_find, job.pk))
            if state is None:
                return
            if state.revision != revision:
                revision, sent_at = state.revision, time.monotonic()
                yield _event(state.revision, status_info(state, site))
            if state.status in FINAL:
                return
            quiet = conf.PROCESS_EVENT_SECONDS - (time.monotonic() - sent_at)
            if quiet <= 0:
                sent_at = time.monotonic()
                yield b": still here\n\n"
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(min(quiet, POLL_SECONDS)):
                    await bell.wait()


class EventsView(JobView):
    """The stream of one job."""

    negotiates = False

    async def get(self, request: HttpRequest, job: str) -> HttpResponseBase:
        """Follow the job. A browser that comes again after the end is given 204, so that it comes no more."""
        found = await self.job(job)
        streams = self.runtime.service(EventStreams)
        client = client_of(request, self.principal)
        streams.check_room(client)
        if found.status in FINAL and request.headers.get("Last-Event-ID") == str(found.revision):
            return HttpResponse(status=204)
        if request.method == "HEAD":
            return HttpResponse(content_type=EVENT_STREAM, headers=HEADERS)
        return StreamingHttpResponse(streams.follow(found, self.site, self.principal, client), content_type=EVENT_STREAM, headers=HEADERS)


def _event(revision: int, document: dict[str, Any]) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (revision, msgspec.json.encode(document))


def _find(identifier: Any) -> Job | None:
    return Job.objects.filter(pk=identifier).first()
