"""Callbacks: requests to the addresses that the subscriber of a job gave, from an outbox in the database."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from processes.catalogue import ProcessCatalogue
from processes.descriptions.media_types import JSON
from processes.jobs.changes import FINAL, JobChange
from processes.jobs.service import Jobs
from processes.models import Callback, Job
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.outgoing import AddressRules
from streaming.engine.outgoing.outbox import Outbox
from streaming.engine.outgoing.sender import GONE, OutboxSender, Overtaken, Prepared, SendLimits
from streaming.engine.outgoing.signature import SIGNATURE, signature
from streaming.engine.service import Service

from .exceptions import of_failed_job
from .result_forms import document
from .results import StoredJob, description_of, load, results_of
from .site import Site
from .status_info import status_info

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

KEY = "Idempotency-Key"


class Callbacks(Service):
    """The sender of one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._jobs = runtime.service(Jobs)
        self._catalogue = runtime.service(ProcessCatalogue)
        self._sender = OutboxSender(Outbox(Callback), self._jobs.change, self._prepare, _limits)
        self._jobs.observe(self._changed)

    async def start(self) -> None:
        """Begin."""
        self._sender.start()

    async def stop(self) -> None:
        """Send no more; what was not sent waits in the outbox."""
        await self._sender.stop()

    def collect(self) -> Iterable[Sample]:
        """What became of callbacks here."""
        for outcome, count in self._sender.counts.items():
            yield "geostream_process_callbacks_total", (outcome,), count

    def _changed(self, change: JobChange) -> None:
        if change.subscribed:
            self._sender.ring()

    async def _prepare(self, callback: Callback) -> Prepared:
        body = msgspec.json.encode(await self._body(callback))
        return Prepared(body, headers(callback, body))

    async def _body(self, callback: Callback) -> Any:
        stored = await self._jobs.read(partial(load, callback.job_id))
        if stored is None:
            raise Overtaken
        job, site = stored.job, Site.of_job(stored.job)
        if callback.kind == "progress":
            if job.status in FINAL:
                raise Overtaken
            return status_info(job, site)
        if callback.kind == "success" and job.status == Job.Status.SUCCESSFUL:
            return await self._results(stored, site)
        return failure(job, site)

    async def _results(self, stored: StoredJob, site: Site) -> Any:
        offer = await self._catalogue.get(stored.job.process_identifier)
        return await document(site, stored.job, results_of(stored, description_of(stored.job, offer)))


def failure(job: Job, site: Site) -> dict[str, Any]:
    """Why there are no results."""
    if job.status == Job.Status.FAILED:
        refusal = of_failed_job(job.exception).document
    else:
        refusal = {"type": "about:blank", "title": "Dismissed", "status": GONE, "detail": "the job was dismissed"}
    return {**refusal, "instance": site.job(job.id), "jobID": str(job.id)}


def headers(callback: Callback, body: bytes) -> dict[str, str]:
    """What a callback has besides its body."""
    found = {"Content-Type": JSON, KEY: f"{callback.job_id}-{callback.pk}", "X-GeoStream-Event": callback.kind}
    if conf.PROCESS_CALLBACK_SECRET:
        found[SIGNATURE] = signature(conf.PROCESS_CALLBACK_SECRET, int(time.time()), body)
    return found


def _limits() -> SendLimits:
    rules = AddressRules.allowing(conf.PROCESS_PRIVATE_ADDRESSES)
    return SendLimits(rules, conf.PROCESS_CALLBACK_SECONDS, conf.PROCESS_CALLBACK_ATTEMPTS)
