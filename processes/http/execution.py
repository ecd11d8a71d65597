"""Executing a process: everything is checked before there is a job; then the client waits for the result, or is given the job."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from uuid import uuid4

from django.core.exceptions import RequestAborted
from django.http import HttpRequest, HttpResponseBase

from processes.catalogue import Offer
from processes.descriptions.media_types import JSON
from processes.jobs import outcomes
from processes.jobs.changes import JobChange
from processes.jobs.queue import NewJob
from processes.models import Blob, Job
from streaming.engine.conf import conf
from streaming.engine.work import WorkQueue

from .blobs import discard
from .exceptions import OgcError, of_failed_job
from .execute_request import ExecuteRequest, read_execute_request
from .identity import client_of, may_execute
from .job_inputs import LinkFollower, stored_inputs
from .modes import Mode, choose_mode
from .negotiation import accept_of, quality
from .preferences import Preferences, read_preferences
from .processes import OfferView
from .rendering import JsonRenderer, Page
from .request_body import read_json_body
from .result_forms import MINIMAL, deliver
from .results import StoredJob, results_of
from .site import link, link_header
from .status_info import status_info
from .waiting import WaitingRequests, until_online, watching_client

INLINE_BYTES = 64 * 1024
"""A request up to this size is read and checked on the event loop."""


class ExecutionView(OfferView):
    """Where a process is executed."""

    negotiates = False
    skips_middleware = ("POST",)

    async def post(self, request: HttpRequest, process: str) -> Page | HttpResponseBase:
        """Execute it."""
        offer = await self.offer(process)
        if not may_execute(self.principal):
            raise OgcError(401, "executing a process needs a login or a token of /api/token/")
        body = read_json_body(request)
        wanted = await self._read(offer, body)
        if wanted.response == "document" and not quality(accept_of(request), JSON):
            raise OgcError(406, "a response as document is JSON")
        sync = offer.description.sync and not offer.continuous
        prefer = read_preferences(request.headers.get("Prefer", ""))
        mode = choose_mode(sync, offer.description.asynchronous or not sync, prefer)
        wanted, mode = _returned(request, wanted, mode, prefer)
        if mode.needs_worker:
            offer = await until_online(self.catalogue, offer)
        blobs: list[Blob] = []
        try:
            new = await self._job(offer, wanted, blobs, hidden=mode.needs_worker and not conf.PROCESS_SYNC_JOBS_VISIBLE)
            if mode.wait is None:
                return self._accepted(await self._submit(new, blobs), mode)
            return await self._wait(request, offer, new, blobs, mode)
        except BaseException:  # also a client that has left
            if blobs:
                self.runtime.spawn(self.jobs.change(partial(discard, blobs)))
            raise

    # -- before there is a job ----------------------------------------------------

    async def _read(self, offer: Offer, body: bytes) -> ExecuteRequest:
        if len(body) <= INLINE_BYTES:
            return read_execute_request(body, offer.description)
        client = client_of(self.request, self.principal)
        return await self.runtime.service(WorkQueue).run(client, read_execute_request, body, offer.description)

    async def _job(self, offer: Offer, wanted: ExecuteRequest, blobs: list[Blob], hidden: bool) -> NewJob:
        given = await self.runtime.service(LinkFollower).follow(client_of(self.request, self.principal), offer.description, wanted.inputs)
        inputs = await stored_inputs(offer.description, given, blobs)
        subscriber = {**wanted.subscriber, "base": self.site.base} if wanted.subscriber else None
        return NewJob(
            process=offer.pk,
            inputs=inputs,
            owner=self.principal.user_id,
            outputs=wanted.outputs,
            response=wanted.response,
            subscriber=subscriber,
            hidden=hidden,
            queue_seconds=offer.queue_seconds,
            blobs=[blob.pk for blob in blobs],
            id=uuid4(),
        )

    async def _submit(self, new: NewJob, blobs: list[Blob]) -> JobChange:
        if blobs:
            await self.jobs.change(partial(_save_blobs, blobs))
        return await self.jobs.submit(new)

    # -- answers ------------------------------------------------------------------

    async def _wait(self, request: HttpRequest, offer: Offer, new: NewJob, blobs: list[Blob], mode: Mode) -> Page | HttpResponseBase:
        assert mode.wait is not None
        waiting = self.runtime.service(WaitingRequests)
        try:
            async with self.jobs.doorbell(new.id, end=True) as bell, watching_client(request, bell) as left:
                change = await self._submit(new, blobs)
                stored = await waiting.until_ended(new, bell, mode.wait, left)
        except (asyncio.CancelledError, RequestAborted):  # the client has left
            if new.hidden:
                self.runtime.spawn(self.jobs.change(partial(_dismiss_if_there, new)))
            raise
        if stored is not None:
            response = await self._ended(request, offer, stored)
            if mode.in_time:
                response["Preference-Applied"] = mode.in_time
            return response
        if mode.strict:
            await self.jobs.change(partial(_dismiss_if_there, new))
            raise OgcError(504, f"the result is not there after {mode.wait:g} seconds; the job was dismissed, as handling=strict asks for")
        if new.hidden:
            await self.jobs.change(partial(_reveal, new))
        return self._accepted(change, mode)

    async def _ended(self, request: HttpRequest, offer: Offer, stored: StoredJob) -> HttpResponseBase:
        job = stored.job
        monitor = [] if job.hidden else [link(self.site.job(job.id), "monitor", JSON, "The job")]
        headers = {"Link": link_header(monitor)} if monitor else {}
        if job.status == Job.Status.FAILED:
            error = of_failed_job(job.exception)
            error.headers.update(headers)
            raise error
        if job.status == Job.Status.DISMISSED:
            raise OgcError(410, "the job was dismissed", headers=headers)
        response = await deliver(request, self.site, job, results_of(stored, offer.description), stored.response)
        if monitor:
            found = response.get("Link")
            response["Link"] = ", ".join([*([found] if found else []), link_header(monitor)])
        return response

    def _accepted(self, change: JobChange, mode: Mode) -> Page:
        document = status_info(change, self.site)
        headers = {"Location": self.site.job(change.job), "Link": link_header(document["links"])}
        if mode.too_late:
            headers["Preference-Applied"] = mode.too_late
        self.renderer = JsonRenderer()
        return Page("job", document, 201, headers)


def _returned(request: HttpRequest, wanted: ExecuteRequest, mode: Mode, prefer: Preferences) -> tuple[ExecuteRequest, Mode]:
    """What `return` in `Prefer` makes of a request: nothing where the request itself says how outputs are returned."""
    if not prefer.returned or wanted.response == "raw" or any(each["transmissionMode"] == "reference" for each in wanted.outputs.values()):
        return wanted, mode
    if prefer.returned == "minimal":
        if not quality(accept_of(request), JSON):
            return wanted, mode
        wanted = replace(wanted, response=MINIMAL)
    return wanted, mode.applying(f"return={prefer.returned}")


def _save_blobs(blobs: list[Blob]) -> None:
    Blob.objects.bulk_create(blobs, ignore_conflicts=True)


def _dismiss_if_there(new: NewJob) -> JobChange | None:
    return outcomes.dismiss(new.id) if Job.objects.filter(pk=new.id).exists() else None


def _reveal(new: NewJob) -> None:
    Job.objects.filter(pk=new.id).update(hidden=False)
