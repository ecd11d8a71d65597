"""Jobs: the list, the state of each, and dismissing them."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.http import HttpRequest

from processes.descriptions.media_types import JSON
from processes.jobs import outcomes
from processes.jobs.changes import JobChange
from processes.models import Job

from .exceptions import dismissed, no_such_job
from .identity import listed, sees
from .job_list import JobPage, filtered
from .queries import Cursor, read_limit
from .rendering import Page
from .site import link, link_header
from .status_info import status_info
from .view import OgcView


class JobView(OgcView):
    """A view of one job."""

    async def job(self, identifier: str) -> Job:
        """A job that the client may see."""
        found = await self.jobs.read(partial(_find, as_job_id(identifier)))
        if found is None or not sees(self.principal, found):
            raise no_such_job(identifier)
        return found


class StatusView(JobView):
    """The state of a job."""

    async def get(self, request: HttpRequest, job: str) -> Page:
        """statusInfo."""
        return self._page(await self.job(job))

    async def delete(self, request: HttpRequest, job: str) -> Page:
        """Dismiss it: stop its work, or throw its results away."""
        found = await self.job(job)
        try:
            change: JobChange | None = await self.jobs.change(partial(outcomes.dismiss, found.id))
        except Job.DoesNotExist:
            raise no_such_job(job) from None
        if change is None:
            raise dismissed("the job was dismissed before")
        return self._page(change)

    def _page(self, job: Job | JobChange) -> Page:
        document = status_info(job, self.site)
        alternates = [each for each in self.self_links(self.request, "This job") if each["rel"] == "alternate"]
        document["links"] += alternates
        return Page("job", document, headers={"Link": link_header(document["links"]), "Cache-Control": "no-cache"})


class JobsView(OgcView):
    """The list."""

    parameters = ("type", "processID", "status", "datetime", "minDuration", "maxDuration", "limit", "cursor")

    async def get(self, request: HttpRequest) -> Page:
        """One page of the jobs that the client may see."""
        limit = read_limit(request.GET)
        found, cursor = filtered(request.GET, listed(self.principal)), Cursor.read(request.GET)
        page = await self.jobs.read(lambda: JobPage(found, cursor, limit))
        beside = [
            link(self.site.here(request, cursor=cursor), rel, JSON, "Older jobs" if rel == "next" else "Newer jobs")
            for rel, cursor in page.links().items()
        ]
        links = [*self.self_links(request, "This list"), *beside]
        document = {"jobs": [status_info(each, self.site) for each in page.jobs], "links": links}
        return Page("jobs", document, headers={"Link": link_header(links), "Cache-Control": "no-cache"})


def as_job_id(identifier: str) -> UUID:
    """The id of a job; what is none is the id of no job."""
    try:
        return UUID(identifier)
    except ValueError:
        raise no_such_job(identifier) from None


def _find(identifier: UUID) -> Job | None:
    return Job.objects.filter(pk=identifier).first()
