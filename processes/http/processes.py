"""The list of processes, and the description of each."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from processes.catalogue import Offer, ProcessCatalogue
from processes.descriptions.media_types import JSON

from .exceptions import invalid_query, no_such_process
from .queries import MOST_OFFSET, read_limit, read_number
from .rendering import Page
from .site import OGC_RELATION, Link, Site, link, link_header
from .view import OgcView


class OfferView(OgcView):
    """A view of what workers offer."""

    @property
    def catalogue(self) -> ProcessCatalogue:
        """The processes."""
        return self.runtime.service(ProcessCatalogue)

    async def offer(self, identifier: str) -> Offer:
        """The process of an id."""
        found = await self.catalogue.get(identifier)
        if found is None:
            raise no_such_process(identifier)
        return found


class ProcessesView(OfferView):
    """The list."""

    parameters = ("limit", "offset")

    async def get(self, request: HttpRequest) -> Page:
        """One page of it."""
        limit = read_limit(request.GET)
        offset = read_number(request.GET, "offset") or 0
        if offset > MOST_OFFSET:
            raise invalid_query("offset", "there are not so many")
        offers = sorted(await self.catalogue.all(), key=lambda each: each.identifier)
        links = [*self.self_links(request, "This document"), *self._pages(request, limit, offset, len(offers))]
        shown = offers[offset : offset + limit]
        document = {"processes": [summary(each, self.site) for each in shown], "links": links}
        return Page("processes", document, headers={"Link": link_header(links)}, context={"offers": shown})

    def _pages(self, request: HttpRequest, limit: int, offset: int, count: int) -> list[Link]:
        links = []
        if offset + limit < count:
            links.append(link(self.site.here(request, offset=str(offset + limit), limit=str(limit)), "next", JSON, "The next page"))
        if offset:
            before = max(offset - limit, 0)
            links.append(link(self.site.here(request, offset=str(before), limit=str(limit)), "prev", JSON, "The page before"))
        return links


class ProcessView(OfferView):
    """One process."""

    async def get(self, request: HttpRequest, process: str) -> Page:
        """Its description."""
        offer = await self.offer(process)
        site = self.site
        links = [
            *self.self_links(request, "This description"),
            link(site.execution(process), OGC_RELATION + "execute", JSON, "Execute the process"),
            link(f"{site.jobs}?processID={process}", OGC_RELATION + "job-list", JSON, "Its jobs"),
            link(site.processes, "up", JSON, "All processes"),
        ]
        document = {**with_availability(offer.description.document, offer), "links": links}
        return Page("process", document, headers={"Link": link_header(links)}, context={"offer": offer})


def summary(offer: Offer, site: Site) -> dict[str, Any]:
    """A process in the list."""
    links = [
        link(site.process(offer.identifier), "self", JSON, "The description"),
        link(site.execution(offer.identifier), OGC_RELATION + "execute", JSON, "Execute the process"),
    ]
    return {**with_availability(offer.description.summary, offer), "links": links}


def with_availability(document: dict[str, Any], offer: Offer) -> dict[str, Any]:
    """How many workers offer it now, and what they say it can do: a job that goes on until it is dismissed is never waited for."""
    more = document.get("additionalParameters", {})
    parameters = [*more.get("parameters", []), {"name": "workers", "value": [str(offer.online)]}]
    control = [each for each in document["jobControlOptions"] if not (offer.continuous and each == "sync-execute")]
    return {**document, "jobControlOptions": control or ["async-execute"], "additionalParameters": {**more, "parameters": parameters}}
