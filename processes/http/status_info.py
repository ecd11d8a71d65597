"""The state of a job as a document: statusInfo of 1.0, with the two members that the draft of 2.0 has besides."""

from __future__ import annotations

from typing import Any

from processes.descriptions.media_types import JSON
from processes.jobs.changes import JobChange, change_of
from processes.models import Job

from .queries import in_utc, present
from .site import OGC_RELATION, Link, Site, link


def status_info(job: Job | JobChange, site: Site) -> dict[str, Any]:
    """The document. What is not known is left out."""
    state = job if isinstance(job, JobChange) else change_of(job)
    info = {
        "jobID": state.job,
        "id": state.job,
        "type": "process",
        "processingEntityType": "ogc-api-processes",
        "processID": state.process,
        "status": state.status,
        "message": state.message or None,
        "created": in_utc(state.created),
        "started": in_utc(state.started),
        "finished": in_utc(state.finished),
        "updated": in_utc(state.updated),
        "progress": state.progress,
        "links": job_links(state, site),
    }
    return present(info)


def job_links(state: JobChange, site: Site) -> list[Link]:
    """Where to go on from a job."""
    here = site.job(state.job)
    links = [link(here, rel, JSON, "This job") for rel in ("self", "status", "monitor")]
    if state.status == Job.Status.SUCCESSFUL:
        links.append(link(site.results(state.job), OGC_RELATION + "results", JSON, "The results"))
    elif state.status == Job.Status.FAILED:
        links.append(link(site.results(state.job), OGC_RELATION + "exceptions", JSON, "Why it failed"))
    if not state.final:
        links.append(link(site.events(state.job), "events", "text/event-stream", "Its changes, as they happen"))
    links.append(link(site.process(state.process), "describedby", JSON, "The process"))
    links.append(link(site.jobs, "up", JSON, "All jobs"))
    return links
