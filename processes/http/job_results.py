"""The results of a job, all or one of them."""

from __future__ import annotations

from functools import partial

from django.http import HttpRequest, HttpResponseBase

from processes.catalogue import ProcessCatalogue
from processes.jobs.changes import ACTIVE
from processes.models import Job

from .exceptions import dismissed, no_such_job, no_such_output, of_failed_job, result_not_ready
from .identity import sees
from .jobs import as_job_id
from .negotiation import HTML
from .rendering import Page
from .result_forms import deliver, single
from .results import Result, StoredJob, description_of, load, results_of
from .view import OgcView


class ResultView(OgcView):
    """A view of what a job has resulted in."""

    negotiates = False

    async def stored(self, identifier: str) -> StoredJob:
        """A successful job. `OgcError`: it is not to be seen, has not ended, has failed or was dismissed."""
        stored = await self.jobs.read(partial(load, as_job_id(identifier)))
        if stored is None or not sees(self.principal, stored.job):
            raise no_such_job(identifier)
        job = stored.job
        if job.status in ACTIVE:
            raise result_not_ready(job.status)
        if job.status == Job.Status.FAILED:
            raise of_failed_job(job.exception)
        if job.status == Job.Status.DISMISSED:
            raise dismissed("the job was dismissed; it has no results")
        return stored

    async def results(self, stored: StoredJob) -> list[Result]:
        """The outputs of a job."""
        offer = await self.runtime.service(ProcessCatalogue).get(stored.job.process_identifier)
        return results_of(stored, description_of(stored.job, offer))


class ResultsView(ResultView):
    """All results."""

    async def get(self, request: HttpRequest, job: str) -> Page | HttpResponseBase:
        """As the execute request asked for them; for people, a page."""
        stored = await self.stored(job)
        if self.renderer.media_type == HTML:
            return Page("results", {}, context={"job": stored.job})
        return await deliver(request, self.site, stored.job, await self.results(stored), stored.response)


class OutputView(ResultView):
    """One result."""

    async def get(self, request: HttpRequest, job: str, output: str) -> HttpResponseBase:
        """It as it is."""
        found = {each.id: each for each in await self.results(await self.stored(job))}
        if output not in found:
            raise no_such_output(output)
        return single(request, found[output])
