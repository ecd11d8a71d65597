"""Sends what is in the outbox, several at a time, in every server process: each takes other callbacks.

A callback is sent at least once: a process that dies after it was received, and before that was stored, has it sent again. So each has a
key by which its receiver recognises it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import DatabaseError
from django.utils import timezone

from processes.catalogue import ProcessCatalogue
from processes.descriptions.media_types import JSON
from processes.jobs.changes import FINAL, JobChange
from processes.jobs.service import Jobs
from processes.models import Job
from processes.outgoing import AddressRefused, AddressRules, RequestFailed, send
from streaming.core.tasks import cancel
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service

from ..exceptions import of_failed_job
from ..result_forms import document
from ..results import StoredJob, description_of, load, results_of
from ..site import Site
from ..status_info import status_info
from .outbox import Due, drop, failed, give_up, next_due, sent, take_due

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

AT_ONCE = 8
LOOK_SECONDS = 5.0
"""How often the outbox is looked at without a doorbell."""
ANSWER_BYTES = 64 * 1024
SIGNATURE = "X-GeoStream-Signature"
KEY = "Idempotency-Key"
GONE = 410


class Overtaken(Exception):
    """There is nothing to report any more."""


class Callbacks(Service):
    """The sender of one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.counts = {"sent": 0, "failed": 0, "given_up": 0}
        self._jobs = runtime.service(Jobs)
        self._catalogue = runtime.service(ProcessCatalogue)
        self._bell = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._jobs.observe(self._changed)

    async def start(self) -> None:
        """Begin."""
        self._loop = asyncio.create_task(self._send_for_ever())

    async def stop(self) -> None:
        """Send no more; what was not sent waits in the outbox."""
        if self._loop is not None:
            await cancel([self._loop])

    def collect(self) -> Iterable[Sample]:
        """What became of callbacks here."""
        for outcome, count in self.counts.items():
            yield "geostream_process_callbacks_total", (outcome,), count

    def _changed(self, change: JobChange) -> None:
        if change.subscribed:
            self._bell.set()

    async def _send_for_ever(self) -> None:
        while True:
            self._bell.clear()
            wait = LOOK_SECONDS
            try:
                wait = await self._send_due()
            except DatabaseError as error:
                logger.warning("callbacks wait until the database answers: %s", error)
            except Exception:
                logger.exception("callbacks could not be sent; they are tried again")
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._bell.wait()

    async def _send_due(self) -> float:
        """Send what is due; returns how long there is nothing to do."""
        while due := await self._jobs.change(partial(take_due, AT_ONCE, 2 * conf.PROCESS_CALLBACK_SECONDS + 10)):
            await asyncio.gather(*map(self._send, due))
        at = await self._jobs.read(next_due)
        return LOOK_SECONDS if at is None else min(max((at - timezone.now()).total_seconds(), 0.01), LOOK_SECONDS)

    async def _send(self, due: Due) -> None:
        try:
            body = msgspec.json.encode(await self._body(due))
            answer = await send(
                "POST",
                due.url,
                AddressRules.of_site(),
                body=body,
                headers=headers(due, body),
                seconds=conf.PROCESS_CALLBACK_SECONDS,
                most_bytes=ANSWER_BYTES,
            )
            if answer.status == GONE:
                raise AddressRefused("the server there answers 410: it wants none of this")
            if not 200 <= answer.status < 300:
                raise RequestFailed(f"the server there answers {answer.status}")
        except Overtaken:
            await self._jobs.change(partial(drop, due.pk))
        except AddressRefused as error:
            self._count("given_up", due, error)
            await self._jobs.change(partial(give_up, due.pk, str(error)))
        except RequestFailed as error:
            over = await self._jobs.change(partial(failed, due, str(error), conf.PROCESS_CALLBACK_ATTEMPTS))
            self._count("given_up" if over else "failed", due, error)
        else:
            self.counts["sent"] += 1
            await self._jobs.change(partial(sent, due.pk))

    def _count(self, outcome: str, due: Due, error: Exception) -> None:
        self.counts[outcome] += 1
        logger.info("a callback of the job %s was not received (attempt %d, %s): %s", due.job, due.attempt, outcome, error)

    async def _body(self, due: Due) -> Any:
        stored = await self._jobs.read(partial(load, due.job))
        if stored is None:
            raise Overtaken
        job, site = stored.job, Site.of_job(stored.job)
        if due.kind == "progress":
            if job.status in FINAL:
                raise Overtaken
            return status_info(job, site)
        if due.kind == "success" and job.status == Job.Status.SUCCESSFUL:
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


def headers(due: Due, body: bytes) -> dict[str, str]:
    """What a callback has besides its body."""
    found = {"Content-Type": JSON, KEY: f"{due.job}-{due.pk}", "X-GeoStream-Event": due.kind}
    if conf.PROCESS_CALLBACK_SECRET:
        found[SIGNATURE] = signature(conf.PROCESS_CALLBACK_SECRET, int(time.time()), body)
    return found


def signature(secret: str, at: int, body: bytes) -> str:
    """The time and HMAC-SHA256 of `<time>.<body>`, so that what was recorded cannot be sent again later."""
    return f"t={at},v1={hmac.new(secret.encode(), b'%d.%s' % (at, body), sha256).hexdigest()}"
